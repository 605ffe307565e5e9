// Rows and tensors of every format to float32 and back, by plain scalar code. Converters, generators and tests stand on
// it, and a forward pass reads its embeddings by it; products have kernels of their own (engine/kernels).
//
//   std::vector<float> values(rows * cols);
//   DequantizeTensor(TensorType::kTQ2_0, data, rows, cols, values);
#ifndef BITNET_PARITY_ENGINE_FORMATS_CODEC_H_
#define BITNET_PARITY_ENGINE_FORMATS_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/formats/format.h"
#include "engine/formats/half.h"

namespace bitnet {

// `row`: RowBytes(type, out.size()) bytes; `out`: [cols]. Every format with whole rows (not I2_S, whose scale belongs
// to the tensor). Throws std::runtime_error if a size does not fit.
void DequantizeRow(TensorType type, std::span<const std::byte> row, std::span<float> out);

// The nearest row that the format can hold; the same shapes. Q8_0, TQ1_0 and TQ2_0 give the bytes of ggml's
// quantize_row_*_ref. Throws if a size does not fit, or if a value that goes into a block is not finite.
void QuantizeRow(TensorType type, std::span<const float> row, std::span<std::byte> out);

// Whole tensors of [rows, cols], every format. `data`: TensorBytes(type, rows, cols) bytes.
void DequantizeTensor(TensorType type, std::span<const std::byte> data, uint64_t rows, uint64_t cols,
                      std::span<float> out);
void QuantizeTensor(TensorType type, std::span<const float> values, uint64_t rows, uint64_t cols,
                    std::span<std::byte> out);

// A tensor of codes -1, 0, +1 times one scale: what a 1-bit model's projections are, whatever type holds them.
struct TernaryTensor {
  uint64_t rows = 0;
  uint64_t cols = 0;
  float scale = 0;            // positive
  std::vector<int8_t> codes;  // [rows, cols]
};

// nullopt if `values` [rows, cols] hold more than one magnitude besides 0. All zeros: scale 1.
std::optional<TernaryTensor> FindTernary(std::span<const float> values, uint64_t rows, uint64_t cols);

// Bytes that dequantize to exactly codes * scale. Throws for a format that does not hold ternary tensors
// (Format::holds_ternary), and if the scale is not one that it holds exactly (Format::exact_scale).
std::vector<std::byte> EncodeTernary(TensorType type, const TernaryTensor& tensor);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_CODEC_H_
