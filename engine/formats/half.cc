#include "engine/formats/half.h"

#include <hwy/base.h>

namespace bitnet {

uint16_t Bf16FromF32(float value) { return hwy::BitCastScalar<uint16_t>(hwy::BF16FromF32(value)); }

}  // namespace bitnet
