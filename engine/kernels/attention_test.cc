#include "engine/kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "engine/formats/codec.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/scalar.h"

namespace bitnet {
namespace {

// Keys and values of `n_keys` positions; what lies behind them is zero, as KvCache leaves it.
struct Cache {
  std::vector<uint16_t> k, v;
  KvView view;

  Cache(size_t n_keys, const AttentionShape& shape, size_t n_cells, Values values = Values::kNormal) {
    const size_t width = shape.n_head_kv * shape.head_dim;
    const std::vector<float> keys = RandomFloats(n_keys * width, 1);
    const std::vector<float> rows = RandomFloats(n_keys * width, 2, values);
    k.resize(n_cells * width);
    v.resize(n_cells * width);
    for (size_t i = 0; i < n_keys; ++i) {
      for (size_t d = 0; d < width; ++d) {
        k[i * width + d] = F16FromF32(keys[i * width + d]);
        v[d * n_cells + i] = F16FromF32(std::clamp(rows[i * width + d], -60000.0f, 60000.0f));
      }
    }
    view = {.k = k.data(), .v = v.data(), .n_cells = n_cells};
  }
};

// One of each that do the same here.
std::vector<ArithmeticOrder> OrdersOfAttention() {
  const auto key = [](const ArithmeticOrder& o) {
    return std::tuple(o.has_vectors ? std::string_view() : o.name, o.lanes, o.single.lanes, o.single.accumulators,
                      o.round_batch_to_f16, o.scores_as_single, o.kv_padding);
  };
  std::vector<ArithmeticOrder> orders;
  for (const ArithmeticOrder& order : AllOrders()) {
    const auto same = [&](const ArithmeticOrder& other) { return key(order) == key(other); };
    if (std::none_of(orders.begin(), orders.end(), same)) orders.push_back(order);
  }
  return orders;
}

std::string Describe(const AttentionShape& s, size_t n, size_t first, const ArithmeticOrder& order) {
  return fmt::format("{}: {}/{} heads of {}, positions {} to {}", order.name, s.n_head, s.n_head_kv, s.head_dim, first,
                     first + n - 1);
}

void ExpectDefinition(const AttentionShape& shape, size_t n, size_t first, ThreadPool& pool, float q_scale = 1.0f) {
  const Cache cache(first + n, shape, (first + n + 255) / 256 * 256);
  std::vector<float> q = RandomFloats(n * shape.n_head * shape.head_dim, 3);
  for (float& v : q) v *= q_scale;
  for (const ArithmeticOrder& order : OrdersOfAttention()) {
    std::vector<float> expected(q.size());
    scalar::Attention(q.data(), n, first, cache.view, shape, order, expected.data());
    OnEveryTarget(order, [&] {
      std::vector<float> found(q.size() + 1, 42.0f);
      Attention(q.data(), n, first, cache.view, shape, order, found.data(), pool);
      ASSERT_EQ(found.back(), 42.0f);
      found.pop_back();
      ASSERT_TRUE(SameBits(found, expected)) << Describe(shape, n, first, order);
    });
  }
}

constexpr AttentionShape kShapes[] = {{4, 2, 32}, {4, 4, 64}, {3, 1, 80}, {4, 2, 128}, {2, 1, 36}, {2, 2, 6}};

TEST(Attention, EqualsItsDefinitionFromTheFirstPosition) {
  ThreadPool pool(1);
  for (const AttentionShape& shape : kShapes) {
    for (const size_t n : kOddSizes) ExpectDefinition(shape, n, 0, pool);
  }
}

// One position, and batches, that end around the lengths to which references pad the row.
TEST(Attention, EqualsItsDefinitionAcrossPaddings) {
  ThreadPool pool(1);
  for (const AttentionShape& shape : kShapes) {
    for (const size_t end : {31, 32, 33, 64, 65, 127, 256, 257}) {
      for (const size_t n : {1, 6}) ExpectDefinition(shape, n, end - n, pool);
    }
  }
  ExpectDefinition({2, 1, 64}, 70, 200, pool);
  ExpectDefinition({2, 1, 64}, 130, 0, pool);
}

TEST(Attention, AnyNumberOfThreadsGivesTheSameBytes) {
  for (const size_t threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const size_t n : {1, 2, 5, 40}) ExpectDefinition({6, 3, 64}, n, 60, pool);
  }
}

// Large scores leave one key with all the probability, the others underflow; tiny ones give all keys the same.
TEST(Attention, ExtremeScores) {
  ThreadPool pool(1);
  for (const float scale : {0.0f, 1e-6f, 100.0f, 5000.0f}) {
    for (const size_t n : {1, 20}) ExpectDefinition({4, 2, 64}, n, 50, pool, scale);
  }
}

TEST(Attention, AWindowMasksTheKeysInFrontOfIt) {
  ThreadPool pool(2);
  for (const size_t window : {1, 3, 16, 40, 100}) {
    const AttentionShape shape{.n_head = 4, .n_head_kv = 2, .head_dim = 64, .scale = 1.0f, .window = window};
    for (const auto& [n, first] : {std::pair<size_t, size_t>{1, 70}, {7, 0}, {20, 33}}) {
      ExpectDefinition(shape, n, first, pool);
      const Cache cache(first + n, shape, 256);
      std::vector<int> keys(n), first_key(n);
      std::vector<float> out(n * 256);
      const AttentionTrace trace{.keys_attended = keys.data(), .first_key = first_key.data()};
      Attention(out.data(), n, first, cache.view, shape, AllOrders()[0], out.data(), pool, trace);
      for (size_t i = 0; i < n; ++i) {
        EXPECT_EQ(keys[i], static_cast<int>(first + i + 1));
        EXPECT_EQ(first_key[i], static_cast<int>(first + i + 1 - std::min(window, first + i + 1)));
      }
    }
  }
}

TEST(Attention, IsNearTheFormulaInDouble) {
  ThreadPool pool(2);
  const AttentionShape shape{.n_head = 6, .n_head_kv = 2, .head_dim = 64};
  const size_t width = shape.n_head * shape.head_dim;
  const size_t kv_width = shape.n_head_kv * shape.head_dim;
  for (const auto& [n, first] : {std::pair<size_t, size_t>{1, 0}, {1, 77}, {9, 0}, {9, 250}}) {
    const Cache cache(first + n, shape, 512);
    const std::vector<float> q = RandomFloats(n * width, 4);
    for (const ArithmeticOrder& order : AllOrders()) {
      std::vector<float> out(q.size());
      Attention(q.data(), n, first, cache.view, shape, order, out.data(), pool);
      for (size_t i = 0; i < n; ++i) {
        for (size_t h = 0; h < shape.n_head; ++h) {
          const size_t kv = h / 3 * shape.head_dim;
          std::vector<double> p;
          for (size_t j = 0; j <= first + i; ++j) {
            double score = 0;
            for (size_t d = 0; d < shape.head_dim; ++d) {
              score += double{q[i * width + h * shape.head_dim + d]} * F32FromF16(cache.k[j * kv_width + kv + d]);
            }
            p.push_back(std::exp(score / std::sqrt(double(shape.head_dim))));
          }
          const double sum = std::accumulate(p.begin(), p.end(), 0.0);
          for (size_t d = 0; d < shape.head_dim; ++d) {
            double expected = 0;
            for (size_t j = 0; j < p.size(); ++j) expected += p[j] / sum * F32FromF16(cache.v[(kv + d) * 512 + j]);
            // Q and the probabilities were rounded to 11 bits.
            ASSERT_NEAR(out[i * width + h * shape.head_dim + d], expected, 4e-3) << Describe(shape, n, first, order);
          }
        }
      }
    }
  }
}

TEST(Attention, TraceHoldsScoresAndProbabilitiesOfTheKeysAttended) {
  ThreadPool pool(2);
  const AttentionShape shape{.n_head = 4, .n_head_kv = 2, .head_dim = 64};
  const size_t n = 5, first = 60, stride = first + n;
  const Cache cache(first + n, shape, 256);
  const std::vector<float> q = RandomFloats(n * 256, 5);
  for (const ArithmeticOrder& order : AllOrders()) {
    OnEveryTarget(order, [&] {
      std::vector<float> plain(q.size()), out(q.size());
      std::vector<float> scores(n * 4 * stride, 42.0f), softmax(n * 4 * stride, 42.0f);
      Attention(q.data(), n, first, cache.view, shape, order, plain.data(), pool);
      const AttentionTrace trace{.scores = scores.data(), .softmax = softmax.data(), .stride = stride};
      Attention(q.data(), n, first, cache.view, shape, order, out.data(), pool, trace);
      ASSERT_TRUE(SameBits(out, plain)) << "tracing changed the result";
      for (size_t t = 0; t < n * 4; ++t) {
        const size_t keys = first + t / 4 + 1;
        std::vector<float> row(scores.begin() + t * stride, scores.begin() + t * stride + keys);
        scalar::SoftmaxRow(row.data(), keys, 0.125f, order);
        ASSERT_TRUE(SameBits(row, std::span(softmax).subspan(t * stride, keys))) << "row " << t;
        for (size_t j = keys; j < stride; ++j) ASSERT_EQ(softmax[t * stride + j], 42.0f);
      }
    });
  }
}

TEST(Attention, KeysAttendedAreThoseOfTheCausalMask) {
  const AttentionShape shape{.n_head = 6, .n_head_kv = 2, .head_dim = 32};
  const Cache cache(80, shape, 256);
  const std::vector<float> q = RandomFloats(20 * 6 * 32, 5);
  for (const size_t threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const size_t n : {1, 2, 7, 20}) {
      OnEveryTarget([&] {
        std::vector<int> keys(n + 1, 1000);
        std::vector<float> out(q.size());
        const AttentionTrace trace{.keys_attended = keys.data()};
        Attention(q.data(), n, 60, cache.view, shape, AllOrders()[0], out.data(), pool, trace);
        for (size_t i = 0; i < n; ++i) ASSERT_EQ(keys[i], static_cast<int>(60 + i + 1));
        ASSERT_EQ(keys[n], 1000);
      });
    }
  }
}

