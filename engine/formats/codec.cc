#include "engine/formats/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "engine/formats/block_codec.h"

namespace bitnet {
namespace {

// Throws if the format's rows cannot be read and written.
const Format& CodecOf(TensorType type) {
  const Format& format = FormatOf(type);
  if (!format.has_codec()) {
    throw std::runtime_error(fmt::format("{}: this engine knows the type by name alone; expected one of {}",
                                         format.name, JoinNames(NamesWhere(&Format::has_codec))));
  }
  return format;
}

const Format& CodecOfRow(TensorType type, const char* instead) {
  const Format& format = CodecOf(type);
  if (format.tensor_extra != 0) {
    throw std::runtime_error(fmt::format("a row of {} has no scale of its own; use {}", format.name, instead));
  }
  return format;
}

void CheckBytes(TensorType type, size_t found, size_t expected) {
  if (found != expected) {
    throw std::runtime_error(fmt::format("{} data: found {} bytes, expected {}; pass the whole row or tensor",
                                         TypeName(type), found, expected));
  }
}

void CheckTensor(TensorType type, size_t bytes, size_t values, uint64_t rows, uint64_t cols) {
  CheckBytes(type, bytes, TensorBytes(type, rows, cols));
  uint64_t expected = 0;
  if (__builtin_mul_overflow(rows, cols, &expected) || values != expected) {
    throw std::runtime_error(fmt::format("{} tensor of [{}, {}]: found {} values, expected rows * cols", TypeName(type),
                                         rows, cols, values));
  }
}

void WriteTensorScale(const Format& format, float scale, std::span<std::byte> tensor) {
  if (format.tensor_extra == 0) return;
  const std::span<std::byte> extra = tensor.last(format.tensor_extra);
  std::fill(extra.begin(), extra.end(), std::byte{0});
  std::memcpy(extra.data(), &scale, sizeof(scale));
}

float Stored(float scale, ScaleType type) {
  switch (type) {
    case ScaleType::kF16:
      return F32FromF16(F16FromF32(scale));
    case ScaleType::kBF16:
      return F32FromBf16(Bf16FromF32(scale));
    default:
      return scale;
  }
}

void EncodeCodes(const Format& format, std::span<const int8_t> row, float scale, std::span<std::byte> out) {
  if (format.encode_codes != nullptr) return format.encode_codes(row, scale, out);
  if (!format.is_ternary()) {
    std::vector<float> values(row.size());
    for (size_t i = 0; i < row.size(); ++i) values[i] = scale * row[i];
    return format.encode(values, 1.0f, out);
  }
  std::vector<uint8_t> codes(format.block_weights);
  std::byte* block = out.data();
  for (size_t i = 0; i < row.size(); i += codes.size(), block += format.block_bytes) {
    for (size_t k = 0; k < codes.size(); ++k) codes[k] = static_cast<uint8_t>(row[i + k] + 1);
    format.ternary->pack(codes.data(), block);
    if (format.ternary->scale_at >= 0) SetBlockScale(*format.ternary, scale, block);
  }
}

}  // namespace

void DequantizeRow(TensorType type, std::span<const std::byte> row, std::span<float> out) {
  CheckBytes(type, row.size(), RowBytes(type, out.size()));
  CodecOfRow(type, "DequantizeTensor").decode(row, 1.0f, out);
}

void QuantizeRow(TensorType type, std::span<const float> row, std::span<std::byte> out) {
  CheckBytes(type, out.size(), RowBytes(type, row.size()));
  CodecOfRow(type, "QuantizeTensor").encode(row, 1.0f, out);
}

void DequantizeTensor(TensorType type, std::span<const std::byte> data, uint64_t rows, uint64_t cols,
                      std::span<float> out) {
  CheckTensor(type, data.size(), out.size(), rows, cols);
  const Format& format = CodecOf(type);
  const float scale = TensorScale(type, data);
  const size_t row_bytes = RowBytes(type, cols);
  for (uint64_t r = 0; r < rows; ++r) {
    format.decode(data.subspan(r * row_bytes, row_bytes), scale, out.subspan(r * cols, cols));
  }
}

void QuantizeTensor(TensorType type, std::span<const float> values, uint64_t rows, uint64_t cols,
                    std::span<std::byte> out) {
  CheckTensor(type, out.size(), values.size(), rows, cols);
  const Format& format = CodecOf(type);
  const float scale = format.tensor_extra == 0 ? 1.0f : MaxMagnitude(values);
  const size_t row_bytes = RowBytes(type, cols);
  for (uint64_t r = 0; r < rows; ++r) {
    format.encode(values.subspan(r * cols, cols), scale, out.subspan(r * row_bytes, row_bytes));
  }
  WriteTensorScale(format, scale, out);
}

std::optional<TernaryTensor> FindTernary(std::span<const float> values, uint64_t rows, uint64_t cols) {
  CheckTensor(TensorType::kF32, values.size_bytes(), values.size(), rows, cols);
  TernaryTensor tensor{rows, cols, 0, std::vector<int8_t>(values.size())};
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0) continue;
    const float magnitude = std::abs(values[i]);
    if (tensor.scale == 0) tensor.scale = magnitude;
    if (!(magnitude == tensor.scale) || !std::isfinite(magnitude)) return std::nullopt;
    tensor.codes[i] = values[i] > 0 ? 1 : -1;
  }
  if (tensor.scale == 0) tensor.scale = 1;
  return tensor;
}

std::vector<std::byte> EncodeTernary(TensorType type, const TernaryTensor& tensor) {
  const uint64_t rows = tensor.rows, cols = tensor.cols;
  const Format& format = CodecOf(type);
  std::vector<std::byte> out(TensorBytes(type, rows, cols));
  CheckTensor(type, out.size(), tensor.codes.size(), rows, cols);
  if (!format.holds_ternary()) {
    throw std::runtime_error(fmt::format("{} does not hold ternary tensors exactly; use {}", format.name,
                                         JoinNames(NamesWhere(&Format::holds_ternary))));
  }
  if (Stored(tensor.scale, format.exact_scale) != tensor.scale || !std::isfinite(tensor.scale)) {
    throw std::runtime_error(fmt::format("{} cannot hold the scale {} exactly; expected one of fewer significant bits",
                                         format.name, tensor.scale));
  }
  const size_t row_bytes = RowBytes(type, cols);
  for (uint64_t r = 0; r < rows; ++r) {
    EncodeCodes(format, std::span(tensor.codes).subspan(r * cols, cols), tensor.scale,
                std::span(out).subspan(r * row_bytes, row_bytes));
  }
  WriteTensorScale(format, tensor.scale, out);
  return out;
}

}  // namespace bitnet
