// F16 (IEEE half) and bfloat16 to and from float32, rounding to nearest even. Of a NaN the first bits stay, and it is
// quiet. In integers, since a build for any x86-64 has no instruction for F16 and would call a library's function.
#ifndef BITNET_PARITY_ENGINE_FORMATS_HALF_H_
#define BITNET_PARITY_ENGINE_FORMATS_HALF_H_

#include <bit>
#include <cstdint>

namespace bitnet {

inline float F32FromF16(uint16_t bits) {
  constexpr uint32_t kExponent = 0x0F800000;  // F16's, where F32 has its own
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7FFF) << 13;
  if ((magnitude & kExponent) == kExponent) {
    const uint32_t quiet = magnitude == kExponent ? 0 : 0x00400000;
    return std::bit_cast<float>(sign | 0x7F800000 | (magnitude & ~kExponent) | quiet);
  }
  // 2^112 times too small; the product is exact, and makes a subnormal number a normal one.
  return std::bit_cast<float>(sign | magnitude) * 0x1p112f;
}

inline uint16_t F16FromF32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  uint32_t half;
  if (magnitude > 0x7F800000) {  // NaN
    half = 0x7E00 | (magnitude >> 13 & 0x3FF);
  } else if (magnitude >= 0x47800000) {  // 65536 and above
    half = 0x7C00;
  } else if (magnitude < 0x38800000) {  // subnormal: the last bit of 0.5 is worth as much as F16's last one
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  } else {  // another bias; half a unit of the last bit, less where that one is even
    half = (magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1)) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}

inline float F32FromBf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
uint16_t Bf16FromF32(float value);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_HALF_H_
