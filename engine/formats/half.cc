#include "engine/formats/half.h"

#include <hwy/base.h>

namespace bitnet {

float F32FromF16(uint16_t bits) { return hwy::F32FromF16(hwy::float16_t::FromBits(bits)); }
uint16_t F16FromF32(float value) { return hwy::BitCastScalar<uint16_t>(hwy::F16FromF32(value)); }
float F32FromBf16(uint16_t bits) { return hwy::F32FromBF16(hwy::bfloat16_t::FromBits(bits)); }
uint16_t Bf16FromF32(float value) { return hwy::BitCastScalar<uint16_t>(hwy::BF16FromF32(value)); }

}  // namespace bitnet
