#include "engine/formats/i2_s.h"

namespace bitnet {

void BlockI2_S::Unpack(uint8_t* out) const {
  for (size_t i = 0; i < kWeights; ++i) out[i] = codes[i % 32] >> (6 - i / 32 * 2) & 3;
}

void BlockI2_S::UnpackLinear(uint8_t* out) const {
  for (size_t i = 0; i < kWeights; ++i) out[i] = codes[i / 4] >> (6 - i % 4 * 2) & 3;
}

void BlockI2_S::Pack(const uint8_t* in) {
  for (size_t j = 0; j < 32; ++j) {
    codes[j] = static_cast<uint8_t>(in[j] << 6 | in[32 + j] << 4 | in[64 + j] << 2 | in[96 + j]);
  }
}

}  // namespace bitnet
