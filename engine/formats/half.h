// F16 (IEEE half) and bfloat16 to and from float32, rounding to nearest even.
#ifndef BITNET_PARITY_ENGINE_FORMATS_HALF_H_
#define BITNET_PARITY_ENGINE_FORMATS_HALF_H_

#include <cstdint>

namespace bitnet {

float F32FromF16(uint16_t bits);
uint16_t F16FromF32(float value);
float F32FromBf16(uint16_t bits);
uint16_t Bf16FromF32(float value);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_HALF_H_
