// TQ2_0: 256 weights in 66 bytes, w = d * (code - 1). (block_tq2_0 in ggml-common.h)
//
// Bits 2k, 2k+1 of byte 32c + m hold weight 128c + 32k + m.
#ifndef BITNET_PARITY_ENGINE_FORMATS_TQ2_0_H_
#define BITNET_PARITY_ENGINE_FORMATS_TQ2_0_H_

#include "engine/formats/block_codec.h"
#include "engine/formats/format.h"

namespace bitnet {

struct BlockTQ2_0 {
  static constexpr size_t kWeights = 256;
  uint8_t codes[64];
  uint16_t d;  // F16

  void Unpack(uint8_t* out) const;
  void UnpackLinear(uint8_t* out) const;
  void Pack(const uint8_t* in);
};
static_assert(sizeof(BlockTQ2_0) == 66);

inline constexpr Format kTQ2_0Format = TernaryFormat<BlockTQ2_0>(
    {.type = TensorType::kTQ2_0, .name = "TQ2_0", .file_type = 37, .activations = ActivationKind::kQ8K});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_TQ2_0_H_
