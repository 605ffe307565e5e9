// The primitives on Highway: x_vectors.cc and x_matmul.cc.
#ifndef BITNET_PARITY_ENGINE_KERNELS_VECTORS_H_
#define BITNET_PARITY_ENGINE_KERNELS_VECTORS_H_

#include "engine/kernels/primitives.h"

namespace bitnet {

// Each of a family of formats: x_matmul.cc.
MatMulRows FloatMatMulRows;
MatMulRows BlocksOf32MatMulRows;
MatMulRows KQuantsMatMulRows;
MatMulRows LowBitsMatMulRows;
MatMulRows Q6KMatMulRows;
MatMulRows TQ10MatMulRows;
MatMulRows TQ20MatMulRows;
MatMulRows I2SMatMulRows;

namespace vectors {

void SiluMul(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out);
void SquaredReluMul(const float* gate, const float* up, size_t n, float* out);
void Add(const float* a, const float* b, size_t n, float* out);
void ToF16(const float* x, size_t n, uint16_t* out);
void RoundToF16(const float* x, size_t n, float* out);
void RoundToBf16(const float* x, size_t n, float* out);
void RmsNormRows(const float* x, size_t n, size_t cols, const float* gamma, float eps, float* y);
void Rope(float* x, size_t n_heads, size_t head_dim, size_t n_rot, const RopeAngles& angles, RopeLayout layout);
void Softmax(float* x, size_t n, float scale, const ArithmeticOrder& order);
void Quantize(ActivationKind kind, const float* x, size_t cols, const QuantizedRow& row);
void Dots(const uint16_t* w, size_t rows, size_t w_stride, const float* x, size_t cols, size_t x_stride, size_t n,
          const DotOrder& order, float* y, size_t y_stride);

}  // namespace vectors
}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_VECTORS_H_
