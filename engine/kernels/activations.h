// The input of a matrix product, in the form that the weights' format asks for.
//
//   Activations a;
//   a.Prepare(x, n, cols, ActivationKindFor(wq, n, order), pool);   // once for q_proj, k_proj and v_proj
//   MatMul(wq, a, order, q, pool);
#ifndef BITNET_PARITY_ENGINE_KERNELS_ACTIVATIONS_H_
#define BITNET_PARITY_ENGINE_KERNELS_ACTIVATIONS_H_

#include <cstddef>
#include <cstdint>

#include "engine/formats/format.h"
#include "engine/kernels/aligned.h"
#include "engine/kernels/order.h"
#include "engine/kernels/thread_pool.h"

namespace bitnet {

// Where one row in one of the int8 kinds goes: see Activations, which has such rows.
struct QuantizedRow {
  int8_t* q;
  size_t q_stride;
  float* d;
  int32_t* sums;
  float* scaled_sums;
};

// Where the 32 elements from `i` on lie in a row of kI8Row: see Activations::q.
constexpr size_t PlaceInI8Row(size_t i) { return i / 256 * 256 + i % 128 * 2 + i % 256 / 128 * 32; }

// A row that is quantized already: q [cols] in the order of the elements, and the scales, for kQ81 not yet rounded.
void AssignRow(ActivationKind kind, const int8_t* q, const float* d, size_t cols, const QuantizedRow& row);

struct Activations {
  ActivationKind kind = ActivationKind::kF32;
  size_t n = 0;
  size_t cols = 0;
  // kF32, kF16, kBF16: [n, cols] in float32, rounded as the kind says.
  const float* f32 = nullptr;
  // Quantized kinds: [n, q_stride] int8, zero behind the row's end. kI8Row (both) keeps each 256 as blocks 0 and 1 of
  // 128 interleaved by 32, the order in which I2_S weights unpack: [0..31], [128..159], [32..63], [160..191], ...
  AlignedVector<int8_t> q;
  size_t q_stride = 0;
  // kQ80, kQ81, kQ8K: scale of each block, [n, cols/32], [n, cols/32], [n, cols/256]. kI8Row: the quantizing scale s of
  // each row (q = round(x * s)), [n].
  AlignedVector<float> d;
  // kQ8K: minus the sums of each 32, [n, cols/256, 8]. kI8Row: the sum of each row, [n].
  AlignedVector<int32_t> sums;

  // kQ81: the sum of each block times its scale as it was before it was rounded to F16, in F16, [n, cols/32].
  AlignedVector<float> scaled_sums;

  // x: [n, cols], which must live as long as this is used where the kind keeps float32 as it is.
  void Prepare(const float* x, size_t n, size_t cols, ActivationKind kind, ThreadPool& pool);

  // What somebody else quantized, for the quantized kinds: q [n, cols] in the order of the elements; d as
  // above, but for kQ81 not rounded to F16.
  void Assign(ActivationKind kind, size_t n, size_t cols, const int8_t* q, const float* d);

 private:
  // Throws std::runtime_error if the width is not a multiple of the kind's block.
  void Resize(ActivationKind kind, size_t n, size_t cols);
  QuantizedRow Row(size_t r);

  AlignedVector<float> rounded_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_ACTIVATIONS_H_
