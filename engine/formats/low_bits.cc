#include "engine/formats/low_bits.h"

#include <algorithm>
#include <cmath>

namespace bitnet {

template <size_t kCount, int kBits>
void BlockLowBits<kCount, kBits>::Encode(std::span<const float> in) {
  const float peak = MaxMagnitude(in);
  int8_t codes[kCount];
  if constexpr (kBits == 1) {
    float sum = 0;
    for (size_t i = 0; i < kCount; ++i) {
      sum += std::fabs(in[i]);
      codes[i] = in[i] >= 0 ? 1 : -1;
    }
    d = F16Scale(sum / kCount);
  } else {
    const float inverse = Inverse(peak);
    d = F16Scale(peak);
    for (size_t i = 0; i < kCount; ++i) {
      codes[i] = static_cast<int8_t>(std::clamp(std::round(in[i] * inverse), -1.0f, 2.0f));
    }
  }
  Pack(codes);
}

template struct BlockLowBits<128, 1>;
template struct BlockLowBits<64, 2>;

}  // namespace bitnet
