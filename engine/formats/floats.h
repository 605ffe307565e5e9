// F32, F16 and BF16: a weight is a number.
#ifndef BITNET_PARITY_ENGINE_FORMATS_FLOATS_H_
#define BITNET_PARITY_ENGINE_FORMATS_FLOATS_H_

#include <cstring>

#include "engine/formats/format.h"
#include "engine/formats/half.h"

namespace bitnet {

// The row of a format that stores each weight as a T.
template <class T, float (*kLoad)(T), T (*kStore)(float)>
constexpr Format FloatFormat(Format f) {
  f.block_bytes = sizeof(T);
  f.decode = [](std::span<const std::byte> row, float, std::span<float> out) {
    for (size_t i = 0; i < out.size(); ++i) {
      T bits;
      std::memcpy(&bits, row.data() + i * sizeof(T), sizeof(T));
      out[i] = kLoad(bits);
    }
  };
  f.encode = [](std::span<const float> row, float, std::span<std::byte> out) {
    for (size_t i = 0; i < row.size(); ++i) {
      const T bits = kStore(row[i]);
      std::memcpy(out.data() + i * sizeof(T), &bits, sizeof(T));
    }
  };
  return f;
}

inline float Same(float v) { return v; }

inline constexpr Format kF32Format = FloatFormat<float, Same, Same>({.type = TensorType::kF32,
                                                                     .name = "F32",
                                                                     .file_type = 0,
                                                                     .activations = ActivationKind::kF32,
                                                                     .exact_scale = ScaleType::kF32});
inline constexpr Format kF16Format = FloatFormat<uint16_t, F32FromF16, F16FromF32>({.type = TensorType::kF16,
                                                                                    .name = "F16",
                                                                                    .file_type = 1,
                                                                                    .activations = ActivationKind::kF16,
                                                                                    .exact_scale = ScaleType::kF16});
inline constexpr Format kBF16Format =
    FloatFormat<uint16_t, F32FromBf16, Bf16FromF32>({.type = TensorType::kBF16,
                                                     .name = "BF16",
                                                     .file_type = 32,
                                                     .activations = ActivationKind::kBF16,
                                                     .exact_scale = ScaleType::kBF16});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_FLOATS_H_
