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
  kLetter = 'L',          // general categories L*
  kNumber = 'N',          // N*
  kPunctuation = 'P',     // P*
  kMark = 'M',            // M* but for the next
  kNonspacingMark = 'n',  // Mn
  kSymbol = 'Y',          // S*
  kSpace = 'S',           // property White_Space
  kControl = 'C',         // C*, surrogates and private use included, unassigned code points not
  kOther = 'O',           // everything else
};

inline bool IsMark(UnicodeClass c) { return c == UnicodeClass::kMark || c == UnicodeClass::kNonspacingMark; }

// The class of a code point up to U+10FFFF.
UnicodeClass ClassOf(uint32_t code_point);
inline bool IsSpace(uint32_t code_point) { return ClassOf(code_point) == UnicodeClass::kSpace; }

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_UNICODE_CLASSES_H_
