#include "engine/kernels/matmul.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>

#include "engine/kernels/counts.h"
#include "engine/kernels/primitives.h"

namespace bitnet {
namespace {

// Types with a product: each has a family in x_matmul.cc, and a definition in scalar_matmul.cc.
constexpr TensorType kTypes[] = {
    TensorType::kF32,  TensorType::kF16,   TensorType::kBF16,  TensorType::kQ4_0, TensorType::kQ4_1, TensorType::kQ5_0,
    TensorType::kQ5_1, TensorType::kQ8_0,  TensorType::kQ2_K,  TensorType::kQ3_K, TensorType::kQ4_K, TensorType::kQ5_K,
    TensorType::kQ6_K, TensorType::kTQ1_0, TensorType::kTQ2_0, TensorType::kI2_S, TensorType::kQ1_0, TensorType::kQ2_0};

KernelCounter& CounterOf(TensorType type) {
  static const auto counters = [] {
    std::map<TensorType, std::unique_ptr<KernelCounter>> made;
    for (const TensorType t : kTypes) made[t] = std::make_unique<KernelCounter>("matmul." + TypeName(t));
    return made;
  }();
  return *counters.at(type);
}

// What stands behind the product of rows [begin, end).
void FinishRows(const WeightMatrix& w, size_t n, size_t begin, size_t end, float* y) {
  if (w.side_scale == 1.0f && w.bias == nullptr) return;
  for (size_t p = 0; p < n; ++p) {
    float* row = y + p * w.rows;
    for (size_t r = begin; r < end; ++r) row[r] *= w.side_scale;
    if (w.bias == nullptr) continue;
    for (size_t r = begin; r < end; ++r) row[r] += w.bias[r];
  }
}

}  // namespace

bool HasMatMul(TensorType type) { return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes); }

const DotOrder& DotOrderFor(const WeightMatrix& w, size_t n, const ArithmeticOrder& order) {
  const FloatRows type = w.type == TensorType::kF16    ? FloatRows::kF16
                         : w.type == TensorType::kBF16 ? FloatRows::kBF16
                                                       : FloatRows::kF32;
  return DotOrderOf(order, type, n, w.cols, w.rows);
}

ActivationKind ActivationKindFor(const WeightMatrix& w, size_t n, const ArithmeticOrder& order) {
  const ActivationKind kind = FormatOf(w.type).activations;
  if (kind == ActivationKind::kF16 && !order.round_batch_to_f16 && IsBatch(order, FloatRows::kF16, n, w.cols, w.rows)) {
    return ActivationKind::kF32;
  }
  if (kind == ActivationKind::kQ80 && order.q8_0_inverts) return ActivationKind::kQ80Inverted;
  if (kind == ActivationKind::kI8Row && order.i8_rounds_once) return ActivationKind::kI8RowRoundedOnce;
  return kind;
}

bool IsRepacked(const WeightMatrix& w, const ArithmeticOrder& order) {
  if (w.type == TensorType::kQ8_0) return order.repacks_q8_0 && w.rows % 4 == 0 && !w.looked_up;
  const bool type_is = w.type == TensorType::kQ4_0 || w.type == TensorType::kQ4_K ? order.repacks_q4
                       : w.type == TensorType::kQ6_K                              ? order.repacks_q6_k
                                                     : w.type == TensorType::kQ2_K && order.repacks_q2_k;
  return type_is && w.rows % 8 == 0 && !w.looked_up;
}

void MatMul(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, float* y, ThreadPool& pool) {
  if (x.cols != w.cols) {
    throw std::logic_error(fmt::format("matrix product: activations are {} wide, weights {}", x.cols, w.cols));
  }
  if (!HasMatMul(w.type)) throw std::logic_error(fmt::format("matrix product: none for {}", TypeName(w.type)));
  const Primitives& run = PrimitivesFor(order);
  CounterOf(w.type).Add(run);
  MatMulRows* const rows = run.product(w.type);
  ParallelRanges(pool, w.rows, 16, x.n * w.cols, [&](size_t begin, size_t end) {
    rows(w, x, order, begin, end, y);
    FinishRows(w, x.n, begin, end, y);
  });
}

void WeightRow(const WeightMatrix& w, size_t row, float* out) {
  const size_t bytes = RowBytes(w.type, w.cols);
  FormatOf(w.type).decode({w.data + row * bytes, bytes}, w.scale, {out, w.cols});
}

}  // namespace bitnet
