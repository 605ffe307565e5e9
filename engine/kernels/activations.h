// The input of a matrix product, in the form that the weights' type asks for.
//
//   Activations a;
//   a.Prepare(x, n, cols, ActivationKindFor(weights.type, n, order), pool);   // once for q_proj, k_proj and v_proj
//   MatMul(wq, a, order, q, pool);
#ifndef BITNET_PARITY_ENGINE_KERNELS_ACTIVATIONS_H_
#define BITNET_PARITY_ENGINE_KERNELS_ACTIVATIONS_H_

#include <cstddef>
#include <cstdint>

#include "engine/gguf/gguf.h"
#include "engine/kernels/order.h"
#include "engine/kernels/thread_pool.h"
#include "hwy/aligned_allocator.h"

namespace bitnet {

enum class ActivationKind {
  kF32,               // as they are
  kF16,               // rounded to F16
  kBF16,              // rounded to BF16
  kQ80,               // int8 in blocks of 32, one scale a block, rounded to F16 (ggml's Q8_0)
  kQ8K,               // int8 in blocks of 256, one scale a block (ggml's Q8_K)
  kI8Row,             // int8, one scale a row (bitnet.cpp's I2_S)
  kI8RowRoundedOnce,  // ... where the product with the scale is not rounded to float32 on its way
};

// The form in which the references multiply `n` rows with weights of a type.
ActivationKind ActivationKindFor(TensorType weights, size_t n, const ArithmeticOrder& order);

struct Activations {
  ActivationKind kind = ActivationKind::kF32;
  size_t n = 0;
  size_t cols = 0;
  // kF32, kF16, kBF16: [n, cols] in float32, rounded as the kind says.
  const float* f32 = nullptr;
  // Quantized kinds: [n, q_stride] int8, zero behind the row's end. kI8Row (both) keeps each 256 as blocks 0 and 1 of
  // 128 interleaved by 32, the order in which I2_S weights unpack: [0..31], [128..159], [32..63], [160..191], ...
  hwy::AlignedVector<int8_t> q;
  size_t q_stride = 0;
  // kQ80, kQ8K: scale of each block, [n, cols/32], [n, cols/256]. kI8Row: the quantizing scale s of each row (q =
  // round(x * s)), [n].
  hwy::AlignedVector<float> d;
  // kQ8K: minus the sums of each 32, [n, cols/256, 8]. kI8Row: the sum of each row, [n].
  hwy::AlignedVector<int32_t> sums;

  // x: [n, cols], which must live as long as this is used where the kind keeps float32 as it is.
  void Prepare(const float* x, size_t n, size_t cols, ActivationKind kind, ThreadPool& pool);

  // What somebody else quantized, for the quantized kinds: q [n, cols] in the order of the elements; d as above.
  void Assign(ActivationKind kind, size_t n, size_t cols, const int8_t* q, const float* d);

 private:
  // Throws std::runtime_error if the width is not a multiple of the kind's block.
  void Resize(ActivationKind kind, size_t n, size_t cols);

  hwy::AlignedVector<float> rounded_;
};

namespace scalar {
// One row of Q8_0: q [cols], d [cols/32]. m = max|x| of a block; q = round-half-even(127/m * x); d = m/127, rounded to
// F16. Where 127/m is infinite (|m| < 4e-37) the block is zero: d is 0 there, whatever q. (quantize_row_q8_0 in
// ggml-cpu/arch/x86/quants.c)
void QuantizeQ80(const float* x, size_t cols, int8_t* q, float* d);
// One row of Q8_K: q [cols], d [cols/256]. m = the value of largest magnitude of a block (the first of equals), with
// its sign; q = min(127, round-half-even(-127/m * x)); d = 1 / (-127/m). Where -127/m is infinite (|m| < 4e-37) the
// block is zero: the reference's d is 0 there, whatever its q. (quantize_row_q8_K_ref in ggml-quants.c)
void QuantizeQ8K(const float* x, size_t cols, int8_t* q, float* d);
// One row as I2_S takes it: s = float32(127 / max(1e-5, max|x|)), the division in double; q = round-half-even(x * s) in
// [-128, 127]. x * s is rounded to float32 before, or (once) not. Returns s. (bitnet.cpp's ggml_vec_dot_i2_i8_s caller,
// quantize_row_i8_s)
float QuantizeI8Row(const float* x, size_t cols, int8_t* q, bool once = false);
}  // namespace scalar

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_ACTIVATIONS_H_
