#include "engine/formats/i2_s_layouts.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "engine/formats/format.h"
#include "engine/formats/i2_s.h"

namespace bitnet {
namespace {

constexpr I2sLayout kLayouts[] = {
    {.name = "x86", .words = "128 weights in 32 bytes: bitnet.cpp on x86", .group = 32},
    {.name = "arm", .words = "64 weights in 16 bytes: bitnet.cpp on ARM", .group = 16},
    {.name = "neighbours", .words = "four neighbours in a byte, the first in the high bits", .group = 1},
    {.name = "neighbours-low",
     .words = "four neighbours in a byte, the first in the low bits",
     .group = 1,
     .low_bits_first = true},
    {.name = "four-rows",
     .words = "a weight of four rows in a byte: bitnet.cpp built without ACT_PARALLEL",
     .group = 0},
};

// Where the code of a weight is: its byte in the tensor, and how far to shift it down.
struct CodePlace {
  size_t byte;
  uint32_t shift;
};
CodePlace PlaceOf(const I2sLayout& layout, uint64_t cols, uint64_t r, uint64_t c) {
  const uint64_t g = layout.group;
  const auto [byte, place] =
      g == 0 ? std::pair(r / 4 * cols + c, r % 4) : std::pair(r * cols / 4 + c / (4 * g) * g + c % g, c / g % 4);
  return {byte, static_cast<uint32_t>(layout.low_bits_first ? 2 * place : 6 - 2 * place)};
}

void CheckFit(std::span<const std::byte> tensor, uint64_t rows, uint64_t cols, const I2sLayout& layout) {
  if (tensor.size() == TensorBytes(TensorType::kI2_S, rows, cols) && (layout.group != 0 || rows % 4 == 0)) return;
  throw std::runtime_error(fmt::format("I2_S of [{}, {}] in {} bytes does not fit layout {}: {}", rows, cols,
                                       tensor.size(), layout.name, layout.words));
}

}  // namespace

std::span<const I2sLayout> AllI2sLayouts() { return kLayouts; }

I2sLayout ParseI2sLayout(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view name = text.substr(0, slash);
  const auto it =
      std::find_if(std::begin(kLayouts), std::end(kLayouts), [&](const I2sLayout& l) { return l.name == name; });
  const std::string_view codes = slash == std::string_view::npos ? "-0+" : text.substr(slash + 1);
  std::string sorted(codes);
  std::sort(sorted.begin(), sorted.end());
  if (it == std::end(kLayouts) || sorted != "+-0") {
    std::string known;
    for (const I2sLayout& l : kLayouts) known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", l.name, l.words);
    throw std::runtime_error(fmt::format(
        "I2_S layout '{}': expected one of {}; behind it '/' and what codes 0, 1 and 2 mean, as x86/0+-", text, known));
  }
  I2sLayout layout = *it;
  for (size_t i = 0; i < 3; ++i) layout.codes[i] = static_cast<int8_t>(codes[i] == '+' ? 1 : codes[i] == '-' ? -1 : 0);
  return layout;
}

std::vector<std::byte> RewriteI2s(std::span<const std::byte> tensor, uint64_t rows, uint64_t cols,
                                  const I2sLayout& layout) {
  CheckFit(tensor, rows, cols, layout);
  std::vector<std::byte> out(tensor.begin(), tensor.end());
  auto* block = reinterpret_cast<BlockI2_S*>(out.data());
  uint8_t codes[BlockI2_S::kWeights];
  for (uint64_t r = 0; r < rows; ++r) {
    for (uint64_t c = 0; c < cols; ++c) {
      const CodePlace at = PlaceOf(layout, cols, r, c);
      const auto code = static_cast<size_t>(tensor[at.byte] >> at.shift & std::byte{3});
      codes[c % BlockI2_S::kWeights] = static_cast<uint8_t>(code < 3 ? layout.codes[code] + 1 : 3);
      if (c % BlockI2_S::kWeights == BlockI2_S::kWeights - 1) (block++)->Pack(codes);
    }
  }
  return out;
}

std::vector<std::byte> WriteI2sAs(std::span<const std::byte> tensor, uint64_t rows, uint64_t cols,
                                  const I2sLayout& layout) {
  CheckFit(tensor, rows, cols, layout);
  std::vector<std::byte> out(tensor.begin(), tensor.end());
  std::fill_n(out.begin(), rows * cols / 4, std::byte{0});
  const auto* block = reinterpret_cast<const BlockI2_S*>(tensor.data());
  uint8_t codes[BlockI2_S::kWeights];
  for (uint64_t r = 0; r < rows; ++r) {
    for (uint64_t c = 0; c < cols; ++c) {
      if (c % BlockI2_S::kWeights == 0) (block++)->Unpack(codes);
      const int value = codes[c % BlockI2_S::kWeights] - 1;
      const auto code = std::find(layout.codes.begin(), layout.codes.end(), value) - layout.codes.begin();  // 3 stays 3
      const CodePlace at = PlaceOf(layout, cols, r, c);
      out[at.byte] |= static_cast<std::byte>(code << at.shift);
    }
  }
  return out;
}

}  // namespace bitnet
