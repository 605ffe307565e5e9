// y[n, rows] = x[n, cols] . W[rows, cols]^T, for every weight type, in the order of operations of the reference.
#ifndef BITNET_PARITY_ENGINE_KERNELS_MATMUL_H_
#define BITNET_PARITY_ENGINE_KERNELS_MATMUL_H_

#include <cstddef>
#include <cstdint>

#include "engine/gguf/gguf.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/order.h"
#include "engine/kernels/thread_pool.h"

namespace bitnet {

// A view into a file: [rows, cols], cols contiguous.
struct WeightMatrix {
  TensorType type = TensorType::kF32;
  size_t rows = 0;
  size_t cols = 0;
  const std::byte* data = nullptr;
  float scale = 1.0f;  // I2_S: the scale of the whole tensor
};

// `x` must have been prepared with ActivationKindFor(w.type, n, order). y: [n, rows].
//   F32, F16, BF16: dot products as order.single (n = 1) or order.batch say; BF16: order.bf16_single, order.bf16_batch.
//   Q8_0: in eight lanes; lane l takes bytes 4l .. 4l+3 of a block, lane = fma(d_w * d_q, float32(their sum), lane);
//     then as below (ggml_vec_dot_q8_0_q8_0; tinyBLAS_Q0_AVX for a batch).
//   TQ1_0, TQ2_0: in eight lanes; lane l collects code*q of the bytes whose index in their chunk of 32 has l as
//     quotient by 4, minus the sum of q[32*l .. 32*l+31]; lane = fma(float32(that), d_q * d_w, lane) block by block;
//     then (4..7)+(0..3), (2,3)+(0,1), 1+0 (ggml_vec_dot_tq2_0_q8_K in ggml-cpu/arch/x86/quants.c).
//   Q6_K: in the same eight lanes, code*scale*q with codes of 0 to 63. What their offset adds too much, 32*scale*q, is
//     taken off in the lane of each q, or (order.q6_k_offset_apart) for q[32*l .. 32*l+31] in lane l; the rest as above
//     (ggml_vec_dot_q6_K_q8_K).
//   I2_S: (float32(sum code*q) - sum q) / s * scale (bitnet.cpp's ggml_compute_forward_mul_mat).
void MatMul(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, float* y, ThreadPool& pool);

// One row of W as float32, out: [cols] (the embedding of a token).
void WeightRow(const WeightMatrix& w, size_t row, float* out);

namespace scalar {
// One output each, by definition.
float DotF32(const float* a, const float* b, size_t n, const DotOrder& order);
float DotF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order);
float DotBF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order);
// w, q: [cols]; d_w, d: [cols/32].
float DotQ80(const int8_t* w, const float* d_w, const int8_t* q, const float* d, size_t cols);
// codes: [cols] in 0, 1, 2; q, d: one row of Q8_K; d_w: [cols/256].
float DotTernaryQ8K(const uint8_t* codes, const float* d_w, const int8_t* q, const float* d, size_t cols,
                    bool rounds_products);
// codes: [cols] in 0 .. 63; scales: [cols/16].
float DotQ6K(const uint8_t* codes, const int8_t* scales, const float* d_w, const int8_t* q, const float* d, size_t cols,
             bool offset_apart);
float DotTernaryI8(const uint8_t* codes, float scale, const int8_t* q, float s, size_t cols);
}  // namespace scalar

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_MATMUL_H_
