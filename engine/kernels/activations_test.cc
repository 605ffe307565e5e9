#include "engine/kernels/activations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "engine/formats/codec.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/scalar.h"

namespace bitnet {
namespace {

// Where Activations::q keeps element i of a kI8Row row: blocks 0 and 1 of 128 of each 256, interleaved by 32.
size_t InterleavedPlace(size_t i) {
  const size_t block = i / 128, chunk = i % 128 / 32;
  return block / 2 * 256 + chunk * 64 + block % 2 * 32 + i % 32;
}

void ExpectQ8K(const std::vector<float>& x, size_t n, size_t cols, ThreadPool& pool) {
  std::vector<int8_t> q(cols);
  std::vector<float> d(cols / 256);
  Activations a;
  a.Prepare(x.data(), n, cols, ActivationKind::kQ8K, pool);
  ASSERT_EQ(a.n, n);
  ASSERT_EQ(a.cols, cols);
  for (size_t r = 0; r < n; ++r) {
    scalar::QuantizeQ8K(x.data() + r * cols, cols, q.data(), d.data());
    for (size_t b = 0; b < cols / 256; ++b) {
      ASSERT_TRUE(SameBits(a.d[r * cols / 256 + b], d[b])) << "row " << r << " block " << b;
    }
    for (size_t i = 0; i < cols; ++i) ASSERT_EQ(int{a.q[r * a.q_stride + i]}, int{q[i]}) << "row " << r << " at " << i;
    for (size_t g = 0; g < cols / 32; ++g) {
      int sum = 0;
      for (size_t i = 0; i < 32; ++i) sum += q[g * 32 + i];
      ASSERT_EQ(a.sums[r * cols / 32 + g], -sum) << "row " << r << " group " << g;
    }
  }
}

TEST(Q8K, EqualsItsDefinitionForEveryShapeAndNumberOfThreads) {
  for (const size_t threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const size_t cols : {256, 512, 2560}) {
      for (const size_t n : kOddSizes) {
        for (const Values values : kAllValues) {
          const std::vector<float> x = RandomFloats(n * cols, 1, values);
          OnEveryTarget([&] { ExpectQ8K(x, n, cols, pool); });
        }
      }
    }
  }
}

// The scale takes the sign of the first of the values of largest magnitude.
TEST(Q8K, OfEqualMagnitudesTheFirstGivesTheSign) {
  ThreadPool pool(1);
  for (const size_t first : {0, 5, 15, 16, 100, 254}) {
    for (const size_t second : {1, 6, 17, 101, 255}) {
      if (second <= first) continue;
      for (const float sign : {1.0f, -1.0f}) {
        std::vector<float> x = RandomFloats(256, 2);
        for (float& v : x) v = std::clamp(v, -2.0f, 2.0f);
        x[first] = sign * 4.0f;
        x[second] = -sign * 4.0f;
        OnEveryTarget([&] {
          ExpectQ8K(x, 1, 256, pool);
          Activations a;
          a.Prepare(x.data(), 1, 256, ActivationKind::kQ8K, pool);
          ASSERT_EQ(int{a.q[first]}, -127);
          ASSERT_EQ(int{a.q[second]}, 127);
          ASSERT_EQ(std::signbit(a.d[0]), sign > 0);
        });
      }
    }
  }
}

// round-half-even: iscale is exactly -1, so q = -x.
TEST(Q8K, RoundsHalvesToEven) {
  ThreadPool pool(1);
  std::vector<float> x(256, 0.0f);
  x[0] = 127.0f;
  const float halves[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -126.5f};
  const int expected[] = {0, -2, -2, 0, 2, 2, -126, 126};
  std::copy(std::begin(halves), std::end(halves), x.begin() + 1);
  OnEveryTarget([&] {
    Activations a;
    a.Prepare(x.data(), 1, 256, ActivationKind::kQ8K, pool);
    for (size_t i = 0; i < 8; ++i) ASSERT_EQ(int{a.q[1 + i]}, expected[i]) << halves[i];
    ASSERT_EQ(a.d[0], -1.0f);
  });
}

TEST(Q8K, NearlyReproducesItsInput) {
  ThreadPool pool(1);
  const std::vector<float> x = RandomFloats(256, 3);
  float amax = 0;
  for (const float v : x) amax = std::max(amax, std::fabs(v));
  Activations a;
  a.Prepare(x.data(), 1, 256, ActivationKind::kQ8K, pool);
  for (size_t i = 0; i < 256; ++i) ASSERT_NEAR(a.q[i] * a.d[0], x[i], amax / 127 * 0.501);
}

TEST(Q8K, RefusesOtherWidths) {
  ThreadPool pool(1);
  const std::vector<float> x(300);
  Activations a;
  EXPECT_THROW(a.Prepare(x.data(), 1, 300, ActivationKind::kQ8K, pool), std::runtime_error);
  EXPECT_THROW(a.Prepare(x.data(), 1, 300, ActivationKind::kI8Row, pool), std::runtime_error);
}

TEST(Q80, EqualsItsDefinitionForEveryShapeAndNumberOfThreads) {
  for (const size_t threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const size_t cols : {32, 96, 2560}) {
      std::vector<int8_t> q(cols);
      std::vector<float> d(cols / 32);
      for (const size_t n : kOddSizes) {
        for (const Values values : kAllValues) {
          const std::vector<float> x = RandomFloats(n * cols, 6, values);
          OnEveryTarget([&] {
            Activations a;
            a.Prepare(x.data(), n, cols, ActivationKind::kQ80, pool);
            for (size_t r = 0; r < n; ++r) {
              scalar::QuantizeQ80(x.data() + r * cols, cols, q.data(), d.data());
              ASSERT_TRUE(SameBits(std::span(a.d).subspan(r * cols / 32, cols / 32), d)) << "row " << r;
              ASSERT_TRUE(std::equal(q.begin(), q.end(), a.q.data() + r * a.q_stride)) << "row " << r;
            }
          });
        }
      }
    }
  }
}

