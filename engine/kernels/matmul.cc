#include "engine/kernels/matmul.h"

#include <fmt/format.h>

#include <stdexcept>
#include <vector>

#include "engine/gguf/quants.h"
#include "engine/kernels/matmul_internal.h"

namespace bitnet {
namespace {

bool IsFloat(TensorType type) {
  return type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBF16;
}

// Other types: a row is decoded to float32 and multiplied as an F32 row.
void DecodedMatMulRows(const WeightMatrix& w, const Activations& x, const DotOrder& order, size_t begin, size_t end,
                       float* y) {
  std::vector<float> row(w.cols);
  std::vector<float> out(x.n);
  const WeightMatrix decoded{
      .type = TensorType::kF32, .rows = 1, .cols = w.cols, .data = reinterpret_cast<const std::byte*>(row.data())};
  for (size_t r = begin; r < end; ++r) {
    WeightRow(w, r, row.data());
    FloatMatMulRows(decoded, x, order, 0, 1, out.data());
    for (size_t p = 0; p < x.n; ++p) y[p * w.rows + r] = out[p];
  }
}

}  // namespace

void MatMul(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, float* y, ThreadPool& pool) {
  if (x.cols != w.cols) {
    throw std::logic_error(fmt::format("matrix product: activations are {} wide, weights {}", x.cols, w.cols));
  }
  const bool tiled = x.n >= 2 && w.cols % order.batch.lanes == 0 && w.rows % order.batch_rows == 0;
  const DotOrder& dot = tiled ? order.batch : order.single;
  ParallelRanges(pool, w.rows, 16, x.n * w.cols, [&](size_t begin, size_t end) {
    if (w.type == TensorType::kQ6_K) {
      Q6KMatMulRows(w, x, order, begin, end, y);
    } else if (x.kind == ActivationKind::kQ8K) {
      TernaryQ8KMatMulRows(w, x, begin, end, y);
    } else if (x.kind == ActivationKind::kI8Row) {
      TernaryI8MatMulRows(w, x, begin, end, y);
    } else if (IsFloat(w.type)) {
      FloatMatMulRows(w, x, dot, begin, end, y);
    } else {
      DecodedMatMulRows(w, x, dot, begin, end, y);
    }
  });
}

void WeightRow(const WeightMatrix& w, size_t row, float* out) {
  if (w.type == TensorType::kI2_S) throw std::runtime_error("I2_S token embeddings are not supported");
  const size_t bytes = TensorBytes(w.type, 1, w.cols);
  DequantizeRow(w.type, {w.data + row * bytes, bytes}, {out, w.cols});
}

}  // namespace bitnet