// Scores, softmax and values, one after the other.
TEST(Attention, IsScoresThenSoftmaxThenValues) {
  for (const size_t threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const AttentionShape& shape : kShapes) {
      for (const auto& [n, first] : {std::pair<size_t, size_t>{1, 0}, {1, 100}, {2, 30}, {9, 0}, {9, 250}}) {
        const Cache cache(first + n, shape, 512);
        const size_t stride = first + n + 3, rows = n * shape.n_head;
        const std::vector<float> q = RandomFloats(rows * shape.head_dim, 3);
        for (const ArithmeticOrder& order : OrdersOfAttention()) {
          OnEveryTarget(order, [&, n = n, first = first] {
            std::vector<float> expected(q.size()), out(q.size()), p(rows * stride, 42.0f);
            Attention(q.data(), n, first, cache.view, shape, order, expected.data(), pool);
            AttentionScores(q.data(), n, first, cache.view, shape, order, {}, p.data(), stride, pool);
            for (size_t t = 0; t < rows; ++t) {
              const size_t keys = first + t / shape.n_head + 1;
              for (size_t j = keys; j < stride; ++j) ASSERT_EQ(p[t * stride + j], 42.0f);
              SoftmaxRow(p.data() + t * stride, keys, 1.0f / std::sqrt(static_cast<float>(shape.head_dim)), order);
            }
            AttentionValues(p.data(), stride, n, first, cache.view, shape, order, {}, out.data(), pool);
            ASSERT_TRUE(SameBits(out, expected)) << Describe(shape, n, first, order);
          });
        }
      }
    }
  }
}

