#include "engine/kernels/matmul.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>

#include "engine/kernels/counts.h"
#include "engine/kernels/matmul_internal.h"

namespace bitnet {
namespace {

KernelCounter& CounterOf(TensorType type) {
  static const auto counters = [] {
    std::map<TensorType, std::unique_ptr<KernelCounter>> made;
    for (const MatMulKernel& k : kMatMulKernels)
      made[k.type] = std::make_unique<KernelCounter>("matmul." + TypeName(k.type));
    return made;
  }();
  return *counters.at(type);
}

MatMulRows* KernelOf(TensorType type) {
  const auto* kernel = std::find_if(std::begin(kMatMulKernels), std::end(kMatMulKernels),
                                    [type](const MatMulKernel& k) { return k.type == type; });
  return kernel == std::end(kMatMulKernels) ? nullptr : kernel->rows;
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

bool HasMatMul(TensorType type) { return KernelOf(type) != nullptr; }

bool IsRepacked(const WeightMatrix& w, const ArithmeticOrder& order) {
  const bool type_is = w.type == TensorType::kQ4_0 || w.type == TensorType::kQ4_K
                           ? order.repacks_q4
                           : w.type == TensorType::kQ2_K && order.repacks_q2_k;
  return type_is && w.rows % 8 == 0 && !w.looked_up;
}

void MatMul(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, float* y, ThreadPool& pool) {
  if (x.cols != w.cols) {
    throw std::logic_error(fmt::format("matrix product: activations are {} wide, weights {}", x.cols, w.cols));
  }
  MatMulRows* const rows = KernelOf(w.type);
  if (rows == nullptr) throw std::logic_error(fmt::format("matrix product: none for {}", TypeName(w.type)));
  CounterOf(w.type).Add();
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
