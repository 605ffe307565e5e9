// What the pre-tokenizer's expressions ask of a character, in Unicode 15.1.
//
// The Unicode version is part of the tokenization: a letter that came with a later version is an unassigned code point
// here, and must be one, or ids would depend on the machine's libraries. llama.cpp v0.5.0 has the same table (all
// 0x110000 code points compared); PCRE2 10.42 is at Unicode 14.0, which classifies 5,033 code points otherwise.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_UNICODE_CLASSES_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_UNICODE_CLASSES_H_

#include <cstdint>

namespace bitnet {

// The values are the letters of unicode_classes.inc.
enum class UnicodeClass : char {
  kLetter = 'L',       // general categories L*
  kNumber = 'N',       // N*
  kPunctuation = 'P',  // P*
  kMark = 'M',         // M*
  kSymbol = 'Y',       // S*
  kSpace = 'S',        // property White_Space
  kOther = 'O',        // everything else, unassigned code points and surrogates included
};

// The class of a code point in 0x80..0x10FFFF.
UnicodeClass ClassOf(uint32_t code_point);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_UNICODE_CLASSES_H_
