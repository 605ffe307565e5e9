// Lower case and the normal forms of Unicode 15.1 (UAX #15), from tables of our own for the reason that
// unicode_classes.h gives.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_UNICODE_MAPPINGS_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_UNICODE_MAPPINGS_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace bitnet {

enum class NormalForm { kC, kD, kKC, kKD };

// The simple mapping of one code point, whatever stands around it.
uint32_t LowerCase(uint32_t code_point);

std::u32string Normalize(std::u32string_view text, NormalForm form);

// The first code point of its canonical decomposition, itself where it has none.
uint32_t FirstOfDecomposition(uint32_t code_point);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_UNICODE_MAPPINGS_H_
