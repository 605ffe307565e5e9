#include "engine/gguf/quants.h"

#include <fmt/format.h>
#include <hwy/base.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "engine/gguf/tensor_type.h"

namespace bitnet {

float F32FromF16(uint16_t bits) { return hwy::F32FromF16(hwy::float16_t::FromBits(bits)); }
uint16_t F16FromF32(float value) { return hwy::BitCastScalar<uint16_t>(hwy::F16FromF32(value)); }
float F32FromBf16(uint16_t bits) { return hwy::F32FromBF16(hwy::bfloat16_t::FromBits(bits)); }
uint16_t Bf16FromF32(float value) { return hwy::BitCastScalar<uint16_t>(hwy::BF16FromF32(value)); }

namespace {

struct BlockQ8_0 {
  static constexpr size_t kWeights = 32;
  uint16_t d;
  int8_t q[32];
};
struct BlockQ6_K {
  static constexpr size_t kWeights = 256;
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  uint16_t d;
};
struct BlockTQ1_0 {
  static constexpr size_t kWeights = 256;
  uint8_t trits[52];
  uint16_t d;
};
struct BlockTQ2_0 {
  static constexpr size_t kWeights = 256;
  uint8_t codes[64];
  uint16_t d;
};
static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockQ6_K) == 210 && sizeof(BlockTQ1_0) == 54 &&
              sizeof(BlockTQ2_0) == 66);

// Where TQ1_0 keeps its weights: weight first + bytes*n + m is trit n of byte first_byte + m.
struct TritSegment {
  int first, first_byte, bytes, trits;
};
constexpr std::array<TritSegment, 3> kTritSegments = {{{0, 0, 32, 5}, {160, 32, 16, 5}, {240, 48, 4, 4}}};
constexpr std::array<int, 5> kPow3 = {1, 3, 9, 27, 81};

void DecodeBlock(const BlockQ8_0& block, float* out) {
  const float d = F32FromF16(block.d);
  for (int i = 0; i < 32; ++i) out[i] = d * block.q[i];
}

void DecodeBlock(const BlockQ6_K& block, float* out) {
  const float d = F32FromF16(block.d);
  for (int i = 0; i < 256; ++i) {
    const int h = i / 128, k = i / 32 % 4, l = i % 32;
    const int low = block.low[64 * h + 32 * (k % 2) + l] >> (k < 2 ? 0 : 4) & 15;
    const int high = block.high[32 * h + l] >> (2 * k) & 3;
    out[i] = d * block.scales[i / 16] * static_cast<float>((high << 4 | low) - 32);
  }
}

void DecodeBlock(const BlockTQ1_0& block, float* out) {
  const float d = F32FromF16(block.d);
  for (const TritSegment& s : kTritSegments) {
    for (int n = 0; n < s.trits; ++n) {
      for (int m = 0; m < s.bytes; ++m) {
        // The byte is a fraction of 256; times 3^n, its whole part is dropped and the next trit is at the point.
        const int fraction = block.trits[s.first_byte + m] * kPow3[n] & 0xff;
        out[s.first + n * s.bytes + m] = d * static_cast<float>((fraction * 3 >> 8) - 1);
      }
    }
  }
}

