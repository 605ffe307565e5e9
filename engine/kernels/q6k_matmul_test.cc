// Q6_K products against their scalar definition, bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "engine/gguf/quants.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/matmul.h"

namespace bitnet {
namespace {

struct Q6KWeights {
  WeightMatrix matrix;
  std::vector<uint8_t> codes;  // [rows, cols] of 0 .. 63
  std::vector<int8_t> scales;  // [rows, cols/16]
  std::vector<float> d_w;      // [rows, cols/256]
  std::vector<std::byte> data;
};

// Blocks written by hand: 128 bytes of low bits, 64 of high bits, 16 scales, an F16 scale. With `largest`, every code
// is `code` and every scale -128.
Q6KWeights MakeWeights(size_t rows, size_t cols, bool largest = false, uint8_t code = 0) {
  Q6KWeights w;
  std::mt19937 generator(rows * 41 + cols);
  for (size_t block = 0; block < rows * cols / 256; ++block) {
    uint8_t bytes[210] = {};
    for (size_t i = 0; i < 256; ++i) {
      const uint8_t c = largest ? code : generator() % 64;
      w.codes.push_back(c);
      const size_t half = i / 128, k = i / 32 % 4, l = i % 32;
      bytes[64 * half + 32 * (k % 2) + l] |= (c & 15) << (k < 2 ? 0 : 4);
      bytes[128 + 32 * half + l] |= (c >> 4) << (2 * k);
    }
    for (size_t i = 0; i < 16; ++i) {
      w.scales.push_back(static_cast<int8_t>(largest ? -128 : static_cast<int>(generator() % 256) - 128));
      bytes[192 + i] = static_cast<uint8_t>(w.scales.back());
    }
    const uint16_t d = generator() % 0x5000;
    w.d_w.push_back(F32FromF16(d));
    std::memcpy(bytes + 208, &d, 2);
    const auto* begin = reinterpret_cast<const std::byte*>(bytes);
    w.data.insert(w.data.end(), begin, begin + sizeof bytes);
  }
  w.matrix = {.type = TensorType::kQ6_K, .rows = rows, .cols = cols, .data = w.data.data()};
  return w;
}

void ExpectDefinition(const Q6KWeights& w, const std::vector<float>& x, size_t n, ThreadPool& pool) {
  const size_t rows = w.matrix.rows, cols = w.matrix.cols;
  for (const ArithmeticOrder& order : AllOrders()) {
    std::vector<float> expected(n * rows);
    std::vector<int8_t> q(cols);
    std::vector<float> d(cols / 256);
    for (size_t p = 0; p < n; ++p) {
      scalar::QuantizeQ8K(x.data() + p * cols, cols, q.data(), d.data());
      for (size_t r = 0; r < rows; ++r) {
        expected[p * rows + r] =
            scalar::DotQ6K(w.codes.data() + r * cols, w.scales.data() + r * cols / 16, w.d_w.data() + r * cols / 256,
                           q.data(), d.data(), cols, order.q6_k_offset_apart);
      }
    }
    OnEveryTarget([&] {
      Activations a;
      a.Prepare(x.data(), n, cols, ActivationKindFor(TensorType::kQ6_K, n, order), pool);
      std::vector<float> y(n * rows + 1, 42.0f);
      MatMul(w.matrix, a, order, y.data(), pool);
      ASSERT_EQ(y.back(), 42.0f) << "written behind the end";
      y.pop_back();
      ASSERT_TRUE(SameBits(y, expected)) << order.name << " " << rows << " x " << cols << ", n = " << n;
    });
  }
}

TEST(Q6KMatMul, EqualsItsDefinitionForEveryShape) {
  ThreadPool pool(2);
  for (const size_t cols : {256, 512, 2560}) {
    for (const size_t rows : {1, 2, 17, 33}) {
      const Q6KWeights w = MakeWeights(rows, cols);
      for (const size_t n : kOddSizes) ExpectDefinition(w, RandomFloats(n * cols, 1), n, pool);
    }
  }
}

TEST(Q6KMatMul, ExtremeActivations) {
  ThreadPool pool(1);
  const Q6KWeights w = MakeWeights(3, 768);
  for (const Values values : kAllValues) {
    for (const size_t n : {1, 5}) ExpectDefinition(w, RandomFloats(n * 768, 3, values), n, pool);
  }
}

// Products of neighbours at their largest: 16 bits still hold them.
TEST(Q6KMatMul, LargestProductsOfOneSign) {
  ThreadPool pool(1);
  for (const int code : {0, 32, 63}) {
    const Q6KWeights w = MakeWeights(2, 1024, true, static_cast<uint8_t>(code));
    for (const float value : {1.0f, -1.0f}) {
      for (const size_t n : {1, 4}) ExpectDefinition(w, std::vector<float>(n * 1024, value), n, pool);
    }
  }
}

// Ties the layout of this test's blocks to the format's decoder.
TEST(Q6KMatMul, IsNearTheProductInDouble) {
  ThreadPool pool(1);
  const size_t rows = 4, cols = 1024;
  const Q6KWeights w = MakeWeights(rows, cols);
  std::vector<float> dense(rows * cols);
  DequantizeTensor(TensorType::kQ6_K, w.data, rows, cols, dense);
  const std::vector<float> x = RandomFloats(cols, 4);
  for (const ArithmeticOrder& order : AllOrders()) {
    Activations a;
    a.Prepare(x.data(), 1, cols, ActivationKindFor(TensorType::kQ6_K, 1, order), pool);
    std::vector<float> y(rows);
    MatMul(w.matrix, a, order, y.data(), pool);
    for (size_t r = 0; r < rows; ++r) {
      double sum = 0, squares = 0;
      for (size_t i = 0; i < cols; ++i) {
        const double product = double{dense[r * cols + i]} * x[i];
        sum += product;
        squares += product * product;
      }
      EXPECT_NEAR(y[r], sum, 0.05 * std::sqrt(squares)) << order.name;
    }
  }
}

}  // namespace
}  // namespace bitnet
