#include "engine/formats/nibbles.h"

#include <algorithm>
#include <cmath>

namespace bitnet {

template <int kBits, bool kHasMin>
void BlockNibbles<kBits, kHasMin>::Decode(float* out) const {
  const float scale = F32FromF16(this->d);
  int8_t q[kWeights];
  Unpack(q);
  for (size_t i = 0; i < kWeights; ++i) {
    if constexpr (kHasMin) {
      out[i] = static_cast<float>(q[i]) * scale + F32FromF16(this->m);
    } else {
      out[i] = static_cast<float>(q[i]) * scale;
    }
  }
}

template <int kBits, bool kHasMin>
void BlockNibbles<kBits, kHasMin>::Encode(std::span<const float> in) {
  MaxMagnitude(in);
  constexpr int kMost = (1 << kBits) - 1;
  float scale, start;  // a weight is near start + q * scale
  if constexpr (kHasMin) {
    const auto [least, most] = std::minmax_element(in.begin(), in.end());
    scale = (*most - *least) / kMost;
    start = *least;
    this->m = F16Scale(start);
  } else {
    // q - kOffset reaches from -kOffset to kOffset - 1: the largest value becomes -kOffset.
    const float peak =
        *std::max_element(in.begin(), in.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); });
    scale = peak / -kOffset;
    start = 0;
  }
  this->d = F16Scale(scale);
  const float inverse = Inverse(scale);
  uint32_t bits = 0;
  std::fill(std::begin(low), std::end(low), uint8_t{0});
  for (size_t i = 0; i < kWeights; ++i) {
    const float steps = (in[i] - start) * inverse;
    const int q = std::clamp(static_cast<int>(steps + (static_cast<float>(kOffset) + 0.5f)), 0, kMost);
    low[i % 16] = static_cast<uint8_t>(low[i % 16] | (q & 15) << (i < 16 ? 0 : 4));
    bits |= static_cast<uint32_t>(q >> 4) << i;
  }
  if constexpr (kBits == 5) std::memcpy(this->high, &bits, sizeof(bits));
}

template struct BlockNibbles<4, false>;
template struct BlockNibbles<4, true>;
template struct BlockNibbles<5, false>;
template struct BlockNibbles<5, true>;

}  // namespace bitnet
