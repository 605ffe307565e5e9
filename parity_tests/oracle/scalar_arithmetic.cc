#include <algorithm>

#include "engine/formats/half.h"
#include "engine/kernels/scalar.h"
#include "parity_tests/oracle/arithmetic.h"

namespace parity {
namespace {

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

float RoundedToF16(float x) { return bitnet::F32FromF16(bitnet::F16FromF32(x)); }

}  // namespace

void ScalarArithmetic::NormRow(const float* x, size_t cols, const float* gamma, float eps, float* y) {
  bitnet::scalar::RmsNormRow(x, cols, gamma, eps, y);
}

Values ScalarArithmetic::Product(const bitnet::WeightMatrix& w, const Values& x, size_t n) {
  Values y(n * w.rows);
  bitnet::scalar::MatMul(w, x.data(), n, order_, y.data());
  return y;
}

Values ScalarArithmetic::ProductInt8(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n) {
  const size_t scales = x.d.size() / n;
  std::vector<bitnet::scalar::Input> rows(n);
  for (size_t i = 0; i < n; ++i) {
    rows[i].q.assign(x.q.data() + i * w.cols, x.q.data() + (i + 1) * w.cols);
    rows[i].d.assign(x.d.data() + i * scales, x.d.data() + (i + 1) * scales);
  }
  Values y(n * w.rows);
  bitnet::scalar::MatMul(w, rows, order_, y.data());
  return y;
}

void ScalarArithmetic::RopeRow(float* x, size_t n_heads, const bitnet::RopeAngles& angles, bitnet::RopeLayout layout) {
  bitnet::scalar::Rope(x, n_heads, h_.n_embd_head, h_.n_rot, angles, layout);
}

Tensor ScalarArithmetic::Scores(const Values& q, size_t first, std::span<const size_t> n_keys, const Cache& cache) {
  const size_t n_head = cache.shape.n_head, n_head_kv = cache.shape.n_head_kv, dim = cache.shape.head_dim;
  const size_t n = n_keys.size();
  const size_t n_kv = std::min(RoundUp(first + n, static_cast<size_t>(order_.kv_padding)), cache.view.n_cells);
  const bitnet::DotOrder& order =
      bitnet::DotOrderOf(order_, bitnet::FloatRows::kF16, order_.scores_as_single ? 1 : n, dim, n_kv);
  Tensor scores;
  for (size_t i = 0; i < n; ++i) {
    for (size_t head = 0; head < n_head; ++head) {
      const float* from = q.data() + (i * n_head + head) * dim;
      Values rounded(from, from + dim);
      for (float& v : rounded) v = RoundedToF16(v);
      const size_t kv_head = head / (n_head / n_head_kv);
      for (size_t j = 0; j < n_keys[i]; ++j) {
        const uint16_t* key = cache.view.k + (j * n_head_kv + kv_head) * dim;
        scores.data.push_back(bitnet::scalar::DotF16(key, rounded.data(), dim, order));
      }
    }
    scores.ends.push_back(scores.data.size());
  }
  return scores;
}

void ScalarArithmetic::SoftmaxRow(float* x, size_t n, float scale) { bitnet::scalar::SoftmaxRow(x, n, scale, order_); }

Values ScalarArithmetic::WeightedSum(const Tensor& probabilities, size_t first, std::span<const size_t> n_keys,
                                     const Cache& cache) {
  const size_t n_head = cache.shape.n_head, n_head_kv = cache.shape.n_head_kv, dim = cache.shape.head_dim;
  const size_t n = n_keys.size();
  const size_t n_kv = std::min(RoundUp(first + n, static_cast<size_t>(order_.kv_padding)), cache.view.n_cells);
  const bitnet::DotOrder& order = bitnet::DotOrderOf(order_, bitnet::FloatRows::kF16, n, n_kv, dim);
  const bool rounds = order_.round_batch_to_f16 || !bitnet::IsBatch(order_, bitnet::FloatRows::kF16, n, n_kv, dim);
  Values out(n * n_head * dim);
  for (size_t i = 0; i < n; ++i) {
    for (size_t head = 0; head < n_head; ++head) {
      Values p(std::max(n_kv, n_keys[i]));
      std::copy_n(probabilities.row(i).data() + head * n_keys[i], n_keys[i], p.data());
      if (rounds) {
        for (float& v : p) v = RoundedToF16(v);
      }
      const size_t kv_head = head / (n_head / n_head_kv);
      for (size_t d = 0; d < dim; ++d) {
        const uint16_t* values = cache.view.v + (kv_head * dim + d) * cache.view.n_cells;
        out[(i * n_head + head) * dim + d] = bitnet::scalar::DotF16(values, p.data(), n_kv, order);
      }
    }
  }
  return out;
}

void ScalarArithmetic::GateRow(const float* gate, const float* up, bitnet::Activation activation, float* y) {
  switch (activation) {
    case bitnet::Activation::kSilu:
      return bitnet::scalar::SiluMul(gate, up, h_.n_ff, order_, y);
    case bitnet::Activation::kSquaredRelu:
      return bitnet::scalar::SquaredReluMul(gate, up, h_.n_ff, y);
    case bitnet::Activation::kGelu:
      return bitnet::scalar::GeluMul(gate, up, h_.n_ff, y);
  }
}

}  // namespace parity
