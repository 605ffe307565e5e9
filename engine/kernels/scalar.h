// The definition of every operation with a result that depends on an order of roundings, in plain loops. Kernel tests
// ask the vector code for these bits; the scalar forward pass of the oracle runs on them, and the engine itself where
// there are no vectors (primitives.h).
//
//   std::vector<float> y(n * w.rows);
//   scalar::MatMul(w, x, n, order, y.data());              // what bitnet::MatMul gives, on any CPU
#ifndef BITNET_PARITY_ENGINE_KERNELS_SCALAR_H_
#define BITNET_PARITY_ENGINE_KERNELS_SCALAR_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/formats/k_quants.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/order.h"
#include "engine/kernels/rope.h"

namespace bitnet::scalar {

// The sum of lanes: the upper half onto the lower half down to four, then (0+2)+(1+3), or (0+1)+(2+3) where `adjacent`.
float FoldLanes(float* lane, size_t lanes, bool adjacent);

// --- elements and rows

// exp(x) of one element as Exp in vec-inl.h defines it for `lanes` lanes.
float Exp(float x, int lanes);
void SiluMul(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out);
void SquaredReluMul(const float* gate, const float* up, size_t n, float* out);
void GeluMul(const float* gate, const float* up, size_t n, float* out);
void RmsNormRow(const float* x, size_t cols, const float* gamma, float eps, float* y);
void Rope(float* x, size_t n_heads, size_t head_dim, size_t n_rot, const RopeAngles& angles,
          RopeLayout layout = RopeLayout::kNeox);

// --- attention

void Attention(const float* q, size_t n, size_t first, const KvView& kv, const AttentionShape& shape,
               const ArithmeticOrder& order, float* out);
void SoftmaxRow(float* x, size_t n, float scale, const ArithmeticOrder& order);

// --- the input of a product

// One row of Q8_0: q [cols], d [cols/32]. m = max|x| of a block; q = round-half-even(127/m * x); d = m/127, rounded to
// F16; with `inverts` q = round-half-even(1/d * x), d not yet rounded (ARM). Where 127/m is infinite (|m| < 4e-37) the
// block is zero: d is 0 there, whatever q. (quantize_row_q8_0 in ggml-cpu/arch/x86/quants.c)
void QuantizeQ80(const float* x, size_t cols, int8_t* q, float* d, bool inverts = false);
// One row of Q8_1: the same, with d not yet rounded: the product rounds it, and takes d times the sum of q in F16.
// (quantize_row_q8_1)
void QuantizeQ81(const float* x, size_t cols, int8_t* q, float* d);
// One row of Q8_K: q [cols], d [cols/256]. m = the value of largest magnitude of a block (the first of equals), with
// its sign; q = min(127, round-half-even(-127/m * x)); d = 1 / (-127/m). Where -127/m is infinite (|m| < 4e-37) the
// block is zero: the reference's d is 0 there, whatever its q. (quantize_row_q8_K_ref in ggml-quants.c)
void QuantizeQ8K(const float* x, size_t cols, int8_t* q, float* d);
// One row as I2_S takes it: s = float32(127 / max(1e-5, max|x|)), the division in double; q = round-half-even(x * s) in
// [-128, 127]. x * s is rounded to float32 before, or (once) not. Returns s. (bitnet.cpp's ggml_vec_dot_i2_i8_s caller,
// quantize_row_i8_s)
float QuantizeI8Row(const float* x, size_t cols, int8_t* q, bool once = false);

// One row in any of the forms.
struct Input {
  std::vector<float> f32;  // kF32, kF16, kBF16: [cols]
  std::vector<int8_t> q;   // the int8 kinds: [cols], in the order of the elements
  std::vector<float> d;    // their scales: of each block, or (kI8Row) s
  // kQ81: d times the sum of q of each block, in F16; empty: it follows from d.
  std::vector<float> scaled_sums = {};
};
Input Prepare(const float* x, size_t cols, ActivationKind kind);

// The same where it lies in memory; nullptr: it has none.
struct InputView {
  const float* f32 = nullptr;
  const int8_t* q = nullptr;
  const float* d = nullptr;
  const float* scaled_sums = nullptr;
};

// --- products

// One output each. What is added in which lane is said in engine/kernels/x_matmul.cc.
float DotF32(const float* a, const float* b, size_t n, const DotOrder& order);
float DotF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order);
float DotBF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order);
// w, q: [cols]; d_w, d: [cols/32]; m_w: [cols/32] of Q4_1 and Q5_1, whose d is of Q8_1; else nullptr. scaled_sums: see
// Input; nullptr where there are none.
float DotBlocksOf32(const int8_t* w, const float* d_w, const float* m_w, const int8_t* q, const float* d,
                    const float* scaled_sums, size_t cols, bool repacked);
// Q8_0 as NEON adds it: see Q80Lanes. A batch has four lanes in all.
float DotQ80OfNeon(const int8_t* w, const float* d_w, const int8_t* q, const float* d, size_t cols, Q80Lanes lanes,
                   bool batch);
// w, q: [cols]; d_w: of each `block` weights, 128 of Q1_0 or 64 of Q2_0; d: [cols/32].
float DotLowBits(const int8_t* w, const float* d_w, const int8_t* q, const float* d, size_t cols, size_t block);
// One row of Q2_K, Q3_K, Q4_K or Q5_K, spread out: blocks: [cols/256], its codes offset by `offset`; q, d: one row of
// Q8_K. `parts`: where the reference repacked, how many it takes of a block one after another; else 0.
float DotKQuants(TensorType type, const KQuants* blocks, int offset, const int8_t* q, const float* d, size_t cols,
                 size_t parts);
// codes: [cols] in 0, 1, 2; q, d: one row of Q8_K; d_w: [cols/256].
float DotTernaryQ8K(const uint8_t* codes, const float* d_w, const int8_t* q, const float* d, size_t cols,
                    bool rounds_products, bool one_sum_a_block);
// codes: [cols] in 0 .. 63; scales: [cols/16]. rounds_products: where one_sum_a_block, a block's product is rounded
// before it is added.
float DotQ6K(const uint8_t* codes, const int8_t* scales, const float* d_w, const int8_t* q, const float* d, size_t cols,
             bool offset_apart, bool one_sum_a_block, bool rounds_products);
float DotTernaryI8(const uint8_t* codes, float scale, const int8_t* q, float s, size_t cols);

// y[n, rows] = x . W[rows, cols]^T for every format that has a product; the n rows of x are one batch.
void MatMul(const WeightMatrix& w, const std::vector<Input>& x, const ArithmeticOrder& order, float* y);
// Some rows, without what stands behind the product (side scale, bias).
void MatMulRows(const WeightMatrix& w, std::span<const InputView> x, const ArithmeticOrder& order, size_t row_begin,
                size_t row_end, float* y);
// x: [n, cols], prepared as the format asks.
void MatMul(const WeightMatrix& w, const float* x, size_t n, const ArithmeticOrder& order, float* y);

}  // namespace bitnet::scalar

#endif  // BITNET_PARITY_ENGINE_KERNELS_SCALAR_H_
