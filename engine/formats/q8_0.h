// Q8_0: 32 weights in 34 bytes, w = d * q[i]. (block_q8_0 in ggml-common.h, quantize_row_q8_0_ref in ggml-quants.c)
#ifndef BITNET_PARITY_ENGINE_FORMATS_Q8_0_H_
#define BITNET_PARITY_ENGINE_FORMATS_Q8_0_H_

#include "engine/formats/block_codec.h"
#include "engine/formats/format.h"

namespace bitnet {

struct BlockQ8_0 {
  static constexpr size_t kWeights = 32;
  uint16_t d;  // F16
  int8_t q[32];

  void Decode(float* out) const;
  void Encode(std::span<const float> in);
};
static_assert(sizeof(BlockQ8_0) == 34);

// The scale as d, the codes as they are: Encode would make 127 steps of the scale, which are rounded.
void EncodeCodesQ8_0(std::span<const int8_t> codes, float scale, std::span<std::byte> out);

inline constexpr Format kQ8_0Format = BlockFormat<BlockQ8_0>({.type = TensorType::kQ8_0,
                                                              .name = "Q8_0",
                                                              .file_type = 7,
                                                              .activations = ActivationKind::kQ80,
                                                              .exact_scale = ScaleType::kF16,
                                                              .encode_codes = EncodeCodesQ8_0});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_Q8_0_H_
