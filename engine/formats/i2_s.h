// I2_S as bitnet.cpp has it on x86: 128 weights in 32 bytes, w = scale * (code - 1), one float32 scale a tensor.
//
// Bits 7-6, 5-4, 3-2, 1-0 of byte j hold weights j, 32+j, 64+j, 96+j. The scale stands behind the tensor's last row, at
// byte rows*cols/4, and is followed by 28 zero bytes. (quantize_i2_s in bitnet.cpp's ggml-bitnet-mad.cpp)
#ifndef BITNET_PARITY_ENGINE_FORMATS_I2_S_H_
#define BITNET_PARITY_ENGINE_FORMATS_I2_S_H_

#include "engine/formats/block_codec.h"
#include "engine/formats/format.h"

namespace bitnet {

struct BlockI2_S {
  static constexpr size_t kWeights = 128;
  uint8_t codes[32];

  void Unpack(uint8_t* out) const;
  void UnpackLinear(uint8_t* out) const;  // bits are counted from the high end here too
  void Pack(const uint8_t* in);
};
static_assert(sizeof(BlockI2_S) == 32);

inline constexpr Format kI2_SFormat = TernaryFormat<BlockI2_S>({.type = TensorType::kI2_S,
                                                                .name = "I2_S",
                                                                .file_type = 40,
                                                                .activations = ActivationKind::kI8Row,
                                                                .tensor_extra = 32});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_I2_S_H_
