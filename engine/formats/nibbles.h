// Q4_0, Q4_1, Q5_0, Q5_1: 32 weights in 18, 20, 22, 24 bytes. Q4_0 and Q5_0: w = d * (q - 8), d * (q - 16); Q4_1 and
// Q5_1: w = d * q + m. (block_q4_0 and the others in ggml-common.h, their quantize_row_x_ref in ggml-quants.c)
//
// The low four bits of q are in low[i % 16], in its low half for i < 16 and its high half for others; the fifth is bit
// i of `high`, little endian.
#ifndef BITNET_PARITY_ENGINE_FORMATS_NIBBLES_H_
#define BITNET_PARITY_ENGINE_FORMATS_NIBBLES_H_

#include "engine/formats/block_codec.h"
#include "engine/formats/format.h"

namespace bitnet {

struct HalfScale {
  uint16_t d;  // F16
};
struct HalfScaleAndMin {
  uint16_t d, m;  // F16
};
struct NoFifthBits {};
struct FifthBits {
  uint8_t high[4];
};

template <int kBits, bool kHasMin>
struct BlockNibbles : std::conditional_t<kHasMin, HalfScaleAndMin, HalfScale>,
                      std::conditional_t<kBits == 5, FifthBits, NoFifthBits> {
  static constexpr size_t kWeights = 32;
  static constexpr int kOffset = kHasMin ? 0 : 1 << (kBits - 1);
  uint8_t low[16];

  // q - kOffset of each weight.
  void Unpack(int8_t* q) const {
    uint32_t bits = 0;
    if constexpr (kBits == 5) std::memcpy(&bits, this->high, sizeof(bits));
    for (size_t i = 0; i < 16; ++i) {
      const int first = (low[i] & 15) | (kBits == 5 ? (bits >> i & 1) << 4 : 0);
      const int second = (low[i] >> 4) | (kBits == 5 ? (bits >> (16 + i) & 1) << 4 : 0);
      q[i] = static_cast<int8_t>(first - kOffset);
      q[16 + i] = static_cast<int8_t>(second - kOffset);
    }
  }
  void Decode(float* out) const;
  void Encode(std::span<const float> in);
};
using BlockQ4_0 = BlockNibbles<4, false>;
using BlockQ4_1 = BlockNibbles<4, true>;
using BlockQ5_0 = BlockNibbles<5, false>;
using BlockQ5_1 = BlockNibbles<5, true>;
static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24);

inline constexpr Format kQ4_0Format = BlockFormat<BlockQ4_0>(
    {.type = TensorType::kQ4_0, .name = "Q4_0", .file_type = 2, .activations = ActivationKind::kQ80});
inline constexpr Format kQ4_1Format = BlockFormat<BlockQ4_1>(
    {.type = TensorType::kQ4_1, .name = "Q4_1", .file_type = 3, .activations = ActivationKind::kQ81});
inline constexpr Format kQ5_0Format = BlockFormat<BlockQ5_0>(
    {.type = TensorType::kQ5_0, .name = "Q5_0", .file_type = 8, .activations = ActivationKind::kQ80});
inline constexpr Format kQ5_1Format = BlockFormat<BlockQ5_1>(
    {.type = TensorType::kQ5_1, .name = "Q5_1", .file_type = 9, .activations = ActivationKind::kQ81});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_NIBBLES_H_
