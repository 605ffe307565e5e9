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

// Format::decode and encode of a Block with kWeights, void Decode(float* out) const and
// void Encode(std::span<const float> in).
template <class Block>
void DecodeBlocks(std::span<const std::byte> row, float, std::span<float> out) {
  ForBlocks<Block>(row, [&](const Block& block, size_t i) { block.Decode(out.data() + i * Block::kWeights); });
}
template <class Block>
void EncodeBlocks(std::span<const float> row, float, std::span<std::byte> out) {
  MakeBlocks<Block>(out,
                    [&](Block& block, size_t i) { block.Encode(row.subspan(i * Block::kWeights, Block::kWeights)); });
}

// The largest |value|. Throws std::runtime_error if one is not finite: blocks of integers cannot hold it.
float MaxMagnitude(std::span<const float> values);

// 1 / scale; 0 for scales so small that they are 0 in F16 long before.
float Inverse(float scale);

// The bits of a block's scale. Throws std::runtime_error if F16 cannot hold it.
uint16_t F16Scale(float scale);

// Codes 0, 1, 2 relative to `scale`, the largest magnitude.
void TernaryCodes(std::span<const float> values, float scale, uint8_t* codes);

// Format::ternary, decode and encode of a Block with kWeights, void Unpack(uint8_t* codes) const,
// void UnpackLinear(uint8_t* codes) const and void Pack(const uint8_t* codes); and, where it has a scale of its own,
// its F16 bits in a member d.
template <class Block>
concept HasScale = requires(Block block) {
  block.d;
};

template <class Block>
struct TernaryCodec {
  static void Unpack(const std::byte* from, uint8_t* codes) {
    Block block;
    std::memcpy(&block, from, sizeof(block));
    block.Unpack(codes);
  }
  static void UnpackLinear(const std::byte* from, uint8_t* codes) {
    Block block;
    std::memcpy(&block, from, sizeof(block));
    block.UnpackLinear(codes);
  }
  static void Pack(const uint8_t* codes, std::byte* to) {
    Block block;
    std::memcpy(&block, to, sizeof(block));
    block.Pack(codes);
    std::memcpy(to, &block, sizeof(block));
  }
  static constexpr int ScaleAt() {
    if constexpr (HasScale<Block>) return offsetof(Block, d);
    return -1;
  }
  static constexpr TernaryBlock kBlock = {
      .unpack = Unpack, .unpack_linear = UnpackLinear, .pack = Pack, .scale_at = ScaleAt()};

  static void Decode(std::span<const std::byte> row, float tensor_scale, std::span<float> out) {
    ForBlocks<Block>(row, [&](const Block& block, size_t i) {
      uint8_t codes[Block::kWeights];
      block.Unpack(codes);
      float scale = tensor_scale;
      if constexpr (HasScale<Block>) scale = F32FromF16(block.d);
      float* to = out.data() + i * Block::kWeights;
      for (size_t k = 0; k < Block::kWeights; ++k) to[k] = scale * static_cast<float>(codes[k] - 1);
    });
  }
  static void Encode(std::span<const float> row, float tensor_scale, std::span<std::byte> out) {
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
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_BLOCK_CODEC_H_