// A query of a batch that attends other keys gives what the query at that position gives in a batch of the same width.
TEST(Attention, OtherNumbersOfKeys) {
  ThreadPool pool(2);
  const AttentionShape shape{.n_head = 4, .n_head_kv = 2, .head_dim = 64};
  const size_t n = 5, first = 60, stride = 70, width = 256;
  const Cache cache(first + n, shape, 256);
  const std::vector<float> q = RandomFloats(n * width, 5);
  const std::vector<size_t> n_keys = {first + n, 1, first + 3, 0, first + 2};
  for (const ArithmeticOrder& order : OrdersOfAttention()) {
    OnEveryTarget(order, [&] {
      std::vector<float> causal(n * 4 * stride), scores(causal.size(), 42.0f), out(q.size(), 42.0f);
      AttentionScores(q.data(), n, first, cache.view, shape, order, n_keys, scores.data(), stride, pool);
      // The last query's row has the same keys for all queries.
      for (size_t i = 0; i < n; ++i) {
        std::vector<float> same(n * width);
        for (size_t c = 0; c < n; ++c) std::copy_n(q.data() + i * width, width, same.data() + c * width);
        AttentionScores(same.data(), n, first, cache.view, shape, order, {}, causal.data(), stride, pool);
        for (size_t h = 0; h < 4; ++h) {
          const auto row = std::span(scores).subspan((i * 4 + h) * stride, stride);
          const auto last = std::span(causal).subspan(((n - 1) * 4 + h) * stride, n_keys[i]);
          ASSERT_TRUE(SameBits(row.first(n_keys[i]), last));
          for (const float v : row.subspan(n_keys[i])) ASSERT_EQ(v, 42.0f);
        }
      }
      // Probabilities of 0 change nothing: fewer keys are all keys of which some have none.
      std::vector<float> p(n * 4 * stride), all(q.size());
      for (size_t i = 0; i < n; ++i) {
        for (size_t h = 0; h < 4; ++h) std::fill_n(p.data() + (i * 4 + h) * stride, n_keys[i], 0.125f);
      }
      AttentionValues(p.data(), stride, n, first, cache.view, shape, order, n_keys, out.data(), pool);
      const std::vector<size_t> every(n, first + n);
      AttentionValues(p.data(), stride, n, first, cache.view, shape, order, every, all.data(), pool);
      ASSERT_TRUE(SameBits(out, all));
    });
  }
  std::vector<float> out(q.size());
  const std::vector<size_t> too_many(n, 257), too_few_lengths(n - 1, 1);
  for (const auto& lengths : {too_many, too_few_lengths}) {
    EXPECT_THROW(AttentionScores(q.data(), n, first, cache.view, shape, AllOrders()[0], lengths, out.data(), 0, pool),
                 std::logic_error);
  }
}

