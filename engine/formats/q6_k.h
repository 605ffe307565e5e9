// Q6_K: 256 weights in 210 bytes, w = d * scales[i/16] * (q - 32). (block_q6_K in ggml-common.h)
//
// With h = i/128, k = i/32 % 4, l = i%32: the low four bits of q are in low[64h + 32(k%2) + l], in its low half for
// k < 2 and its high half for k >= 2; the high two bits are bits 2k, 2k+1 of high[32h + l].
#ifndef BITNET_PARITY_ENGINE_FORMATS_Q6_K_H_
#define BITNET_PARITY_ENGINE_FORMATS_Q6_K_H_

#include "engine/formats/block_codec.h"
#include "engine/formats/format.h"

namespace bitnet {

struct BlockQ6_K {
  static constexpr size_t kWeights = 256;
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  uint16_t d;  // F16

  // q of each weight, 0 .. 63.
  void Unpack(uint8_t* q) const;
  void Decode(float* out) const;
  // Picks each group's scale from its largest magnitude, without ggml's search for a better one.
  void Encode(std::span<const float> in);
};
static_assert(sizeof(BlockQ6_K) == 210);

inline constexpr Format kQ6_KFormat = BlockFormat<BlockQ6_K>(
    {.type = TensorType::kQ6_K, .name = "Q6_K", .file_type = 18, .activations = ActivationKind::kQ8K});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_Q6_K_H_