TEST(I8Row, EqualsItsDefinitionForEveryShapeAndNumberOfThreads) {
  for (const size_t threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const size_t cols : {128, 256, 384, 2560}) {
      std::vector<int8_t> q(cols);
      for (const size_t n : kOddSizes) {
        for (const Values values : kAllValues) {
          const std::vector<float> x = RandomFloats(n * cols, 4, values);
          const bool once = n % 2 == 0;
          OnEveryTarget([&] {
            Activations a;
            a.Prepare(x.data(), n, cols, once ? ActivationKind::kI8RowRoundedOnce : ActivationKind::kI8Row, pool);
            ASSERT_GE(a.q_stride, cols);
            for (size_t r = 0; r < n; ++r) {
              const float s = scalar::QuantizeI8Row(x.data() + r * cols, cols, q.data(), once);
              ASSERT_TRUE(SameBits(a.d[r], s));
              std::vector<int8_t> expected(a.q_stride, 0);
              int sum = 0;
              for (size_t i = 0; i < cols; ++i) {
                expected[InterleavedPlace(i)] = q[i];
                sum += q[i];
              }
              const auto* row = a.q.data() + r * a.q_stride;
              ASSERT_TRUE(std::equal(expected.begin(), expected.end(), row)) << "row " << r << " of " << cols;
              ASSERT_EQ(a.sums[r], sum);
            }
          });
        }
      }
    }
  }
}

// Products next to a tie of two integers: rounded to float32 some of them become the tie.
TEST(I8Row, RoundedOnceDiffersWhereTheProductIsNearATie) {
  ThreadPool pool(1);
  std::vector<float> x(128, 0.0f);
  x[0] = 1.5f;
  const float s = static_cast<float>(127.0 / 1.5);
  int different = 0;
  for (int k = 0; k < 120; ++k) {
    const float tie = (static_cast<float>(k) + 0.5f) / s;
    for (const float v : {std::nextafter(tie, 0.0f), tie, std::nextafter(tie, 2.0f)}) {
      x[1] = v;
      Activations twice, once;
      twice.Prepare(x.data(), 1, 128, ActivationKind::kI8Row, pool);
      once.Prepare(x.data(), 1, 128, ActivationKind::kI8RowRoundedOnce, pool);
      EXPECT_EQ(int{twice.q[1]}, static_cast<int>(std::nearbyint(v * s)));
      EXPECT_EQ(int{once.q[1]}, static_cast<int>(std::nearbyint(double{v} * s)));  // exact in double
      different += once.q[1] != twice.q[1];
    }
  }
  EXPECT_GT(different, 10);
}

