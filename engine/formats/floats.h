// F32, F16 and BF16: a weight is a number.
#ifndef BITNET_PARITY_ENGINE_FORMATS_FLOATS_H_
#define BITNET_PARITY_ENGINE_FORMATS_FLOATS_H_

#include "engine/formats/format.h"

namespace bitnet {

void DecodeF32(std::span<const std::byte> row, float, std::span<float> out);
void EncodeF32(std::span<const float> row, float, std::span<std::byte> out);
void DecodeF16(std::span<const std::byte> row, float, std::span<float> out);
void EncodeF16(std::span<const float> row, float, std::span<std::byte> out);
void DecodeBF16(std::span<const std::byte> row, float, std::span<float> out);
void EncodeBF16(std::span<const float> row, float, std::span<std::byte> out);

inline constexpr Format kF32Format = {.type = TensorType::kF32,
                                      .name = "F32",
                                      .block_weights = 1,
                                      .block_bytes = 4,
                                      .tensor_extra = 0,
                                      .file_type = 0,
                                      .activations = ActivationKind::kF32,
                                      .decode = DecodeF32,
                                      .encode = EncodeF32,
                                      .exact_scale = ScaleType::kF32};

inline constexpr Format kF16Format = {.type = TensorType::kF16,
                                      .name = "F16",
                                      .block_weights = 1,
                                      .block_bytes = 2,
                                      .tensor_extra = 0,
                                      .file_type = 1,
                                      .activations = ActivationKind::kF16,
                                      .decode = DecodeF16,
                                      .encode = EncodeF16,
                                      .exact_scale = ScaleType::kF16};

inline constexpr Format kBF16Format = {.type = TensorType::kBF16,
                                       .name = "BF16",
                                       .block_weights = 1,
                                       .block_bytes = 2,
                                       .tensor_extra = 0,
                                       .file_type = 32,
                                       .activations = ActivationKind::kBF16,
                                       .decode = DecodeBF16,
                                       .encode = EncodeBF16,
                                       .exact_scale = ScaleType::kBF16};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_FLOATS_H_
