#include "engine/formats/q8_0.h"

#include <algorithm>
#include <cmath>

namespace bitnet {

void BlockQ8_0::Decode(float* out) const {
  const float scale = F32FromF16(d);
  for (size_t i = 0; i < kWeights; ++i) out[i] = scale * q[i];
}

void BlockQ8_0::Encode(std::span<const float> in) {
  const float scale = MaxMagnitude(in) / 127;
  const float inverse = Inverse(scale);
  d = F16Scale(scale);
  for (size_t i = 0; i < kWeights; ++i) {
    q[i] = static_cast<int8_t>(std::clamp(std::round(in[i] * inverse), -128.f, 127.f));
  }
}

void EncodeCodesQ8_0(std::span<const int8_t> codes, float scale, std::span<std::byte> out) {
  MakeBlocks<BlockQ8_0>(out, [&](BlockQ8_0& block, size_t i) {
    block.d = F16FromF32(scale);
    std::copy_n(codes.data() + i * BlockQ8_0::kWeights, BlockQ8_0::kWeights, block.q);
  });
}

}  // namespace bitnet
