#include "engine/formats/tq2_0.h"

namespace bitnet {

void BlockTQ2_0::Unpack(uint8_t* out) const {
  for (size_t half = 0; half < 2; ++half) {
    for (size_t k = 0; k < 4; ++k) {  // a loop that compilers make vectors of
      for (size_t i = 0; i < 32; ++i) out[half * 128 + k * 32 + i] = codes[half * 32 + i] >> (2 * k) & 3;
    }
  }
}

void BlockTQ2_0::UnpackLinear(uint8_t* out) const {
  for (size_t i = 0; i < kWeights; ++i) out[i] = codes[i / 4] >> (i % 4 * 2) & 3;
}

void BlockTQ2_0::Pack(const uint8_t* in) {
  for (size_t i = 0; i < 64; ++i) {
    const uint8_t* from = in + i / 32 * 128 + i % 32;
    codes[i] = static_cast<uint8_t>(from[0] | from[32] << 2 | from[64] << 4 | from[96] << 6);
  }
}

}  // namespace bitnet
