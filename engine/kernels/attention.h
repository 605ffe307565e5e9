// Causal attention over an F16 KV cache: scores = K.q, softmax, sum of V by probability.
#ifndef BITNET_PARITY_ENGINE_KERNELS_ATTENTION_H_
#define BITNET_PARITY_ENGINE_KERNELS_ATTENTION_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/kernels/order.h"
#include "engine/kernels/thread_pool.h"

namespace bitnet {

// One layer's keys and values.
struct KvView {
  const uint16_t* k = nullptr;  // F16 [n_cells, n_head_kv * head_dim]
  const uint16_t* v = nullptr;  // F16 [n_head_kv * head_dim, n_cells]: transposed, zero where no key is
  size_t n_cells = 0;           // a multiple of 64
};

struct AttentionShape {
  size_t n_head = 0;
  size_t n_head_kv = 0;  // query head h reads key head h / (n_head / n_head_kv)
  size_t head_dim = 0;
  float scale = 0.0f;  // of the scores; 0: 1/sqrt(head_dim)
  size_t window = 0;   // keys that a query attends at most, its own among them; 0: all up to its own

  float ScoreScale() const { return scale != 0 ? scale : 1.0f / std::sqrt(static_cast<float>(head_dim)); }
  // The first key that the query at a position attends.
  size_t FirstKey(size_t position) const { return window != 0 && position >= window ? position + 1 - window : 0; }
};

// Optional buffers for intermediate results; nullptr: not wanted.
struct AttentionTrace {
  // [n, n_head, stride] each; row (i, h) is filled with the keys that the query attends.
  float* scores = nullptr;  // K.q, not yet scaled
  float* softmax = nullptr;
  size_t stride = 0;
  // [n]: the key behind the last and the first that each query attended, as the kernel masked them: the widest of its
  // heads.
  int* keys_attended = nullptr;
  int* first_key = nullptr;
};

// q, out: [n, n_head * head_dim]. Row i is the query at position first + i and attends to the keys 0 .. first + i, or
// to as many of the last as the window has; a key in front of it has a probability of 0, and its place in the sums.
// Q is rounded to F16; score * scale, minus the row's maximum, exp, times float32(1 / sum); each
// `order.lanes` exponentials are folded in float32, the folds are added in double (ggml_compute_forward_soft_max_f32,
// ggml_vec_soft_max_f32).
void Attention(const float* q, size_t n, size_t first, const KvView& kv, const AttentionShape& shape,
               const ArithmeticOrder& order, float* out, ThreadPool& pool, const AttentionTrace& trace = {});

// The two products of Attention by themselves, with the same bits. n_keys: how many keys each query attends, [n];
// empty: first + i + 1. Throws std::logic_error if the cache has fewer cells.

// scores: [n, n_head, stride], K.q of the keys attended; what is behind them in a row is left alone.
void AttentionScores(const float* q, size_t n, size_t first, const KvView& kv, const AttentionShape& shape,
                     const ArithmeticOrder& order, std::span<const size_t> n_keys, float* scores, size_t stride,
                     ThreadPool& pool);

// probabilities: [n, n_head, stride] of the keys attended; out: [n, n_head * head_dim], the sum of V by them.
void AttentionValues(const float* probabilities, size_t stride, size_t n, size_t first, const KvView& kv,
                     const AttentionShape& shape, const ArithmeticOrder& order, std::span<const size_t> n_keys,
                     float* out, ThreadPool& pool);

// In place over x[n]; for the tests and for single rows. The row is taken as if -inf followed up to the next multiple
// of order.lanes.
void SoftmaxRow(float* x, size_t n, float scale, const ArithmeticOrder& order);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_ATTENTION_H_
