#include "parity_tests/oracle/ternary.h"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "engine/gguf/quants.h"

namespace parity {
namespace {

using bitnet::TensorType;
using bitnet::WeightMatrix;

// A block of codes, and the F16 scale behind them; I2_S has one scale for the whole tensor.
struct Layout {
  size_t weights;
  size_t bytes;
  size_t scale_at;  // 0: none in the block
};

Layout LayoutOf(TensorType type) {
  switch (type) {
    case TensorType::kTQ1_0:
      return {256, 54, 52};
    case TensorType::kTQ2_0:
      return {256, 66, 64};
    case TensorType::kI2_S:
      return {128, 32, 0};
    default:
      throw std::logic_error(fmt::format("{} is not a ternary type", bitnet::TypeName(type)));
  }
}

// The byte of a weight in its block, and which of the byte's codes it is, as the format says.
struct CodeAt {
  size_t byte;
  size_t digit;
};
CodeAt Interleaved(TensorType type, size_t i) {
  if (type == TensorType::kI2_S) return {i % 32, i / 32};
  if (type == TensorType::kTQ2_0) return {i / 128 * 32 + i % 32, i % 128 / 32};
  if (i < 160) return {i % 32, i / 32};
  if (i < 240) return {32 + (i - 160) % 16, (i - 160) / 16};
  return {48 + (i - 240) % 4, (i - 240) / 4};
}
CodeAt Linear(TensorType type, size_t i) {
  if (type != TensorType::kTQ1_0) return {i / 4, i % 4};
  return i < 240 ? CodeAt{i / 5, i % 5} : CodeAt{48 + (i - 240) / 4, (i - 240) % 4};
}

uint8_t CodeIn(TensorType type, uint8_t byte, size_t digit) {
  if (type == TensorType::kI2_S) return byte >> (6 - 2 * digit) & 3;
  if (type == TensorType::kTQ2_0) return byte >> 2 * digit & 3;
  for (size_t n = 0; n < digit; ++n) byte = static_cast<uint8_t>(byte * 3);
  return static_cast<uint8_t>(byte * 3 >> 8);
}

template <CodeAt (*kPlace)(TensorType, size_t)>
void UnpackBlock(TensorType type, const std::byte* block, uint8_t* codes) {
  for (size_t i = 0; i < LayoutOf(type).weights; ++i) {
    const CodeAt at = kPlace(type, i);
    codes[i] = CodeIn(type, static_cast<uint8_t>(block[at.byte]), at.digit);
  }
}

void PackBlock(TensorType type, const uint8_t* codes, std::byte* block) {
  const Layout layout = LayoutOf(type);
  uint8_t bytes[64] = {};
  uint8_t digits[64][5] = {};
  for (size_t i = 0; i < layout.weights; ++i) {
    const CodeAt at = Interleaved(type, i);
    digits[at.byte][at.digit] = codes[i];
  }
  const size_t n = layout.scale_at != 0 ? layout.scale_at : layout.bytes;
  for (size_t b = 0; b < n; ++b) {
    unsigned value = 0;
    for (size_t d = 0; d < 5; ++d) {
      if (type == TensorType::kTQ1_0) {
        value = value * 3 + digits[b][d];
      } else if (d < 4) {
        value |= static_cast<unsigned>(digits[b][d]) << (type == TensorType::kI2_S ? 6 - 2 * d : 2 * d);
      }
    }
    bytes[b] = static_cast<uint8_t>(type == TensorType::kTQ1_0 ? (value * 256 + 242) / 243 : value);
  }
  std::memcpy(block, bytes, n);
}

// A copy of the matrix whose blocks `change` has seen.
template <typename Change>
ProductParameters Changed(const WeightMatrix& w, Change change) {
  const Layout layout = LayoutOf(w.type);
  std::vector<std::byte> bytes(w.data, w.data + bitnet::TensorBytes(w.type, w.rows, w.cols));
  for (size_t b = 0; b < w.rows * w.cols / layout.weights; ++b) change(bytes.data() + b * layout.bytes);
  ProductParameters own;
  own.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  own.w = w;
  own.w.data = own.bytes->data();
  return own;
}

}  // namespace

bool IsTernary(TensorType type) {
  return type == TensorType::kTQ1_0 || type == TensorType::kTQ2_0 || type == TensorType::kI2_S;
}

void UnpackRow(const WeightMatrix& w, size_t row, TernaryRow* out) {
  const Layout layout = LayoutOf(w.type);
  const size_t blocks = w.cols / layout.weights;
  const std::byte* data = w.data + row * blocks * layout.bytes;
  out->codes.resize(w.cols);
  out->scales.resize(layout.scale_at != 0 ? blocks : 0);
  for (size_t b = 0; b < blocks; ++b, data += layout.bytes) {
    UnpackBlock<Interleaved>(w.type, data, out->codes.data() + b * layout.weights);
    if (layout.scale_at == 0) continue;
    uint16_t half;
    std::memcpy(&half, data + layout.scale_at, sizeof(half));
    out->scales[b] = bitnet::F32FromF16(half);
  }
}

ProductParameters WithCodes(const WeightMatrix& w, const std::function<uint8_t(uint8_t)>& map) {
  return Changed(w, [&](std::byte* block) {
    uint8_t codes[256];
    UnpackBlock<Interleaved>(w.type, block, codes);
    for (size_t i = 0; i < LayoutOf(w.type).weights; ++i) codes[i] = map(codes[i]);
    PackBlock(w.type, codes, block);
  });
}

ProductParameters ReadLinearly(const WeightMatrix& w) {
  return Changed(w, [&](std::byte* block) {
    uint8_t codes[256];
    UnpackBlock<Linear>(w.type, block, codes);
    PackBlock(w.type, codes, block);
  });
}

ProductParameters WithoutScale(const WeightMatrix& w) {
  const size_t at = LayoutOf(w.type).scale_at;
  ProductParameters own = Changed(w, [&](std::byte* block) {
    const uint16_t one = bitnet::F16FromF32(1.0f);
    if (at != 0) std::memcpy(block + at, &one, sizeof(one));
  });
  own.w.scale = 1.0f;
  return own;
}

}  // namespace parity
