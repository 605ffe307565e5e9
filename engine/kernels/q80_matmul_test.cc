// Q8_0 products against their scalar definition, bit for bit.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "engine/gguf/quants.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/matmul.h"

namespace bitnet {
namespace {

struct Q80Weights {
  WeightMatrix matrix;
  std::vector<int8_t> codes;  // [rows, cols]
  std::vector<float> d_w;     // [rows, cols/32]
  std::vector<std::byte> data;
};

// Blocks written by hand: an F16 scale, 32 int8. Every code is `code` where one is given.
Q80Weights MakeWeights(size_t rows, size_t cols, std::optional<int> code = std::nullopt) {
  Q80Weights w;
  std::mt19937 generator(rows * 41 + cols);
  for (size_t block = 0; block < rows * cols / 32; ++block) {
    const uint16_t d = generator() % 0x5000;
    w.d_w.push_back(F32FromF16(d));
    std::byte bytes[34];
    std::memcpy(bytes, &d, 2);
    for (size_t i = 0; i < 32; ++i) {
      w.codes.push_back(static_cast<int8_t>(code ? *code : static_cast<int>(generator() % 256) - 128));
      bytes[2 + i] = static_cast<std::byte>(w.codes.back());
    }
    w.data.insert(w.data.end(), bytes, bytes + sizeof bytes);
  }
  w.matrix = {.type = TensorType::kQ8_0, .rows = rows, .cols = cols, .data = w.data.data()};
  return w;
}

void ExpectDefinition(const Q80Weights& w, const std::vector<float>& x, size_t n, ThreadPool& pool) {
  const size_t rows = w.matrix.rows, cols = w.matrix.cols;
  const ArithmeticOrder& order = AllOrders().front();
  std::vector<float> expected(n * rows);
  std::vector<int8_t> q(cols);
  std::vector<float> d(cols / 32);
  for (size_t p = 0; p < n; ++p) {
    scalar::QuantizeQ80(x.data() + p * cols, cols, q.data(), d.data());
    for (size_t r = 0; r < rows; ++r) {
      expected[p * rows + r] =
          scalar::DotQ80(w.codes.data() + r * cols, w.d_w.data() + r * cols / 32, q.data(), d.data(), cols);
    }
  }
  OnEveryTarget([&] {
    Activations a;
    a.Prepare(x.data(), n, cols, ActivationKindFor(TensorType::kQ8_0, n, order), pool);
    std::vector<float> y(n * rows + 1, 42.0f);
    MatMul(w.matrix, a, order, y.data(), pool);
    ASSERT_EQ(y.back(), 42.0f) << "written behind the end";
    y.pop_back();
    ASSERT_TRUE(SameBits(y, expected)) << rows << " x " << cols << ", n = " << n;
  });
}

TEST(Q80MatMul, EqualsItsDefinitionForEveryShape) {
  ThreadPool pool(2);
  for (const size_t cols : {32, 64, 96, 2560}) {
    for (const size_t rows : {1, 2, 17, 33}) {
      const Q80Weights w = MakeWeights(rows, cols);
      for (const size_t n : kOddSizes) ExpectDefinition(w, RandomFloats(n * cols, 1), n, pool);
    }
  }
}

TEST(Q80MatMul, ExtremeActivations) {
  ThreadPool pool(1);
  const Q80Weights w = MakeWeights(3, 96);
  for (const Values values : kAllValues) {
    for (const size_t n : {1, 5}) ExpectDefinition(w, RandomFloats(n * 96, 3, values), n, pool);
  }
}

// Products of neighbours at their largest: 16 bits still hold them.
TEST(Q80MatMul, LargestProductsOfOneSign) {
  ThreadPool pool(1);
  for (const int code : {-128, -127, 127}) {
    const Q80Weights w = MakeWeights(2, 64, code);
    for (const float value : {1.0f, -1.0f}) {
      for (const size_t n : {1, 4}) ExpectDefinition(w, std::vector<float>(n * 64, value), n, pool);
    }
  }
}

// Ties the layout of this test's blocks to the format's decoder.
TEST(Q80MatMul, IsNearTheProductInDouble) {
  ThreadPool pool(1);
  const size_t rows = 4, cols = 1024;
  const Q80Weights w = MakeWeights(rows, cols);
  std::vector<float> dense(rows * cols);
  DequantizeTensor(TensorType::kQ8_0, w.data, rows, cols, dense);
  const std::vector<float> x = RandomFloats(cols, 4);
  Activations a;
  a.Prepare(x.data(), 1, cols, ActivationKind::kQ80, pool);
  std::vector<float> y(rows);
  MatMul(w.matrix, a, AllOrders().front(), y.data(), pool);
  for (size_t r = 0; r < rows; ++r) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < cols; ++i) {
      const double product = double{dense[r * cols + i]} * x[i];
      sum += product;
      squares += product * product;
    }
    EXPECT_NEAR(y[r], sum, 0.05 * std::sqrt(squares));
  }
}

}  // namespace
}  // namespace bitnet