TEST(SoftmaxRow, EqualsItsDefinition) {
  std::vector<size_t> sizes = kOddSizes;
  sizes.insert(sizes.end(), {31, 32, 63, 64, 65, 255, 257, 1000});
  for (const ArithmeticOrder& order : AllOrders()) {
    for (const size_t n : sizes) {
      for (const Values values : kAllValues) {
        for (const float scale : {1.0f, 0.125f, 30.0f}) {
          const std::vector<float> x = RandomFloats(n, 6, values);
          std::vector<float> expected = x;
          scalar::SoftmaxRow(expected.data(), n, scale, order);
          OnEveryTarget(order, [&] {
            std::vector<float> found = x;
            SoftmaxRow(found.data(), n, scale, order);
            ASSERT_TRUE(SameBits(found, expected)) << order.name << ", n = " << n;
          });
        }
      }
    }
  }
}

TEST(SoftmaxRow, AddsToOneAndKeepsTheOrder) {
  for (const ArithmeticOrder& order : AllOrders()) {
    std::vector<float> x = {1.0f, 3.0f, 2.0f, 3.0f, -1000.0f};
    SoftmaxRow(x.data(), x.size(), 1.0f, order);
    EXPECT_NEAR(std::accumulate(x.begin(), x.end(), 0.0), 1.0, 1e-6);
    EXPECT_EQ(x[1], x[3]);
    EXPECT_NEAR(x[1] / x[2], std::exp(1.0), 1e-5);
    EXPECT_EQ(x[4], 0.0f);
  }
}

}  // namespace
}  // namespace bitnet
