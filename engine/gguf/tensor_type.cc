#include "engine/gguf/tensor_type.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "engine/gguf/gguf.h"

namespace bitnet {
namespace {

// Block sizes: ggml-common.h (block_q8_0, block_q6_K, block_tq1_0, block_tq2_0); I2_S: bitnet.cpp, x86 layout.
constexpr std::array<TensorTypeTraits, 8> kTypes = {{
    {TensorType::kF32, "F32", 1, 4, 0, 0},
    {TensorType::kF16, "F16", 1, 2, 0, 1},
    {TensorType::kQ8_0, "Q8_0", 32, 34, 0, 7},
    {TensorType::kQ6_K, "Q6_K", 256, 210, 0, 18},
    {TensorType::kBF16, "BF16", 1, 2, 0, 32},
    {TensorType::kTQ1_0, "TQ1_0", 256, 54, 0, 36},
    {TensorType::kTQ2_0, "TQ2_0", 256, 66, 0, 37},
    {TensorType::kI2_S, "I2_S", 128, 32, 32, 40},
}};

const TensorTypeTraits& TraitsOrThrow(TensorType type) {
  const TensorTypeTraits* traits = FindTensorType(type);
  if (traits == nullptr) {
    std::string known;
    for (const TensorTypeTraits& t : kTypes) known += fmt::format("{}{}", known.empty() ? "" : ", ", t.name);
    throw std::runtime_error(fmt::format(
        "{} is not a tensor type of this engine; expected one of {}; convert the model", TypeName(type), known));
  }
  return *traits;
}

}  // namespace

std::span<const TensorTypeTraits> AllTensorTypes() { return kTypes; }

const TensorTypeTraits* FindTensorType(TensorType type) {
  const auto it = std::find_if(kTypes.begin(), kTypes.end(), [&](const TensorTypeTraits& t) { return t.type == type; });
  return it == kTypes.end() ? nullptr : &*it;
}

std::optional<TensorType> TensorTypeFromName(std::string_view name) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
  for (const TensorTypeTraits& t : kTypes) {
    if (std::equal(name.begin(), name.end(), t.name.begin(), t.name.end(),
                   [&](char a, char b) { return upper(a) == b; })) {
      return t.type;
    }
  }
  return std::nullopt;
}

std::string TypeName(TensorType type) {
  const TensorTypeTraits* traits = FindTensorType(type);
  return traits != nullptr ? std::string(traits->name) : fmt::format("type {}", static_cast<uint32_t>(type));
}

size_t RowBytes(TensorType type, uint64_t cols) {
  const TensorTypeTraits& traits = TraitsOrThrow(type);
  if (cols % traits.block_weights != 0) {
    throw std::runtime_error(fmt::format("rows of {} weights do not fit {}; expected a multiple of its block of {}",
                                         cols, traits.name, traits.block_weights));
  }
  size_t bytes = 0;
  if (__builtin_mul_overflow(cols / traits.block_weights, traits.block_bytes, &bytes)) {
    throw std::runtime_error(
        fmt::format("a row of {} {} weights has more bytes than 64 bits count", cols, traits.name));
  }
  return bytes;
}

size_t TensorBytes(TensorType type, uint64_t rows, uint64_t cols) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(RowBytes(type, cols), rows, &bytes) ||
      __builtin_add_overflow(bytes, TraitsOrThrow(type).tensor_extra, &bytes)) {
    throw std::runtime_error(
        fmt::format("a {} tensor of [{}, {}] has more bytes than 64 bits count", TypeName(type), rows, cols));
  }
  return bytes;
}

uint64_t TensorInfo::rows() const {
  uint64_t rows = 1;
  for (size_t i = 1; i < shape.size(); ++i) rows *= shape[i];
  return rows;
}

}  // namespace bitnet
