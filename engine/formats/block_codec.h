// For the formats' own files: rows made of block structs, and how values become codes.
#ifndef BITNET_PARITY_ENGINE_FORMATS_BLOCK_CODEC_H_
#define BITNET_PARITY_ENGINE_FORMATS_BLOCK_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "engine/formats/format.h"
#include "engine/formats/half.h"

namespace bitnet {

// Calls f(block, i) for the i-th block of a row.
template <class Block, class F>
void ForBlocks(std::span<const std::byte> row, const F& f) {
  for (size_t i = 0; i < row.size() / sizeof(Block); ++i) {
    Block block;
    std::memcpy(&block, row.data() + i * sizeof(Block), sizeof(Block));
    f(block, i);
  }
}

// Writes the blocks of a row as f(block, i) fills them in.
template <class Block, class F>
void MakeBlocks(std::span<std::byte> row, const F& f) {
  for (size_t i = 0; i < row.size() / sizeof(Block); ++i) {
    Block block;
    f(block, i);
    std::memcpy(row.data() + i * sizeof(Block), &block, sizeof(Block));
  }
}

// The row of a format whose Block has kWeights, void Decode(float* out) const and void Encode(std::span<const float>
// in).
template <class Block>
constexpr Format BlockFormat(Format f) {
  f.block_weights = Block::kWeights;
  f.block_bytes = sizeof(Block);
  f.decode = [](std::span<const std::byte> row, float, std::span<float> out) {
    ForBlocks<Block>(row, [&](const Block& block, size_t i) { block.Decode(out.data() + i * Block::kWeights); });
  };
  f.encode = [](std::span<const float> row, float, std::span<std::byte> out) {
    MakeBlocks<Block>(out,
                      [&](Block& block, size_t i) { block.Encode(row.subspan(i * Block::kWeights, Block::kWeights)); });
  };
  return f;
}

// The largest |value|. Throws std::runtime_error if one is not finite: blocks of integers cannot hold it.
float MaxMagnitude(std::span<const float> values);

// 1 / scale; 0 for scales so small that they are 0 in F16 long before.
float Inverse(float scale);

// The bits of a block's scale. Throws std::runtime_error if F16 cannot hold it.
uint16_t F16Scale(float scale);

// Codes 0, 1, 2 relative to `scale`, the largest magnitude.
void TernaryCodes(std::span<const float> values, float scale, uint8_t* codes);

// Whether a block has a scale of its own: its F16 bits in a member d.
template <class Block>
concept HasScale = requires(Block block) {
  block.d;
};

template <class Block>
constexpr TernaryBlock MakeTernaryBlock() {
  TernaryBlock t = {
      .unpack = [](const std::byte* from, uint8_t* codes) { reinterpret_cast<const Block*>(from)->Unpack(codes); },
      .unpack_linear = [](const std::byte* from,
                          uint8_t* codes) { reinterpret_cast<const Block*>(from)->UnpackLinear(codes); },
      .pack = [](const uint8_t* codes, std::byte* to) { reinterpret_cast<Block*>(to)->Pack(codes); },
      .scale_at = -1};
  if constexpr (HasScale<Block>) t.scale_at = offsetof(Block, d);
  return t;
}
template <class Block>
inline constexpr TernaryBlock kTernaryBlock = MakeTernaryBlock<Block>();

template <class Block>
void DecodeTernaryRow(std::span<const std::byte> row, float tensor_scale, std::span<float> out) {
  ForBlocks<Block>(row, [&](const Block& block, size_t i) {
    uint8_t codes[Block::kWeights];
    block.Unpack(codes);
    float scale = tensor_scale;
    if constexpr (HasScale<Block>) scale = F32FromF16(block.d);
    float* to = out.data() + i * Block::kWeights;
    for (size_t k = 0; k < Block::kWeights; ++k) to[k] = scale * static_cast<float>(codes[k] - 1);
  });
}

template <class Block>
void EncodeTernaryRow(std::span<const float> row, float tensor_scale, std::span<std::byte> out) {
  MakeBlocks<Block>(out, [&](Block& block, size_t i) {
    const std::span<const float> in = row.subspan(i * Block::kWeights, Block::kWeights);
    uint8_t codes[Block::kWeights];
    float scale = tensor_scale;
    if constexpr (HasScale<Block>) {
      scale = MaxMagnitude(in);
      block.d = F16Scale(scale);
    }
    TernaryCodes(in, scale, codes);
    block.Pack(codes);
  });
}

// The row of a ternary format whose Block, of bytes and halves, has kWeights, void Unpack(uint8_t* codes) const,
// void UnpackLinear(uint8_t* codes) const and void Pack(const uint8_t* codes).
template <class Block>
constexpr Format TernaryFormat(Format f) {
  f.block_weights = Block::kWeights;
  f.block_bytes = sizeof(Block);
  f.decode = DecodeTernaryRow<Block>;
  f.encode = EncodeTernaryRow<Block>;
  f.ternary = &kTernaryBlock<Block>;
  f.exact_scale = HasScale<Block> ? ScaleType::kF16 : ScaleType::kF32;
  return f;
}

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_BLOCK_CODEC_H_