TEST(I8Row, SmallRowsKeepTheLeastScale) {
  ThreadPool pool(1);
  std::vector<float> x(128, 1e-7f);
  OnEveryTarget([&] {
    Activations a;
    a.Prepare(x.data(), 1, 128, ActivationKind::kI8Row, pool);
    ASSERT_EQ(a.d[0], static_cast<float>(127.0 / 0.00001));
    ASSERT_EQ(int{a.q[0]}, 1);
  });
}

// What the definition quantizes, given from outside, is what Prepare makes: the same products.
TEST(Assign, GivesTheBitsOfPrepare) {
  struct Case {
    ActivationKind kind;
    size_t scale_of;  // elements; 0: a row
  };
  ThreadPool pool(1);
  for (const size_t cols : {256, 384, 2560}) {
    for (const Case& c : {Case{ActivationKind::kQ80, 32},
                          {ActivationKind::kQ81, 32},
                          {ActivationKind::kQ8K, 256},
                          {ActivationKind::kI8Row, 0},
                          {ActivationKind::kI8RowRoundedOnce, 0}}) {
      if (c.scale_of != 0 && cols % c.scale_of != 0) continue;
      for (const size_t n : {1, 3, 9}) {
        const std::vector<float> x = RandomFloats(n * cols, 8);
        const size_t scales = c.scale_of == 0 ? 1 : cols / c.scale_of;
        std::vector<int8_t> q(n * cols);
        std::vector<float> d(n * scales);
        for (size_t r = 0; r < n; ++r) {
          const float* row = x.data() + r * cols;
          int8_t* to = q.data() + r * cols;
          if (c.kind == ActivationKind::kQ80) {
            scalar::QuantizeQ80(row, cols, to, d.data() + r * scales);
          } else if (c.kind == ActivationKind::kQ81) {
            scalar::QuantizeQ81(row, cols, to, d.data() + r * scales);
          } else if (c.kind == ActivationKind::kQ8K) {
            scalar::QuantizeQ8K(row, cols, to, d.data() + r * scales);
          } else {
            d[r] = scalar::QuantizeI8Row(row, cols, to, c.kind == ActivationKind::kI8RowRoundedOnce);
          }
        }
        Activations prepared, assigned;
        prepared.Prepare(x.data(), n, cols, c.kind, pool);
        assigned.Assign(c.kind, n, cols, q.data(), d.data());
        ASSERT_EQ(assigned.kind, prepared.kind);
        ASSERT_EQ(assigned.n, n);
        ASSERT_EQ(assigned.cols, cols);
        ASSERT_EQ(assigned.q_stride, prepared.q_stride);
        ASSERT_TRUE(std::ranges::equal(assigned.q, prepared.q)) << cols;
        ASSERT_TRUE(std::ranges::equal(assigned.sums, prepared.sums)) << cols;
        ASSERT_TRUE(SameBits(assigned.d, prepared.d)) << cols;
        ASSERT_TRUE(SameBits(assigned.scaled_sums, prepared.scaled_sums)) << cols;
      }
    }
  }
  const std::vector<int8_t> q(300);
  const std::vector<float> d(3);
  Activations a;
  EXPECT_THROW(a.Assign(ActivationKind::kQ8K, 1, 300, q.data(), d.data()), std::runtime_error);
  EXPECT_THROW(a.Assign(ActivationKind::kF16, 1, 256, q.data(), d.data()), std::logic_error);
}

// What is no number becomes 0, and decides no scale; an infinite scale makes 0 of everything.
TEST(NotANumber, IsZeroInEveryKind) {
  ThreadPool pool(1);
  const size_t cols = 512;
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const float odd : {nan, -nan, infinity, -infinity}) {
    for (const size_t every : {1, 3, 64}) {
      std::vector<float> x = RandomFloats(cols, 9);
      for (size_t i = 0; i < cols; i += every) x[i] = odd;
      for (const ActivationKind kind :
           {ActivationKind::kQ80, ActivationKind::kQ80Inverted, ActivationKind::kQ81, ActivationKind::kQ8K,
            ActivationKind::kI8Row, ActivationKind::kI8RowRoundedOnce}) {
        const scalar::Input in = scalar::Prepare(x.data(), cols, kind);
        for (size_t i = 0; i < cols; i += every) ASSERT_EQ(int{in.q[i]}, 0) << odd;
        OnEveryTarget([&] {
          Activations prepared, assigned;
          prepared.Prepare(x.data(), 1, cols, kind, pool);
          assigned.Assign(kind, 1, cols, in.q.data(), in.d.data());
          ASSERT_TRUE(std::ranges::equal(prepared.q, assigned.q)) << odd << ", every " << every;
          ASSERT_TRUE(SameBits(prepared.d, assigned.d)) << odd << ", every " << every;
        });
      }
    }
  }
}