void DecodeBlock(const BlockTQ2_0& block, float* out) {
  const float d = F32FromF16(block.d);
  for (int i = 0; i < 256; ++i) {
    const int code = block.codes[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
    out[i] = d * static_cast<float>(code - 1);
  }
}

// Codes are -1, 0, +1.
BlockTQ1_0 PackTQ1_0(const int8_t* codes, uint16_t d) {
  BlockTQ1_0 block = {};
  for (const TritSegment& s : kTritSegments) {
    for (int m = 0; m < s.bytes; ++m) {
      int number = 0;
      for (int n = 0; n < 5; ++n) number = number * 3 + (n < s.trits ? codes[s.first + n * s.bytes + m] + 1 : 0);
      block.trits[s.first_byte + m] = static_cast<uint8_t>((number * 256 + 242) / 243);
    }
  }
  block.d = d;
  return block;
}

BlockTQ2_0 PackTQ2_0(const int8_t* codes, uint16_t d) {
  BlockTQ2_0 block;
  for (int c = 0; c < 2; ++c) {
    const int8_t* chunk = codes + 128 * c;
    for (int m = 0; m < 32; ++m) {
      block.codes[32 * c + m] = static_cast<uint8_t>((chunk[m] + 1) | (chunk[32 + m] + 1) << 2 |
                                                     (chunk[64 + m] + 1) << 4 | (chunk[96 + m] + 1) << 6);
    }
  }
  block.d = d;
  return block;
}

void PackI2S(std::span<const int8_t> codes, float scale, std::byte* out) {
  for (size_t i = 0; i < codes.size(); i += 128) {
    const int8_t* block = codes.data() + i;
    for (int j = 0; j < 32; ++j) {
      *out++ = static_cast<std::byte>((block[j] + 1) << 6 | (block[32 + j] + 1) << 4 | (block[64 + j] + 1) << 2 |
                                      (block[96 + j] + 1));
    }
  }
  std::memset(out, 0, 32);
  std::memcpy(out, &scale, sizeof(scale));
}

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

// 1 / scale; 0 for scales so small that they are 0 in F16 long before.
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

// Codes relative to the largest magnitude, which becomes the scale.
void TernaryCodes(std::span<const float> values, float scale, int8_t* codes) {
  const float inverse = Inverse(scale);
  for (size_t i = 0; i < values.size(); ++i) {
    codes[i] = static_cast<int8_t>(std::clamp(std::lround(values[i] * inverse), -1L, 1L));
  }
}

void EncodeBlock(std::span<const float> in, BlockQ8_0& block) {
  const float d = MaxMagnitude(in) / 127;
  const float inverse = Inverse(d);
  block.d = F16Scale(d);
  for (int i = 0; i < 32; ++i) block.q[i] = static_cast<int8_t>(std::clamp(std::round(in[i] * inverse), -128.f, 127.f));
}

void EncodeBlock(std::span<const float> in, BlockQ6_K& block) {
  std::memset(&block, 0, sizeof(block));
  MaxMagnitude(in);
  // q - 32 reaches from -32 to 31: each group's largest value becomes -32, so its step has the opposite sign.
  std::array<float, 16> steps;
  float largest = 0;
  for (int g = 0; g < 16; ++g) {
    const auto group = in.subspan(16 * g, 16);
    const float peak =
        *std::max_element(group.begin(), group.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
    steps[g] = peak / -32;
    largest = std::max(largest, std::abs(steps[g]));
  }
  block.d = F16Scale(largest / 127);
  const float d = F32FromF16(block.d);
  for (int i = 0; i < 256; ++i) {
    if (i % 16 == 0) {
      block.scales[i / 16] = d != 0 ? static_cast<int8_t>(std::clamp(std::round(steps[i / 16] / d), -127.f, 127.f)) : 0;
    }
    const float step = d * block.scales[i / 16];
    const int q = step != 0 ? static_cast<int>(std::clamp(std::round(in[i] / step), -32.f, 31.f)) + 32 : 32;
    const int h = i / 128, k = i / 32 % 4, l = i % 32;
    block.low[64 * h + 32 * (k % 2) + l] |= static_cast<uint8_t>((q & 15) << (k < 2 ? 0 : 4));
    block.high[32 * h + l] |= static_cast<uint8_t>(q >> 4 << (2 * k));
  }
}

void EncodeBlock(std::span<const float> in, BlockTQ1_0& block) {
  std::array<int8_t, 256> codes;
  const float scale = MaxMagnitude(in);
  TernaryCodes(in, scale, codes.data());
  block = PackTQ1_0(codes.data(), F16Scale(scale));
}

void EncodeBlock(std::span<const float> in, BlockTQ2_0& block) {
  std::array<int8_t, 256> codes;
  const float scale = MaxMagnitude(in);
  TernaryCodes(in, scale, codes.data());
  block = PackTQ2_0(codes.data(), F16Scale(scale));
}

template <typename Block>
void DecodeBlocks(std::span<const std::byte> row, std::span<float> out) {
  for (size_t i = 0; i < out.size() / Block::kWeights; ++i) {
    Block block;
    std::memcpy(&block, row.data() + i * sizeof(Block), sizeof(Block));
    DecodeBlock(block, out.data() + i * Block::kWeights);
  }
}

template <typename Block>
void EncodeBlocks(std::span<const float> row, std::span<std::byte> out) {
  for (size_t i = 0; i < row.size() / Block::kWeights; ++i) {
    Block block;
    EncodeBlock(row.subspan(i * Block::kWeights, Block::kWeights), block);
    std::memcpy(out.data() + i * sizeof(Block), &block, sizeof(Block));
  }
}

void DecodeHalves(std::span<const std::byte> row, std::span<float> out, float (*decode)(uint16_t)) {
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, row.data() + 2 * i, 2);
    out[i] = decode(bits);
  }
}

