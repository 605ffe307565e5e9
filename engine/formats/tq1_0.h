// TQ1_0: 256 weights in 54 bytes, w = d * (trit - 1). (block_tq1_0 in ggml-common.h)
//
// A byte holds five trits as ceil(v * 256 / 243), v = the number they form in base 3, first trit first. Bytes 0-31 hold
// weights 0-159 (trit n of byte m: weight 32n + m), bytes 32-47 weights 160-239 (160 + 16n + m), bytes 48-51 weights
// 240-255 (240 + 4n + m; four trits, the fifth is 0).
#ifndef BITNET_PARITY_ENGINE_FORMATS_TQ1_0_H_
#define BITNET_PARITY_ENGINE_FORMATS_TQ1_0_H_

#include "engine/formats/block_codec.h"
#include "engine/formats/format.h"

namespace bitnet {

struct BlockTQ1_0 {
  static constexpr size_t kWeights = 256;
  uint8_t trits[52];
  uint16_t d;  // F16

  void Unpack(uint8_t* codes) const;
  void UnpackLinear(uint8_t* codes) const;
  void Pack(const uint8_t* codes);
};
static_assert(sizeof(BlockTQ1_0) == 54);

inline constexpr Format kTQ1_0Format = TernaryFormat<BlockTQ1_0>(
    {.type = TensorType::kTQ1_0, .name = "TQ1_0", .file_type = 36, .activations = ActivationKind::kQ8K});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_TQ1_0_H_
