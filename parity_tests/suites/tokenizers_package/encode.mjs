// Encodes texts with a tokenizer.json:  node encode.mjs FILE [PACKAGE] < {"text", "add_special"} a line > ids a line
// PACKAGE is @huggingface/tokenizers (JavaScript), or tokenizers (the original, in Rust) where it is installed.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [file, name = '@huggingface/tokenizers'] = process.argv.slice(2);
const require = createRequire(`${process.env.PARITY_TOKENIZERS_DIR ?? import.meta.dirname ?? '.'}/`);
const { Tokenizer } = require(name);
let encode;
if (name === 'tokenizers') {
  const tokenizer = Tokenizer.fromFile(file);
  encode = async (text, add) => (await tokenizer.encode(text, null, { addSpecialTokens: add })).getIds();
} else {
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(file, 'utf8')), {});
  encode = async (text, add) => tokenizer.encode(text, { add_special_tokens: add }).ids;
}
const lines = readFileSync(0, 'utf8').split('\n').filter((line) => line !== '');
const out = [];
for (const line of lines) {
  const { text, add_special } = JSON.parse(line);
  out.push(JSON.stringify(await encode(text, add_special)));
}
process.stdout.write(out.join('\n') + '\n');
