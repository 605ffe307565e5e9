#include "engine/kernels/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <stdexcept>
#include <vector>

#include "engine/kernels/aligned.h"
#include "engine/kernels/counts.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/primitives.h"

namespace bitnet {
namespace {

// What all queries of a call share.
struct AttentionJob {
  const Primitives* run;
  const ArithmeticOrder* order;
  const KvView* kv;
  const AttentionShape* shape;
  DotOrder scores;
  DotOrder values;
  bool round_probabilities;
  size_t n_kv;  // length of the reference's attention row
};

// Some queries, and room for what is computed of them.
struct AttentionQueries {
  struct Query {
    size_t n_keys;     // up to its own
    size_t first_key;  // those in front are masked
    // nullptr: not wanted.
    float* scores;
    float* softmax;
    int* keys_attended;
    int* first_attended;
  };
  size_t n;
  const Query* query;  // [n]
  const float* q;      // [n, head_dim], rounded to F16
  float* rows;         // [n, stride]: scores, then probabilities
  size_t stride;       // n_kv + 64 or more
  float* out;          // [n, head_dim]

  size_t MostKeys() const {
    size_t most = 0;
    for (size_t c = 0; c < n; ++c) most = std::max(most, query[c].n_keys);
    return most;
  }
};

// *value = n where `comes_before(*value, n)`: the heads of a position may be attended on several threads.
template <class Order>
void Move(int* value, int n, Order comes_before) {
  std::atomic_ref<int> shared(*value);
  int seen = shared.load(std::memory_order_relaxed);
  while (comes_before(seen, n) && !shared.compare_exchange_weak(seen, n, std::memory_order_relaxed)) {
  }
}

// The functions below take queries that read the same key head.

// rows = K.q. At least as many cells as a whole number of tiles are there.
void ScoreQueries(const AttentionJob& job, size_t kv_head, const AttentionQueries& queries) {
  const size_t head_dim = job.shape->head_dim;
  const size_t width = job.shape->n_head_kv * head_dim;
  const uint16_t* k = job.kv->k + kv_head * head_dim;
  job.run->dots(k, (queries.MostKeys() + 3) / 4 * 4, width, queries.q, queries.n, head_dim, head_dim, job.scores,
                queries.rows, queries.stride);
  for (size_t c = 0; c < queries.n; ++c) {
    const AttentionQueries::Query& query = queries.query[c];
    if (query.scores != nullptr) std::copy_n(queries.rows + c * queries.stride, query.n_keys, query.scores);
  }
}

// out = the sum of V by the probabilities in rows.
void SumQueries(const AttentionJob& job, size_t kv_head, const AttentionQueries& queries) {
  const size_t head_dim = job.shape->head_dim;
  const uint16_t* v = job.kv->v + kv_head * head_dim * job.kv->n_cells;
  // Masked keys have probability 0: a row that ends with the step in which the last key lies gives the same sum.
  const size_t length = std::min((queries.MostKeys() + 63) / 64 * 64, job.n_kv);
  for (size_t c = 0; c < queries.n; ++c) {
    float* row = queries.rows + c * queries.stride;
    std::fill(row + std::min(queries.query[c].n_keys, length), row + length, 0.0f);
    if (job.round_probabilities) job.run->round_to_f16(row, length, row);
  }
  job.run->dots(v, head_dim, job.kv->n_cells, queries.rows, queries.n, queries.stride, length, job.values, queries.out,
                head_dim);
}

void AttendQueries(const AttentionJob& job, size_t kv_head, const AttentionQueries& queries) {
  ScoreQueries(job, kv_head, queries);
  const float scale = job.shape->ScoreScale();
  for (size_t c = 0; c < queries.n; ++c) {
    const AttentionQueries::Query& query = queries.query[c];
    float* row = queries.rows + c * queries.stride;
    // The mask: keys behind these and in front of the first do not count.
    const size_t keys = query.n_keys, first = query.first_key;
    std::fill_n(row, first, -std::numeric_limits<float>::infinity());
    job.run->softmax(row, keys, scale, *job.order);
    if (query.keys_attended != nullptr) Move(query.keys_attended, static_cast<int>(keys), std::less());
    if (query.first_attended != nullptr) Move(query.first_attended, static_cast<int>(first), std::greater());
    if (query.softmax != nullptr) std::copy_n(row, keys, query.softmax);
  }
  SumQueries(job, kv_head, queries);
}

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Which dot product the reference takes: in a batch the tiled one, where the row is a whole number of its lanes.
// `keys`: cells in use.
AttentionJob MakeJob(size_t n, size_t keys, const KvView& kv, const AttentionShape& shape,
                     const ArithmeticOrder& order) {
  const size_t n_kv = std::min(RoundUp(keys, order.kv_padding), kv.n_cells);
  const size_t of_scores = order.scores_as_single ? 1 : n;
  return {.run = &PrimitivesFor(order),
          .order = &order,
          .kv = &kv,
          .shape = &shape,
          .scores = DotOrderOf(order, FloatRows::kF16, of_scores, shape.head_dim, n_kv),
          .values = DotOrderOf(order, FloatRows::kF16, n, n_kv, shape.head_dim),
          .round_probabilities = order.round_batch_to_f16 || !IsBatch(order, FloatRows::kF16, n, n_kv, shape.head_dim),
          .n_kv = n_kv};
}

// What a call works on; nullptr: not this one.
struct AttentionCall {
  size_t n;
  size_t first;
  std::span<const size_t> n_keys;  // empty: causal
  const float* q = nullptr;
  const float* probabilities = nullptr;  // rows of trace.stride
  float* out = nullptr;
  AttentionTrace trace = {};

