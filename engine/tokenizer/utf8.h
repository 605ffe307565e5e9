// UTF-8 as the reference reads it (src/unicode.cpp of llama.cpp v0.5.0).
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_UTF8_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bitnet {

// The length that a lead byte announces; 0 for a byte that cannot start a character.
size_t Utf8Length(unsigned char lead);
// The same where text that is no UTF-8 is cut as the reference cuts it: a byte that continues a character counts as
// one, F8 and up as four.
size_t AnnouncedLength(unsigned char lead);

// The code point at text[*position], which moves past it. A byte that is no UTF-8 is U+FFFD; overlong forms, surrogates
// and values up to U+1FFFFF are taken as they are.
uint32_t NextCodePoint(std::string_view text, size_t* position);

// The error for a sequence above U+10FFFF at this byte of the text, which the reference cannot tokenize either.
[[noreturn]] void FailAboveUnicode(uint32_t code_point, size_t position);

// `code_point` < 0x200000.
void AppendUtf8(uint32_t code_point, std::string* out);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_UTF8_H_
