#include "engine/formats/block_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "engine/formats/half.h"

namespace bitnet {

float MaxMagnitude(std::span<const float> values) {
  float magnitude = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw std::runtime_error(
          fmt::format("weight {} is {}, expected a finite number; blocks of integers cannot hold it", i, values[i]));
    }
    magnitude = std::max(magnitude, std::abs(values[i]));
  }
  return magnitude;
}

float Inverse(float scale) {
  const float inverse = 1.0f / scale;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

uint16_t F16Scale(float scale) {
  const uint16_t bits = F16FromF32(scale);
  if (!std::isfinite(F32FromF16(bits))) {
    throw std::runtime_error(fmt::format("a block's scale is {}, expected at most 65504; F16 cannot hold it", scale));
  }
  return bits;
}

void TernaryCodes(std::span<const float> values, float scale, uint8_t* codes) {
  const float inverse = Inverse(scale);
  for (size_t i = 0; i < values.size(); ++i) {
    codes[i] = static_cast<uint8_t>(std::clamp(std::lround(values[i] * inverse), -1L, 1L) + 1);
  }
}

}  // namespace bitnet