  size_t Keys(size_t i) const { return n_keys.empty() ? first + i + 1 : n_keys[i]; }
};

using AttentionKernel = void (*)(const AttentionJob&, size_t kv_head, const AttentionQueries&);

// Deals the queries out to threads, in groups that read the same keys.
void ForQueries(const AttentionCall& call, const KvView& kv, const AttentionShape& shape, const ArithmeticOrder& order,
                AttentionKernel kernel, ThreadPool& pool) {
  const size_t n = call.n;
  size_t cells = call.first + n;
  for (const size_t keys : call.n_keys) cells = std::max(cells, keys);
  if (cells > kv.n_cells || (!call.n_keys.empty() && call.n_keys.size() != n)) {
    throw std::logic_error(fmt::format("attention: {} queries and {} lengths reach key {} of {} cells", n,
                                       call.n_keys.size(), cells, kv.n_cells));
  }
  const AttentionJob job = MakeJob(n, cells, kv, shape, order);
  const size_t width = shape.n_head * shape.head_dim;
  // One task: the heads that share keys at some positions; at a single position one head, or there would be few tasks.
  constexpr size_t kPositions = 5;
  const size_t group = shape.n_head / shape.n_head_kv;
  const size_t heads = n == 1 ? 1 : group;
  const size_t blocks = (n + kPositions - 1) / kPositions;
  const size_t room = std::min(n, kPositions) * heads;
  const size_t stride = job.n_kv + 64;
  // Each query's products with keys and with values.
  const size_t work = 2 * room * cells * shape.head_dim;
  ParallelRanges(pool, shape.n_head / heads * blocks, 1, work, [&](size_t begin, size_t end) {
    AlignedVector<float> rows(room * stride);
    AlignedVector<float> rounded(room * shape.head_dim);
    AlignedVector<float> results(room * shape.head_dim);
    std::vector<AttentionQueries::Query> queries;
    for (size_t task = begin; task < end; ++task) {
      const size_t head = task / blocks * heads;
      const size_t position = task % blocks * kPositions;
      const size_t positions = std::min(kPositions, n - position);
      queries.clear();
      for (size_t c = 0; c < positions * heads; ++c) {
        const size_t i = position + c / heads;
        const size_t t = i * shape.n_head + head + c % heads;
        const auto row_of = [&](auto* tensor) { return tensor != nullptr ? tensor + t * call.trace.stride : nullptr; };
        int* attended = call.trace.keys_attended != nullptr ? call.trace.keys_attended + i : nullptr;
        int* first_key = call.trace.first_key != nullptr ? call.trace.first_key + i : nullptr;
        if (call.q != nullptr) {
          RoundToF16(call.q + t * shape.head_dim, shape.head_dim, rounded.data() + c * shape.head_dim);
        }
        if (call.probabilities != nullptr) {
          std::copy_n(row_of(call.probabilities), call.Keys(i), rows.data() + c * stride);
        }
        queries.push_back({call.Keys(i), shape.FirstKey(call.first + i), row_of(call.trace.scores),
                           row_of(call.trace.softmax), attended, first_key});
      }
      kernel(job, head / group,
             {.n = queries.size(),
              .query = queries.data(),
              .q = rounded.data(),
              .rows = rows.data(),
              .stride = stride,
              .out = results.data()});
      if (call.out == nullptr) continue;
      for (size_t c = 0; c < queries.size(); ++c) {
        std::copy_n(results.data() + c * shape.head_dim, shape.head_dim,
                    call.out + (position + c / heads) * width + (head + c % heads) * shape.head_dim);
      }
    }
  });
}

}  // namespace

void Attention(const float* q, size_t n, size_t first, const KvView& kv, const AttentionShape& shape,
               const ArithmeticOrder& order, float* out, ThreadPool& pool, const AttentionTrace& trace) {
  static KernelCounter counter("attention");
  counter.Add(PrimitivesFor(order));
  if (trace.keys_attended != nullptr) std::fill_n(trace.keys_attended, n, 0);
  if (trace.first_key != nullptr) std::fill_n(trace.first_key, n, std::numeric_limits<int>::max());
  ForQueries({.n = n, .first = first, .n_keys = {}, .q = q, .out = out, .trace = trace}, kv, shape, order,
             AttendQueries, pool);
}

void AttentionScores(const float* q, size_t n, size_t first, const KvView& kv, const AttentionShape& shape,
                     const ArithmeticOrder& order, std::span<const size_t> n_keys, float* scores, size_t stride,
                     ThreadPool& pool) {
  ForQueries({.n = n, .first = first, .n_keys = n_keys, .q = q, .trace = {.scores = scores, .stride = stride}}, kv,
             shape, order, ScoreQueries, pool);
}

void AttentionValues(const float* probabilities, size_t stride, size_t n, size_t first, const KvView& kv,
                     const AttentionShape& shape, const ArithmeticOrder& order, std::span<const size_t> n_keys,
                     float* out, ThreadPool& pool) {
  ForQueries({.n = n,
              .first = first,
              .n_keys = n_keys,
              .probabilities = probabilities,
              .out = out,
              .trace = {.stride = stride}},
             kv, shape, order, SumQueries, pool);
}

void SoftmaxRow(float* x, size_t n, float scale, const ArithmeticOrder& order) {
  AlignedVector<float> row(RoundUp(n, order.lanes));
  std::copy_n(x, n, row.data());
  PrimitivesFor(order).softmax(row.data(), n, scale, order);
  std::copy_n(row.data(), n, x);
}

}  // namespace bitnet
