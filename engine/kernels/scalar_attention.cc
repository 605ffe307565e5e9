#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/formats/half.h"
#include "engine/kernels/scalar.h"

namespace bitnet::scalar {
namespace {

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

void RoundToF16(std::vector<float>& x) {
  for (float& v : x) v = F32FromF16(F16FromF32(v));
}

}  // namespace

void SoftmaxRow(float* x, size_t n, float scale, const ArithmeticOrder& order) {
  const auto lanes = static_cast<size_t>(order.lanes);
  float max = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < n; ++i) max = std::max(max, x[i] * scale);
  double sum = 0;
  for (size_t i = 0; i < n; i += lanes) {
    float lane[16] = {};
    for (size_t l = 0; l < std::min(lanes, n - i); ++l) lane[l] = x[i + l] = Exp(x[i + l] * scale - max, order.lanes);
    sum += static_cast<double>(FoldLanes(lane, lanes, lanes == 4));
  }
  for (size_t i = 0; i < n; ++i) x[i] *= static_cast<float>(1.0 / sum);
}

void Attention(const float* q, size_t n, size_t first, const KvView& kv, const AttentionShape& shape,
               const ArithmeticOrder& order, float* out) {
  const size_t width = shape.n_head * shape.head_dim;
  // As long as the reference's attention row.
  const size_t n_kv = std::min(RoundUp(first + n, order.kv_padding), kv.n_cells);
  const DotOrder& scores = DotOrderOf(order, FloatRows::kF16, order.scores_as_single ? 1 : n, shape.head_dim, n_kv);
  const DotOrder& values = DotOrderOf(order, FloatRows::kF16, n, n_kv, shape.head_dim);
  const bool rounds = order.round_batch_to_f16 || !IsBatch(order, FloatRows::kF16, n, n_kv, shape.head_dim);
  for (size_t i = 0; i < n; ++i) {
    for (size_t head = 0; head < shape.n_head; ++head) {
      const size_t kv_head = head * shape.n_head_kv / shape.n_head;
      const float* query = q + i * width + head * shape.head_dim;
      std::vector<float> rounded(query, query + shape.head_dim);
      RoundToF16(rounded);
      std::vector<float> p(n_kv, 0.0f);
      for (size_t j = 0; j <= first + i; ++j) {
        const uint16_t* key = kv.k + (j * shape.n_head_kv + kv_head) * shape.head_dim;
        p[j] = DotF16(key, rounded.data(), shape.head_dim, scores);
      }
      std::fill_n(p.data(), shape.FirstKey(first + i), -std::numeric_limits<float>::infinity());
      scalar::SoftmaxRow(p.data(), first + i + 1, shape.ScoreScale(), order);
      if (rounds) RoundToF16(p);
      for (size_t d = 0; d < shape.head_dim; ++d) {
        const uint16_t* of_column = kv.v + (kv_head * shape.head_dim + d) * kv.n_cells;
        out[i * width + head * shape.head_dim + d] = DotF16(of_column, p.data(), n_kv, values);
      }
    }
  }
}

}  // namespace bitnet::scalar
