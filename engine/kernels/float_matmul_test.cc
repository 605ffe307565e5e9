// F32, F16 and BF16 products in every order of operations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "engine/gguf/quants.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/matmul.h"

namespace bitnet {
namespace {

struct EncodedMatrix {
  WeightMatrix matrix;
  std::vector<std::byte> data;
};

EncodedMatrix Encode(TensorType type, const std::vector<float>& values, size_t rows, size_t cols) {
  EncodedMatrix w;
  w.data.resize(TensorBytes(type, rows, cols));
  QuantizeTensor(type, values, rows, cols, w.data);
  w.matrix = {.type = type, .rows = rows, .cols = cols, .data = w.data.data()};
  return w;
}

std::vector<float> Product(const WeightMatrix& w, const std::vector<float>& x, size_t n, const ArithmeticOrder& order,
                           ThreadPool& pool) {
  Activations a;
  a.Prepare(x.data(), n, w.cols, ActivationKindFor(w.type, n, order), pool);
  std::vector<float> y(n * w.rows);
  MatMul(w, a, order, y.data(), pool);
  return y;
}

// order.h: a batch takes the order for batches where width and rows allow it.
const DotOrder& DotOrderFor(const WeightMatrix& w, size_t n, const ArithmeticOrder& order) {
  const bool bf16 = w.type == TensorType::kBF16;
  const DotOrder& batch = bf16 ? order.bf16_batch : order.batch;
  const size_t step = batch.lanes * batch.accumulators * (batch.pairs ? 2 : 1);
  if (n >= 2 && w.cols % step == 0 && w.rows % order.batch_rows == 0) return batch;
  return bf16 ? order.bf16_single : order.single;
}

float Rounded(float v, const WeightMatrix& w, size_t n, const ArithmeticOrder& order) {
  if (w.type == TensorType::kBF16) return F32FromBf16(Bf16FromF32(v));
  if (w.type == TensorType::kF16 && (n == 1 || order.round_batch_to_f16)) return F32FromF16(F16FromF32(v));
  return v;
}

float DotOfRow(const WeightMatrix& w, size_t row, const float* x, const DotOrder& dot) {
  const std::byte* data = w.data + row * TensorBytes(w.type, 1, w.cols);
  switch (w.type) {
    case TensorType::kF16:
      return scalar::DotF16(reinterpret_cast<const uint16_t*>(data), x, w.cols, dot);
    case TensorType::kBF16:
      return scalar::DotBF16(reinterpret_cast<const uint16_t*>(data), x, w.cols, dot);
    default:
      return scalar::DotF32(reinterpret_cast<const float*>(data), x, w.cols, dot);
  }
}

std::vector<float> ByDefinition(const WeightMatrix& w, const std::vector<float>& x, size_t n,
                                const ArithmeticOrder& order) {
  const DotOrder& dot = DotOrderFor(w, n, order);
  std::vector<float> y(n * w.rows);
  std::vector<float> row(w.cols);
  for (size_t p = 0; p < n; ++p) {
    for (size_t i = 0; i < w.cols; ++i) row[i] = Rounded(x[p * w.cols + i], w, n, order);
    for (size_t r = 0; r < w.rows; ++r) y[p * w.rows + r] = DotOfRow(w, r, row.data(), dot);
  }
  return y;
}

// The row's end: a product that is rounded before it is added, and one that is fused. x*x = 1 + 2^-11 + 2^-24 rounds to
// 1 + 2^-11.
TEST(DotF32, RoundsTheTailInWholeGroups) {
  constexpr float kX = 1 + 0x1p-12f, kRounded = 1 + 0x1p-11f;
  for (const ArithmeticOrder& order : AllOrders()) {
    const size_t group = static_cast<size_t>(order.single.lanes) / 2;
    const bool by_gcc = order.name.starts_with("llama.cpp") || order.name.ends_with("-gcc");
    EXPECT_EQ(order.single.rounded_tail, by_gcc) << order.name;
    for (size_t n = 2; n < 4 * group; ++n) {
      for (size_t at = 1; at < n; ++at) {
        std::vector<float> a(n, 0.0f), b(n, 1.0f);
        a[at - 1] = -kRounded;
        a[at] = b[at] = kX;
        const bool rounded = order.single.rounded_tail && at < n - n % group;
        EXPECT_EQ(scalar::DotF32(a.data(), b.data(), n, order.single), rounded ? 0.0f : 0x1p-24f)
            << order.name << ": element " << at << " of " << n;
      }
    }
  }
}

// The orders that differ for a type.
std::vector<ArithmeticOrder> OrdersOf(TensorType type) {
  std::vector<ArithmeticOrder> orders;
  const auto same = [type](const ArithmeticOrder& a, const ArithmeticOrder& b) {
    if (a.batch_rows != b.batch_rows) return false;
    if (type == TensorType::kBF16) return a.bf16_single == b.bf16_single && a.bf16_batch == b.bf16_batch;
    return a.single == b.single && a.batch == b.batch && a.round_batch_to_f16 == b.round_batch_to_f16;
  };
  for (const ArithmeticOrder& order : AllOrders()) {
    if (std::none_of(orders.begin(), orders.end(), [&](const auto& known) { return same(known, order); })) {
      orders.push_back(order);
    }
  }
  return orders;
}

class FloatMatMul : public ::testing::TestWithParam<TensorType> {};

TEST_P(FloatMatMul, EqualsItsDefinitionInEveryOrderAndShape) {
  ThreadPool pool(1);
  for (const ArithmeticOrder& order : OrdersOf(GetParam())) {
    for (const size_t cols : {8, 16, 24, 64, 72, 80, 100, 256, 2563}) {
      for (const size_t rows : {1, 3, 4, 8, 12, 33, 36}) {
        if (cols > 2000 && rows > 4) continue;
        const EncodedMatrix w = Encode(GetParam(), RandomFloats(rows * cols, 1), rows, cols);
        for (const size_t n : kOddSizes) {
          const std::vector<float> x = RandomFloats(n * cols, 2);
          const std::vector<float> expected = ByDefinition(w.matrix, x, n, order);
          OnEveryTarget([&] {
            ASSERT_TRUE(SameBits(Product(w.matrix, x, n, order, pool), expected))
                << order.name << ": " << rows << " x " << cols << ", n = " << n;
          });
        }
      }
    }
  }
}

TEST_P(FloatMatMul, AnyNumberOfThreadsGivesTheSameBytes) {
  for (const ArithmeticOrder& order : OrdersOf(GetParam())) {
    for (const size_t rows : {16, 17, 132, 1000}) {
      const EncodedMatrix w = Encode(GetParam(), RandomFloats(rows * 80, 3), rows, 80);
      for (const size_t n : {1, 6, 41}) {
        const std::vector<float> x = RandomFloats(n * 80, 4);
        const std::vector<float> expected = ByDefinition(w.matrix, x, n, order);
        for (const size_t threads : {1, 2, 3}) {
          ThreadPool pool(threads);
          EXPECT_TRUE(SameBits(Product(w.matrix, x, n, order, pool), expected)) << rows << ", n = " << n;
        }
      }
    }
  }
}

TEST_P(FloatMatMul, ExtremeValues) {
  ThreadPool pool(1);
  for (const ArithmeticOrder& order : OrdersOf(GetParam())) {
    for (const Values values : {Values::kTiny, Values::kSubnormal, Values::kZeros, Values::kMixed, Values::kHuge}) {
      // F16 weights stay in F16's range; activations may overflow to infinity when they are rounded.
      const EncodedMatrix w = Encode(GetParam(), RandomFloats(8 * 96, 5), 8, 96);
      for (const size_t n : {1, 5, 8}) {
        const std::vector<float> x = RandomFloats(n * 96, 6, values);
        const std::vector<float> expected = ByDefinition(w.matrix, x, n, order);
        OnEveryTarget([&] { ASSERT_TRUE(SameBits(Product(w.matrix, x, n, order, pool), expected)) << n; });
      }
    }
  }
}

TEST_P(FloatMatMul, NanAndInfinityReachTheirOutputs) {
  ThreadPool pool(1);
  for (const ArithmeticOrder& order : OrdersOf(GetParam())) {
    for (const size_t n : {1, 6}) {
      const EncodedMatrix w = Encode(GetParam(), RandomFloats(4 * 64, 7), 4, 64);
      std::vector<float> x = RandomFloats(n * 64, 8);
      x[13] = std::numeric_limits<float>::quiet_NaN();
      const std::vector<float> clean = ByDefinition(w.matrix, RandomFloats(n * 64, 8), n, order);
      OnEveryTarget([&] {
        const std::vector<float> y = Product(w.matrix, x, n, order, pool);
        for (size_t i = 0; i < y.size(); ++i) {
          ASSERT_TRUE(i < 4 ? std::isnan(y[i]) : SameBits(y[i], clean[i])) << i;
        }
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, FloatMatMul, ::testing::Values(TensorType::kF32, TensorType::kF16, TensorType::kBF16),
                         [](const auto& info) { return TypeName(info.param); });

// vdpbf16ps: the second of two neighbours is added first, and a subnormal sum on the way is zero.
TEST(DotBF16, OfPairsAddsTheSecondFirst) {
  const DotOrder pairs = {.lanes = 16, .accumulators = 1, .adjacent_fold = false, .pairs = true};
  std::vector<uint16_t> w(32, 0);
  std::vector<float> x(32, 1.0f);
  const auto sum = [&](float first, float second) {
    w[0] = Bf16FromF32(first);
    w[1] = Bf16FromF32(second);
    return scalar::DotBF16(w.data(), x.data(), 32, pairs);
  };
  EXPECT_EQ(sum(0x1p-130f, 1.0f), 1.0f);
  EXPECT_EQ(sum(0x1p-130f, 0x1p-130f), 0.0f);
  EXPECT_EQ(sum(0x1.8p-126f, -0x1p-126f), 0.0f);
  x[0] = 0x1p-100f;
  x[1] = 0x1p-30f;
  EXPECT_EQ(sum(0x1p-27f, -0x1p-97f), 0.0f) << "-2^-127 is subnormal, and so is the sum with 2^-127";
}

TEST(WeightRow, IsTheDequantizedRow) {
  const size_t rows = 3, cols = 512;
  for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kQ8_0,
                                TensorType::kQ6_K, TensorType::kTQ1_0, TensorType::kTQ2_0}) {
    const EncodedMatrix w = Encode(type, RandomFloats(rows * cols, 11), rows, cols);
    std::vector<float> all(rows * cols);
    DequantizeTensor(type, w.data, rows, cols, all);
    for (size_t r = 0; r < rows; ++r) {
      std::vector<float> row(cols);
      WeightRow(w.matrix, r, row.data());
      EXPECT_TRUE(SameBits(row, std::span(all).subspan(r * cols, cols))) << TypeName(type);
    }
  }
  EXPECT_THROW(WeightRow({.type = TensorType::kI2_S, .rows = 1, .cols = 128}, 0, nullptr), std::runtime_error);
}

TEST(MatMul, RefusesActivationsOfAnotherWidth) {
  ThreadPool pool(1);
  const EncodedMatrix w = Encode(TensorType::kF32, RandomFloats(64, 12), 1, 64);
  const std::vector<float> x(32);
  Activations a;
  a.Prepare(x.data(), 1, 32, ActivationKind::kF32, pool);
  float y;
  EXPECT_THROW(MatMul(w.matrix, a, AllOrders().front(), &y, pool), std::logic_error);
}

}  // namespace
}  // namespace bitnet
