#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "engine/tokenizer/json_node.h"
#include "engine/tokenizer/text_pipeline.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/word_encoders.h"

namespace bitnet {
namespace {

// The expressions in published tokenizer.json files that two of llama.cpp's pre-tokenizers stand for.
constexpr std::string_view kLlama3Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The name in llama.cpp of a byte-level BPE that it knows, whose ids are llama.cpp's then; nothing for what only a
// TextPipeline does.
std::optional<std::string> LlamaCppName(const JsonNode& root) {
  const auto type_is = [](const JsonNode& node, const char* type) {
    return node.Has("type") && node.json()["type"] == type;
  };
  const auto is_set = [](const JsonNode& node, const char* key) {
    const JsonNode value = node.Maybe(key);
    return !value.IsNull() && value.json() != "" && value.json() != false;
  };
  const JsonNode model = root.At("model"), decoder = root.Maybe("decoder"), pre = root.Maybe("pre_tokenizer");
  if (!type_is(model, "BPE") || is_set(root, "normalizer")) return std::nullopt;
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "dropout"}) {
    if (is_set(model, key)) return std::nullopt;
  }
  if (!decoder.IsNull() && !type_is(decoder, "ByteLevel")) return std::nullopt;
  // A byte that is no token is the unknown token there, and vanishes in llama.cpp.
  if (is_set(model, "unk_token")) {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string text(ByteLevelCharacter(static_cast<uint8_t>(byte)));
      if (!model.Maybe("vocab").Has(text.c_str())) return std::nullopt;
    }
  }
  const bool sequence = type_is(pre, "Sequence");
  const std::vector<JsonNode> parts = sequence ? pre.At("pretokenizers").Items() : std::vector<JsonNode>{pre};
  if (parts.empty() || parts.size() > 2 || !type_is(parts.back(), "ByteLevel")) return std::nullopt;
  if (parts.back().BoolOr("add_prefix_space", true)) return std::nullopt;
  const bool own_expression = parts.back().BoolOr("use_regex", true);
  if (parts.size() == 1) return own_expression ? std::optional<std::string>("gpt-2") : std::nullopt;
  const JsonNode& split = parts.front();
  const bool isolates = type_is(split, "Split") && split.At("behavior").json() == "Isolated";
  if (own_expression || !isolates || split.BoolOr("invert", false)) return std::nullopt;
  const JsonNode expression = split.At("pattern").Maybe("Regex");
  if (expression.json() == kLlama3Expression) return "llama-bpe";
  if (expression.json() == kGpt2Expression) return "gpt-2";
  return std::nullopt;
}

// Added tokens that llama.cpp's converter makes control tokens though the file does not call them special, by their
// looks.
bool LooksSpecial(std::string_view text) {
  const auto between = [&](std::string_view first, std::string_view last) {
    return text.size() >= first.size() + last.size() && text.starts_with(first) && text.ends_with(last);
  };
  return text == "<pad>" || text == "<mask>" || text == "<2mass>" || text == "[@BOS@]" || between("<|", "|>") ||
         between("<｜", "｜>") || between("<unused", ">");
}

// Collects tokens by id; each id and each text once.
class TokenTable {
 public:
  void Add(const JsonNode& where, int32_t id, Token token) {
    const auto [by_text, new_text] = id_of_text_.emplace(token.text, id);
    if (!new_text && by_text->second != id) {
      where.Fail("each text with one id",
                 fmt::format("\"{}\" with the ids {} and {}", token.text, by_text->second, id));
    }
    const auto [by_id, new_id] = tokens_.try_emplace(id, token);
    if (new_id) return;
    if (by_id->second.text != token.text) {
      where.Fail("each id once", fmt::format("id {} for \"{}\" and \"{}\"", id, by_id->second.text, token.text));
    }
    by_id->second = std::move(token);
  }
  std::optional<int32_t> Find(const std::string& text) const {
    const auto found = id_of_text_.find(text);
    if (found == id_of_text_.end()) return std::nullopt;
    return found->second;
  }
  std::vector<Token> Take(const JsonNode& where) {
    std::vector<Token> tokens(tokens_.size());
    for (auto& [id, token] : tokens_) {
      if (static_cast<size_t>(id) >= tokens.size()) {
        where.Fail("ids without a gap, with those of added_tokens",
                   fmt::format("{} tokens and among them the id {}", tokens.size(), id));
      }
      tokens[static_cast<size_t>(id)] = std::move(token);
    }
    if (tokens.empty()) where.Fail("at least one token", "none");
    return tokens;
  }

 private:
  std::unordered_map<int32_t, Token> tokens_;
  std::unordered_map<std::string, int32_t> id_of_text_;
};

void AddModelTokens(const JsonNode& model, TokenTable* table) {
  const JsonNode vocab = model.At("vocab");
  for (ModelToken& token : ReadModelTokens(model)) {
    if (token.text.empty()) vocab.Fail("texts of at least one byte", "a token without text");
    table->Add(vocab, token.id, Token{.text = std::move(token.text), .score = static_cast<float>(token.score)});
  }
}

