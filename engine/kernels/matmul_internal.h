// What matmul.cc deals out to threads: rows [row_begin, row_end) of W against all positions of x.
#ifndef BITNET_PARITY_ENGINE_KERNELS_MATMUL_INTERNAL_H_
#define BITNET_PARITY_ENGINE_KERNELS_MATMUL_INTERNAL_H_

#include "engine/kernels/matmul.h"

namespace bitnet {

// F32, F16, BF16.
void FloatMatMulRows(const WeightMatrix& w, const Activations& x, const DotOrder& order, size_t row_begin,
                     size_t row_end, float* y);
// TQ1_0 and TQ2_0 with Q8_K.
void TernaryQ8KMatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                          size_t row_end, float* y);
// Q8_0 with Q8_0.
void Q80MatMulRows(const WeightMatrix& w, const Activations& x, size_t row_begin, size_t row_end, float* y);
// Q6_K with Q8_K.
void Q6KMatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                   size_t row_end, float* y);
// I2_S with I8Row.
void TernaryI8MatMulRows(const WeightMatrix& w, const Activations& x, size_t row_begin, size_t row_end, float* y);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_MATMUL_INTERNAL_H_
