#include <algorithm>

#include "engine/kernels/activations.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/rms_norm.h"
#include "engine/kernels/rope.h"
#include "parity_tests/oracle/arithmetic.h"

namespace parity {

void KernelArithmetic::NormRow(const float* x, size_t cols, const float* gamma, float eps, float* y) {
  bitnet::RmsNorm(x, 1, cols, gamma, eps, y, pool_);
}

Values KernelArithmetic::Product(const bitnet::WeightMatrix& w, const Values& x, size_t n) {
  bitnet::Activations a;
  a.Prepare(x.data(), n, w.cols, bitnet::ActivationKindFor(w, n, order_), pool_);
  Values y(n * w.rows);
  bitnet::MatMul(w, a, order_, y.data(), pool_);
  return y;
}

Values KernelArithmetic::ProductInt8(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n) {
  bitnet::Activations a;
  a.Assign(bitnet::ActivationKindFor(w, n, order_), n, w.cols, x.q.data(), x.d.data());
  Values y(n * w.rows);
  bitnet::MatMul(w, a, order_, y.data(), pool_);
  return y;
}

void KernelArithmetic::RopeRow(float* x, size_t n_heads, const bitnet::RopeAngles& angles, bitnet::RopeLayout layout) {
  bitnet::Rope(x, n_heads, h_.n_embd_head, h_.n_rot, angles, layout);
}

Tensor KernelArithmetic::Scores(const Values& q, size_t first, std::span<const size_t> n_keys, const Cache& cache) {
  const size_t n = n_keys.size(), stride = *std::max_element(n_keys.begin(), n_keys.end());
  Values all(n * h_.n_head * stride);
  bitnet::AttentionScores(q.data(), n, first, cache.view, cache.shape, order_, n_keys, all.data(), stride, pool_);
  Tensor scores;
  for (size_t i = 0; i < n; ++i) {
    for (size_t head = 0; head < h_.n_head; ++head) {
      const float* from = all.data() + (i * h_.n_head + head) * stride;
      scores.data.insert(scores.data.end(), from, from + n_keys[i]);
    }
    scores.ends.push_back(scores.data.size());
  }
  return scores;
}

void KernelArithmetic::SoftmaxRow(float* x, size_t n, float scale) { bitnet::SoftmaxRow(x, n, scale, order_); }

Values KernelArithmetic::WeightedSum(const Tensor& probabilities, size_t first, std::span<const size_t> n_keys,
                                     const Cache& cache) {
  const size_t n = n_keys.size(), stride = *std::max_element(n_keys.begin(), n_keys.end());
  Values all(n * h_.n_head * stride);
  for (size_t i = 0; i < n; ++i) {
    for (size_t head = 0; head < h_.n_head; ++head) {
      std::copy_n(probabilities.row(i).data() + head * n_keys[i], n_keys[i],
                  all.data() + (i * h_.n_head + head) * stride);
    }
  }
  Values out(n * h_.n_head * h_.n_embd_head);
  bitnet::AttentionValues(all.data(), stride, n, first, cache.view, cache.shape, order_, n_keys, out.data(), pool_);
  return out;
}

void KernelArithmetic::GateRow(const float* gate, const float* up, bitnet::Activation activation, float* y) {
  bitnet::GateMul(activation, gate, up, h_.n_ff, order_, y);
}

}  // namespace parity