TEST(Rounded, KindsRoundEachElement) {
  for (const size_t threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const size_t n : kOddSizes) {
      for (const Values values : kAllValues) {
        const size_t cols = 67;
        const std::vector<float> x = RandomFloats(n * cols, 5, values);
        OnEveryTarget([&] {
          Activations f32, f16, bf16;
          f32.Prepare(x.data(), n, cols, ActivationKind::kF32, pool);
          f16.Prepare(x.data(), n, cols, ActivationKind::kF16, pool);
          bf16.Prepare(x.data(), n, cols, ActivationKind::kBF16, pool);
          for (size_t i = 0; i < x.size(); ++i) {
            ASSERT_TRUE(SameBits(f32.f32[i], x[i]));
            ASSERT_TRUE(SameBits(f16.f32[i], F32FromF16(F16FromF32(x[i])))) << x[i];
            ASSERT_TRUE(SameBits(bf16.f32[i], F32FromBf16(Bf16FromF32(x[i])))) << x[i];
          }
        });
      }
    }
  }
}

TEST(ActivationKindFor, FollowsTheReference) {
  const auto kind = [](TensorType type, size_t n, const char* order, size_t rows = 8, size_t cols = 256) {
    return ActivationKindFor({.type = type, .rows = rows, .cols = cols}, n, FindOrder(order));
  };
  EXPECT_EQ(kind(TensorType::kF32, 1, "llama.cpp-avx512"), ActivationKind::kF32);
  EXPECT_EQ(kind(TensorType::kF16, 1, "llama.cpp-avx512"), ActivationKind::kF16);
  EXPECT_EQ(kind(TensorType::kF16, 2, "llama.cpp-avx512"), ActivationKind::kF16);
  EXPECT_EQ(kind(TensorType::kF16, 1, "bitnet.cpp-avx512"), ActivationKind::kF16);
  EXPECT_EQ(kind(TensorType::kF16, 2, "bitnet.cpp-avx512"), ActivationKind::kF32);
  EXPECT_EQ(kind(TensorType::kTQ1_0, 3, "llama.cpp-avx512"), ActivationKind::kQ8K);
  EXPECT_EQ(kind(TensorType::kTQ2_0, 3, "llama.cpp-avx512"), ActivationKind::kQ8K);
  EXPECT_EQ(kind(TensorType::kQ8_0, 3, "llama.cpp-avx512"), ActivationKind::kQ80);
  EXPECT_EQ(kind(TensorType::kQ8_0, 3, "llama.cpp-neon"), ActivationKind::kQ80Inverted);
  EXPECT_EQ(kind(TensorType::kBF16, 3, "llama.cpp-avx512"), ActivationKind::kBF16);
  EXPECT_EQ(kind(TensorType::kI2_S, 3, "bitnet.cpp-avx512"), ActivationKind::kI8Row);
  EXPECT_EQ(kind(TensorType::kI2_S, 3, "bitnet.cpp-avx512-gcc"), ActivationKind::kI8RowRoundedOnce);
}

// F16 rows meet float32 that is not rounded in what is computed as a batch, and nowhere else.
TEST(ActivationKindFor, RoundsToF16WhereABatchIsNone) {
  const auto f16 = [](size_t n, const char* order, size_t rows, size_t cols) {
    return ActivationKindFor({.type = TensorType::kF16, .rows = rows, .cols = cols}, n, FindOrder(order)) ==
           ActivationKind::kF16;
  };
  EXPECT_FALSE(f16(2, "llama.cpp-neon", 8, 256));
  EXPECT_TRUE(f16(2, "llama.cpp-neon", 6, 256));
  EXPECT_TRUE(f16(2, "llama.cpp-neon", 8, 250));
  EXPECT_FALSE(f16(2, "bitnet.cpp-avx512", 6, 256));
  EXPECT_TRUE(f16(2, "bitnet.cpp-avx512", 8, 248));
  EXPECT_FALSE(f16(2, "bitnet.cpp-avx2", 8, 248));
  EXPECT_TRUE(f16(9, "llama.cpp-neon-fp16", 8, 256));
}

}  // namespace
}  // namespace bitnet
