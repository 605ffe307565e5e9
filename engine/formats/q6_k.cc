#include "engine/formats/q6_k.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/formats/half.h"

namespace bitnet {

void BlockQ6_K::Unpack(uint8_t* q) const {
  for (int i = 0; i < 256; ++i) {
    const int h = i / 128, k = i / 32 % 4, l = i % 32;
    const int low_bits = low[64 * h + 32 * (k % 2) + l] >> (k < 2 ? 0 : 4) & 15;
    const int high_bits = high[32 * h + l] >> (2 * k) & 3;
    q[i] = static_cast<uint8_t>(high_bits << 4 | low_bits);
  }
}

void BlockQ6_K::Decode(float* out) const {
  const float scale = F32FromF16(d);
  uint8_t q[256];
  Unpack(q);
  for (int i = 0; i < 256; ++i) out[i] = scale * scales[i / 16] * static_cast<float>(q[i] - 32);
}

void BlockQ6_K::Encode(std::span<const float> in) {
  *this = {};
  MaxMagnitude(in);
  // q - 32 reaches from -32 to 31: each group's largest value becomes -32, so its step has the opposite sign.
  std::array<float, 16> steps;
  float largest = 0;
  for (int g = 0; g < 16; ++g) {
    const auto group = in.subspan(16 * g, 16);
    const float peak =
        *std::max_element(group.begin(), group.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
    steps[g] = peak / -32;
    largest = std::max(largest, std::abs(steps[g]));
  }
  d = F16Scale(largest / 127);
  const float unit = F32FromF16(d);
  for (int i = 0; i < 256; ++i) {
    if (i % 16 == 0) {
      const float scale = unit != 0 ? std::clamp(std::round(steps[i / 16] / unit), -127.f, 127.f) : 0.f;
      scales[i / 16] = static_cast<int8_t>(scale);
    }
    const float step = unit * scales[i / 16];
    const int q = step != 0 ? static_cast<int>(std::clamp(std::round(in[i] / step), -32.f, 31.f)) + 32 : 32;
    const int h = i / 128, k = i / 32 % 4, l = i % 32;
    low[64 * h + 32 * (k % 2) + l] |= static_cast<uint8_t>((q & 15) << (k < 2 ? 0 : 4));
    high[32 * h + l] |= static_cast<uint8_t>(q >> 4 << (2 * k));
  }
}

}  // namespace bitnet
