// Rows and tensors of every type, as plain scalar code: the definition of each layout. What runs in a forward pass is
// in engine/kernels; this serves converters, generators and tests.
//
// Layouts (F16 is IEEE half, little endian; weight i counts along the row within a block):
//   Q8_0   32 weights, 34 bytes: F16 d; int8 q[32].                             w = d * q[i]
//   Q6_K   256 weights, 210 bytes: low[128]; high[64]; int8 scales[16]; F16 d.  w = d * scales[i/16] * (q - 32)
//          With h = i/128, k = i/32 % 4, l = i%32: the low four bits of q are in low[64h + 32(k%2) + l], in its low
//          half for k < 2 and its high half for k >= 2; the high two bits are bits 2k, 2k+1 of high[32h + l].
//   TQ1_0  256 weights, 54 bytes: trits[52]; F16 d.                             w = d * (trit - 1)
//          A byte holds five trits as ceil(v * 256 / 243), v = the number they form in base 3, first trit first. Bytes
//          0-31 hold weights 0-159 (trit n of byte m: weight 32n + m), bytes 32-47 weights 160-239 (160 + 16n + m),
//          bytes 48-51 weights 240-255 (240 + 4n + m; four trits, the fifth is 0).
//   TQ2_0  256 weights, 66 bytes: codes[64]; F16 d.                             w = d * (code - 1)
//          Bits 2k, 2k+1 of byte 32c + m hold weight 128c + 32k + m.
//   I2_S   128 weights, 32 bytes of codes; one float32 scale behind the tensor. w = scale * (code - 1)
//          Bits 7-6, 5-4, 3-2, 1-0 of byte j hold weights j, 32+j, 64+j, 96+j. The scale stands at byte rows*cols/4 and
//          is followed by 28 zero bytes.
// Sources: ggml's ggml-common.h and ggml-quants.c (dequantize_row_*); bitnet.cpp for I2_S (x86 layout).
#ifndef BITNET_PARITY_ENGINE_GGUF_QUANTS_H_
#define BITNET_PARITY_ENGINE_GGUF_QUANTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/gguf/gguf.h"

namespace bitnet {

// IEEE half and bfloat16, rounding to nearest even.
float F32FromF16(uint16_t bits);
uint16_t F16FromF32(float value);
float F32FromBf16(uint16_t bits);
uint16_t Bf16FromF32(float value);

// `row`: RowBytes(type, out.size()) bytes; `out`: [cols]. Every type but I2_S, whose scale belongs to the tensor.
// Throws if a size does not fit the type.
void DequantizeRow(TensorType type, std::span<const std::byte> row, std::span<float> out);

// The nearest row that the type can hold; the same shapes. Q8_0, TQ1_0 and TQ2_0 give the bytes of ggml's
// quantize_row_*_ref. Q6_K picks each group's scale from its largest magnitude, without ggml's search for a better one.
// Throws if a size does not fit, or if a value that goes into a block is not finite.
void QuantizeRow(TensorType type, std::span<const float> row, std::span<std::byte> out);

// Whole tensors of [rows, cols], every type. `data`: TensorBytes(type, rows, cols) bytes.
void DequantizeTensor(TensorType type, std::span<const std::byte> data, uint64_t rows, uint64_t cols,
                      std::span<float> out);
void QuantizeTensor(TensorType type, std::span<const float> values, uint64_t rows, uint64_t cols,
                    std::span<std::byte> out);

// A tensor of codes -1, 0, +1 times one scale: what a 1-bit model's projections are, whatever type holds them.
struct TernaryTensor {
  uint64_t rows = 0;
  uint64_t cols = 0;
  float scale = 0;            // positive
  std::vector<int8_t> codes;  // [rows, cols]
};

// nullopt if `values` [rows, cols] hold more than one magnitude besides 0. All zeros: scale 1.
std::optional<TernaryTensor> FindTernary(std::span<const float> values, uint64_t rows, uint64_t cols);

// Bytes that dequantize to exactly codes * scale. F32, F16, BF16, Q8_0, TQ1_0, TQ2_0 or I2_S; throws for Q6_K, and if
// the scale is not one that the type holds exactly (F16 for F16, Q8_0, TQ1_0, TQ2_0; BF16 for BF16).
std::vector<std::byte> EncodeTernary(TensorType type, const TernaryTensor& tensor);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_GGUF_QUANTS_H_
