#include "engine/kernels/matmul.h"

#include <fmt/format.h>

#include <stdexcept>
#include <vector>

#include "engine/gguf/quants.h"
#include "engine/kernels/matmul_internal.h"

namespace bitnet {
namespace {

// Of F32, F16 and BF16 rows.
const DotOrder& DotOrderFor(const WeightMatrix& w, size_t n, const ArithmeticOrder& order) {
  const bool bf16 = w.type == TensorType::kBF16;
  const DotOrder& batch = bf16 ? order.bf16_batch : order.batch;
  const size_t step = static_cast<size_t>(batch.lanes) * batch.accumulators * (batch.pairs ? 2 : 1);
  const bool tiled = n >= 2 && w.cols % step == 0 && w.rows % order.batch_rows == 0;
  if (tiled) return batch;
  return bf16 ? order.bf16_single : order.single;
}

}  // namespace

void MatMul(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, float* y, ThreadPool& pool) {
  if (x.cols != w.cols) {
    throw std::logic_error(fmt::format("matrix product: activations are {} wide, weights {}", x.cols, w.cols));
  }
  const DotOrder& dot = DotOrderFor(w, x.n, order);
  ParallelRanges(pool, w.rows, 16, x.n * w.cols, [&](size_t begin, size_t end) {
    switch (w.type) {
      case TensorType::kQ8_0:
        return Q80MatMulRows(w, x, begin, end, y);
      case TensorType::kQ6_K:
        return Q6KMatMulRows(w, x, order, begin, end, y);
      case TensorType::kTQ1_0:
      case TensorType::kTQ2_0:
        return TernaryQ8KMatMulRows(w, x, order, begin, end, y);
      case TensorType::kI2_S:
        return TernaryI8MatMulRows(w, x, begin, end, y);
      default:
        return FloatMatMulRows(w, x, dot, begin, end, y);
    }
  });
}

void WeightRow(const WeightMatrix& w, size_t row, float* out) {
  if (w.type == TensorType::kI2_S) throw std::runtime_error("I2_S token embeddings are not supported");
  const size_t bytes = TensorBytes(w.type, 1, w.cols);
  DequantizeRow(w.type, {w.data + row * bytes, bytes}, {out, w.cols});
}

}  // namespace bitnet