void EncodeHalves(std::span<const float> row, std::span<std::byte> out, uint16_t (*encode)(float)) {
  for (size_t i = 0; i < row.size(); ++i) {
    const uint16_t bits = encode(row[i]);
    std::memcpy(out.data() + 2 * i, &bits, 2);
  }
}

void CheckBytes(TensorType type, size_t found, size_t expected) {
  if (found != expected) {
    throw std::runtime_error(fmt::format("{} data: found {} bytes, expected {}; pass the whole row or tensor",
                                         TypeName(type), found, expected));
  }
}

// Returns rows * cols, after checking the bytes and the number of values.
size_t CheckTensor(TensorType type, size_t bytes, size_t values, uint64_t rows, uint64_t cols) {
  CheckBytes(type, bytes, TensorBytes(type, rows, cols));
  uint64_t expected = 0;
  if (__builtin_mul_overflow(rows, cols, &expected) || values != expected) {
    throw std::runtime_error(fmt::format("{} tensor of [{}, {}]: found {} values, expected rows * cols", TypeName(type),
                                         rows, cols, values));
  }
  return expected;
}

}  // namespace

void DequantizeRow(TensorType type, std::span<const std::byte> row, std::span<float> out) {
  CheckBytes(type, row.size(), RowBytes(type, out.size()));
  switch (type) {
    case TensorType::kF32:
      if (!out.empty()) std::memcpy(out.data(), row.data(), row.size());
      return;
    case TensorType::kF16:
      return DecodeHalves(row, out, F32FromF16);
    case TensorType::kBF16:
      return DecodeHalves(row, out, F32FromBf16);
    case TensorType::kQ8_0:
      return DecodeBlocks<BlockQ8_0>(row, out);
    case TensorType::kQ6_K:
      return DecodeBlocks<BlockQ6_K>(row, out);
    case TensorType::kTQ1_0:
      return DecodeBlocks<BlockTQ1_0>(row, out);
    case TensorType::kTQ2_0:
      return DecodeBlocks<BlockTQ2_0>(row, out);
    case TensorType::kI2_S:
      break;
  }
  throw std::runtime_error("a row of I2_S has no scale of its own; use DequantizeTensor");
}

void QuantizeRow(TensorType type, std::span<const float> row, std::span<std::byte> out) {
  CheckBytes(type, out.size(), RowBytes(type, row.size()));
  switch (type) {
    case TensorType::kF32:
      if (!row.empty()) std::memcpy(out.data(), row.data(), out.size());
      return;
    case TensorType::kF16:
      return EncodeHalves(row, out, F16FromF32);
    case TensorType::kBF16:
      return EncodeHalves(row, out, Bf16FromF32);
    case TensorType::kQ8_0:
      return EncodeBlocks<BlockQ8_0>(row, out);
    case TensorType::kQ6_K:
      return EncodeBlocks<BlockQ6_K>(row, out);
    case TensorType::kTQ1_0:
      return EncodeBlocks<BlockTQ1_0>(row, out);
    case TensorType::kTQ2_0:
      return EncodeBlocks<BlockTQ2_0>(row, out);
    case TensorType::kI2_S:
      break;
  }
  throw std::runtime_error("a row of I2_S has no scale of its own; use QuantizeTensor");
}

