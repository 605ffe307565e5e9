#include "engine/formats/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include "engine/formats/floats.h"
#include "engine/formats/half.h"
#include "engine/formats/i2_s.h"
#include "engine/formats/k_quants.h"
#include "engine/formats/known_types.h"
#include "engine/formats/low_bits.h"
#include "engine/formats/nibbles.h"
#include "engine/formats/q6_k.h"
#include "engine/formats/q8_0.h"
#include "engine/formats/tq1_0.h"
#include "engine/formats/tq2_0.h"

namespace bitnet {
namespace {

constexpr std::array kFormats = {kF32Format,  kF16Format,   kQ4_0Format,  kQ4_1Format, kQ5_0Format, kQ5_1Format,
                                 kQ8_0Format, kQ2_KFormat,  kQ3_KFormat,  kQ4_KFormat, kQ5_KFormat, kQ6_KFormat,
                                 kBF16Format, kTQ1_0Format, kTQ2_0Format, kI2_SFormat, kQ1_0Format, kQ2_0Format};

}  // namespace

float BlockScale(const TernaryBlock& format, const std::byte* block) {
  uint16_t bits;
  std::memcpy(&bits, block + format.scale_at, sizeof(bits));
  return F32FromF16(bits);
}

void SetBlockScale(const TernaryBlock& format, float scale, std::byte* block) {
  const uint16_t bits = F16FromF32(scale);
  std::memcpy(block + format.scale_at, &bits, sizeof(bits));
}

std::span<const Format> AllFormats() { return kFormats; }

const Format* FindFormat(TensorType type) {
  const auto it = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& f) { return f.type == type; });
  return it == kFormats.end() ? nullptr : &*it;
}

const Format& FormatOf(TensorType type) {
  const Format* format = FindFormat(type);
  if (format == nullptr) {
    std::vector<std::string> known;
    for (const Format& f : kFormats) known.emplace_back(f.name);
    throw std::runtime_error(fmt::format("{} is not a tensor type that this engine runs; expected one of {}",
                                         TypeName(type), JoinNames(known)));
  }
  return *format;
}

std::optional<TensorType> TensorTypeFromName(std::string_view name) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
  for (const Format& f : kFormats) {
    if (std::equal(name.begin(), name.end(), f.name.begin(), f.name.end(),
                   [&](char a, char b) { return upper(a) == b; })) {
      return f.type;
    }
  }
  return std::nullopt;
}

std::string TypeName(TensorType type) {
  if (const Format* format = FindFormat(type)) return std::string(format->name);
  std::vector<std::string> names;
  for (const TypeMeaning& m : MeaningsOf(type)) names.emplace_back(m.name);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names.empty() ? fmt::format("type {}", static_cast<uint32_t>(type)) : JoinNames(names);
}

std::string JoinNames(const std::vector<std::string>& names, std::string_view last) {
  std::string joined;
  for (size_t i = 0; i < names.size(); ++i) {
    joined += fmt::format("{}{}", i == 0 ? "" : i + 1 == names.size() ? fmt::format(" {} ", last) : ", ", names[i]);
  }
  return joined;
}

size_t RowBytes(TensorType type, uint64_t cols) {
  const Format& format = FormatOf(type);
  if (cols % format.block_weights != 0) {
    throw std::runtime_error(fmt::format("rows of {} weights do not fit {}; expected a multiple of its block of {}",
                                         cols, format.name, format.block_weights));
  }
  size_t bytes = 0;
  if (__builtin_mul_overflow(cols / format.block_weights, format.block_bytes, &bytes)) {
    throw std::runtime_error(
        fmt::format("a row of {} {} weights has more bytes than 64 bits count", cols, format.name));
  }
  return bytes;
}

size_t TensorBytes(TensorType type, uint64_t rows, uint64_t cols) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(RowBytes(type, cols), rows, &bytes) ||
      __builtin_add_overflow(bytes, FormatOf(type).tensor_extra, &bytes)) {
    throw std::runtime_error(
        fmt::format("a {} tensor of [{}, {}] has more bytes than 64 bits count", TypeName(type), rows, cols));
  }
  return bytes;
}

float TensorScale(TensorType type, std::span<const std::byte> tensor) {
  const uint32_t extra = FormatOf(type).tensor_extra;
  if (extra == 0) return 1.0f;
  float scale;
  std::memcpy(&scale, tensor.data() + tensor.size() - extra, sizeof(scale));
  return scale;
}

}  // namespace bitnet
