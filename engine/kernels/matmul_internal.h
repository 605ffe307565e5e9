// The products of each format, and the one table of them.
#ifndef BITNET_PARITY_ENGINE_KERNELS_MATMUL_INTERNAL_H_
#define BITNET_PARITY_ENGINE_KERNELS_MATMUL_INTERNAL_H_

#include "engine/kernels/matmul.h"

namespace bitnet {

// What matmul.cc deals out to threads: rows [row_begin, row_end) of W against all positions of x. In x_matmul.cc, with
// the order of operations.
using MatMulRows = void(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                        size_t row_end, float* y);
MatMulRows FloatMatMulRows;
MatMulRows BlocksOf32MatMulRows;
MatMulRows KQuantsMatMulRows;
MatMulRows LowBitsMatMulRows;
MatMulRows Q6KMatMulRows;
MatMulRows TQ10MatMulRows;
MatMulRows TQ20MatMulRows;
MatMulRows I2SMatMulRows;

struct MatMulKernel {
  TensorType type;
  MatMulRows* rows;
};
inline constexpr MatMulKernel kMatMulKernels[] = {
    {TensorType::kF32, FloatMatMulRows},       {TensorType::kF16, FloatMatMulRows},
    {TensorType::kBF16, FloatMatMulRows},      {TensorType::kQ4_0, BlocksOf32MatMulRows},
    {TensorType::kQ4_1, BlocksOf32MatMulRows}, {TensorType::kQ5_0, BlocksOf32MatMulRows},
    {TensorType::kQ5_1, BlocksOf32MatMulRows}, {TensorType::kQ8_0, BlocksOf32MatMulRows},
    {TensorType::kQ2_K, KQuantsMatMulRows},    {TensorType::kQ3_K, KQuantsMatMulRows},
    {TensorType::kQ4_K, KQuantsMatMulRows},    {TensorType::kQ5_K, KQuantsMatMulRows},
    {TensorType::kQ6_K, Q6KMatMulRows},        {TensorType::kTQ1_0, TQ10MatMulRows},
    {TensorType::kTQ2_0, TQ20MatMulRows},      {TensorType::kI2_S, I2SMatMulRows},
    {TensorType::kQ1_0, LowBitsMatMulRows},    {TensorType::kQ2_0, LowBitsMatMulRows},
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_MATMUL_INTERNAL_H_