void DequantizeTensor(TensorType type, std::span<const std::byte> data, uint64_t rows, uint64_t cols,
                      std::span<float> out) {
  const size_t weights = CheckTensor(type, data.size(), out.size(), rows, cols);
  if (type == TensorType::kI2_S) {
    float scale;
    std::memcpy(&scale, data.data() + weights / 4, sizeof(scale));
    for (size_t i = 0; i < weights; ++i) {
      const int code = static_cast<int>(data[i / 128 * 32 + i % 32]) >> (6 - i / 32 % 4 * 2) & 3;
      out[i] = scale * static_cast<float>(code - 1);
    }
    return;
  }
  const size_t row_bytes = RowBytes(type, cols);
  for (uint64_t r = 0; r < rows; ++r)
    DequantizeRow(type, data.subspan(r * row_bytes, row_bytes), out.subspan(r * cols, cols));
}

void QuantizeTensor(TensorType type, std::span<const float> values, uint64_t rows, uint64_t cols,
                    std::span<std::byte> out) {
  const size_t weights = CheckTensor(type, out.size(), values.size(), rows, cols);
  if (type == TensorType::kI2_S) {
    const float scale = MaxMagnitude(values);
    std::vector<int8_t> codes(weights);
    TernaryCodes(values, scale, codes.data());
    return PackI2S(codes, scale, out.data());
  }
  const size_t row_bytes = RowBytes(type, cols);
  for (uint64_t r = 0; r < rows; ++r)
    QuantizeRow(type, values.subspan(r * cols, cols), out.subspan(r * row_bytes, row_bytes));
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
  std::vector<std::byte> out(TensorBytes(type, rows, cols));
  CheckTensor(type, out.size(), tensor.codes.size(), rows, cols);
  const uint16_t f16 = F16FromF32(tensor.scale);
  const bool needs_f16 =
      type == TensorType::kF16 || type == TensorType::kQ8_0 || type == TensorType::kTQ1_0 || type == TensorType::kTQ2_0;
  const bool holds = needs_f16 ? F32FromF16(f16) == tensor.scale
                               : type != TensorType::kBF16 || F32FromBf16(Bf16FromF32(tensor.scale)) == tensor.scale;
  if (!holds || !std::isfinite(tensor.scale)) {
    throw std::runtime_error(fmt::format("{} cannot hold the scale {} exactly; expected one of fewer significant bits",
                                         TypeName(type), tensor.scale));
  }
  const auto blocks = [&]<typename Block>(const auto& pack) {
    for (size_t i = 0; i < tensor.codes.size() / Block::kWeights; ++i) {
      const Block block = pack(tensor.codes.data() + i * Block::kWeights, f16);
      std::memcpy(out.data() + i * sizeof(Block), &block, sizeof(Block));
    }
  };
  switch (type) {
    case TensorType::kTQ1_0:
      blocks.template operator()<BlockTQ1_0>(PackTQ1_0);
      break;
    case TensorType::kTQ2_0:
      blocks.template operator()<BlockTQ2_0>(PackTQ2_0);
      break;
    case TensorType::kQ8_0:  // the scale as d, the codes as they are: 127 steps to the scale would be rounded
      blocks.template operator()<BlockQ8_0>([](const int8_t* codes, uint16_t d) {
        BlockQ8_0 block;
        block.d = d;
        std::copy_n(codes, 32, block.q);
        return block;
      });
      break;
    case TensorType::kI2_S:
      PackI2S(tensor.codes, tensor.scale, out.data());
      break;
    case TensorType::kF32:
    case TensorType::kF16:
    case TensorType::kBF16: {
      std::vector<float> row(cols);
      const size_t row_bytes = RowBytes(type, cols);
      for (uint64_t r = 0; r < rows; ++r) {
        for (uint64_t c = 0; c < cols; ++c) row[c] = tensor.scale * tensor.codes[r * cols + c];
        QuantizeRow(type, row, std::span(out).subspan(r * row_bytes, row_bytes));
      }
      break;
    }
    case TensorType::kQ6_K:
      throw std::runtime_error(
          "Q6_K does not hold ternary tensors exactly; use TQ1_0, TQ2_0, I2_S, Q8_0, F16, BF16 or F32");
  }
  return out;
}

}  // namespace bitnet