void ReadAddedTokens(const JsonNode& added, TokenTable* table) {
  if (added.IsNull()) return;
  for (const JsonNode& item : added.Items()) {
    Token token{.text = item.At("content").String()};
    if (token.text.empty()) item.At("content").Fail("at least one byte");
    const bool control = item.BoolOr("special", false) || LooksSpecial(token.text);
    token.type = control ? TokenType::kControl : TokenType::kUserDefined;
    token.strip_left = item.BoolOr("lstrip", false);
    token.strip_right = item.BoolOr("rstrip", false);
    token.single_word = item.BoolOr("single_word", false);
    token.normalized = item.BoolOr("normalized", !item.BoolOr("special", false));
    token.added = true;
    table->Add(item, item.At("id").Id(), std::move(token));
  }
}

std::vector<std::pair<std::string, std::string>> ReadMerges(const JsonNode& node, const TokenTable& table) {
  std::vector<std::pair<std::string, std::string>> merges = ReadMergePairs(node);
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    for (const std::string& text : {left, right, left + right}) {
      if (!table.Find(text).has_value()) {
        node.At(i).Fail("tokens of model.vocab", fmt::format("the unknown token \"{}\"", text));
      }
    }
  }
  return merges;
}

// BOS and EOS from a TemplateProcessing, alone or in a Sequence; ByteLevel changes no ids.
void ReadPostProcessor(const JsonNode& node, const TokenTable& table, Vocabulary* vocabulary) {
  if (node.IsNull()) return;
  const JsonNode type_node = node.At("type");
  const std::string& type = type_node.String();
  if (type == "ByteLevel") return;
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    const auto id_of = [&](const char* key) {
      const std::vector<JsonNode> pair = node.At(key).Items();
      if (pair.size() != 2) node.At(key).Fail("a token and its id");
      const JsonNode& text = pair[0];
      const std::optional<int32_t> id = table.Find(text.String());
      if (!id.has_value()) text.Fail("a token of model.vocab or added_tokens");
      return id;
    };
    vocabulary->bos = id_of("cls");
    vocabulary->eos = id_of("sep");
    vocabulary->add_bos = vocabulary->add_eos = true;
    return;
  }
  if (type == "Sequence") {
    for (const JsonNode& part : node.At("processors").Items()) ReadPostProcessor(part, table, vocabulary);
    return;
  }
  if (type != "TemplateProcessing") {
    type_node.Fail("BertProcessing, ByteLevel, RobertaProcessing, TemplateProcessing or a Sequence of these");
  }

  bool text_seen = false;
  for (const JsonNode& item : node.At("single").Items()) {
    if (item.Has("Sequence")) {
      if (text_seen) item.Fail("the text once");
      text_seen = true;
      continue;
    }
    const JsonNode name = item.At("SpecialToken").At("id");
    const std::optional<int32_t> id = table.Find(name.String());
    if (!id.has_value()) name.Fail("a token of model.vocab or added_tokens");
    bool& add = text_seen ? vocabulary->add_eos : vocabulary->add_bos;
    if (add) item.Fail("at most one special token before the text and one after it");
    add = true;
    (text_seen ? vocabulary->eos : vocabulary->bos) = id;
  }
  if (!text_seen) node.At("single").Fail("a template with the text (\"Sequence\") in it");
}

// The file itself does not say which tokens these are unless they are added.
void FindByText(const TokenTable& table, std::initializer_list<const char*> texts, std::optional<int32_t>* id) {
  for (const char* text : texts) {
    if (!id->has_value()) *id = table.Find(text);
  }
}

}  // namespace

Vocabulary ReadTokenizerJson(const std::string& path) {
  const nlohmann::json json = ParseTokenizerJson(path);
  const JsonNode root(path, "", json);
  if (!json.is_object()) {
    throw std::runtime_error(fmt::format("{}: found no JSON object, expected a Hugging Face tokenizer.json", path));
  }
  const JsonNode model = root.At("model");
  Vocabulary vocabulary;
  vocabulary.source = path;
  const std::optional<std::string> name = LlamaCppName(root);
  TokenTable table;
  AddModelTokens(model, &table);
  if (name.has_value()) {
    vocabulary.pre = *name;
    vocabulary.ignore_merges = model.BoolOr("ignore_merges", false);
    vocabulary.merges = ReadMerges(model.At("merges"), table);
  }
  ReadAddedTokens(root.Maybe("added_tokens"), &table);
  ReadPostProcessor(root.Maybe("post_processor"), table, &vocabulary);
  FindByText(table, {"<|begin_of_text|>", "<s>", "<bos>", "<|endoftext|>"}, &vocabulary.bos);
  FindByText(table, {"<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>"}, &vocabulary.eos);
  vocabulary.tokens = table.Take(model.At("vocab"));
  if (!name.has_value()) {
    vocabulary.model = VocabularyModel::kPipeline;
    vocabulary.pipeline = ReadTextPipeline(root, vocabulary.tokens);
  }
  AssignRolesByText(&vocabulary);
  return vocabulary;
}

}  // namespace bitnet
