// Q1_0: 128 weights in 18 bytes, w = d where the weight's bit is set, else -d. Q2_0: 64 weights in 18 bytes,
// w = d * (q - 1). (block_q1_0 and block_q2_0 in ggml-common.h, their quantize_row_x_ref in ggml-quants.c)
//
// Neighbours share a byte, the first in its low bits. Bonsai's Q2_0 of 128 weights in 34 bytes has the same number, and
// is another format.
#ifndef BITNET_PARITY_ENGINE_FORMATS_LOW_BITS_H_
#define BITNET_PARITY_ENGINE_FORMATS_LOW_BITS_H_

#include "engine/formats/block_codec.h"
#include "engine/formats/format.h"

namespace bitnet {

template <size_t kCount, int kBits>
struct BlockLowBits {
  static constexpr size_t kWeights = kCount;
  uint16_t d;  // F16
  uint8_t bits[kCount * kBits / 8];

  // The weights in units of d.
  void Unpack(int8_t* out) const {
    for (size_t i = 0; i < kCount; ++i) {
      const int q = bits[i * kBits / 8] >> (i * kBits % 8) & ((1 << kBits) - 1);
      out[i] = static_cast<int8_t>(kBits == 1 ? 2 * q - 1 : q - 1);
    }
  }
  void Pack(const int8_t* in) {
    std::memset(bits, 0, sizeof(bits));
    for (size_t i = 0; i < kCount; ++i) {
      const int q = kBits == 1 ? in[i] > 0 : in[i] + 1;
      bits[i * kBits / 8] = static_cast<uint8_t>(bits[i * kBits / 8] | q << (i * kBits % 8));
    }
  }
  void Decode(float* out) const {
    int8_t codes[kCount];
    Unpack(codes);
    for (size_t i = 0; i < kCount; ++i) out[i] = static_cast<float>(codes[i]) * F32FromF16(d);
  }
  void Encode(std::span<const float> in);
};
using BlockQ1_0 = BlockLowBits<128, 1>;
using BlockQ2_0 = BlockLowBits<64, 2>;
static_assert(sizeof(BlockQ1_0) == 18 && sizeof(BlockQ2_0) == 18);

inline constexpr Format kQ1_0Format = BlockFormat<BlockQ1_0>(
    {.type = TensorType::kQ1_0, .name = "Q1_0", .file_type = 40, .activations = ActivationKind::kQ80});
inline constexpr Format kQ2_0Format = BlockFormat<BlockQ2_0>({.type = TensorType::kQ2_0,
                                                              .name = "Q2_0",
                                                              .file_type = 41,
                                                              .activations = ActivationKind::kQ80,
                                                              .exact_scale = ScaleType::kF16});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_LOW_BITS_H_
