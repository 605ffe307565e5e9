// TQ1_0, TQ2_0 and I2_S products against their scalar definitions, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/gguf/quants.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/matmul.h"

namespace bitnet {
namespace {

struct TernaryWeights {
  WeightMatrix matrix;
  std::vector<uint8_t> codes;  // [rows, cols] of 0, 1, 2
  std::vector<float> d_w;      // [rows, cols/256] for TQ1_0 and TQ2_0
  std::vector<std::byte> data;
};

// `code`: -1 for random ones, else every code. `same_scale`: one scale in all blocks, as in trained models.
TernaryWeights MakeQ8KWeights(TensorType type, size_t rows, size_t cols, int code, bool same_scale) {
  TernaryWeights w;
  std::mt19937 generator(rows * 31 + cols);
  std::vector<float> values(rows * cols);
  for (size_t i = 0; i < values.size(); i += 256) {
    // Scales that F16 holds, from subnormal halves up.
    const float scale = same_scale ? 0.625f : F32FromF16(static_cast<uint16_t>(1 + generator() % 0x5000));
    w.d_w.push_back(scale);
    for (size_t k = 0; k < 256; ++k) {
      // At least one code that is not 0 in each block, else the encoder would find no scale.
      const uint8_t c = code >= 0 ? code : k == 0 ? 2 : generator() % 3;
      w.codes.push_back(c);
      values[i + k] = scale * (c - 1.0f);
    }
  }
  w.data.resize(TensorBytes(type, rows, cols));
  QuantizeTensor(type, values, rows, cols, w.data);
  if (code == 1) std::fill(w.d_w.begin(), w.d_w.end(), 0.0f);
  w.matrix = {.type = type, .rows = rows, .cols = cols, .data = w.data.data()};
  return w;
}

TernaryWeights MakeI2SWeights(size_t rows, size_t cols, int code) {
  TernaryWeights w;
  std::mt19937 generator(rows * 37 + cols);
  TernaryTensor tensor{.rows = rows, .cols = cols, .scale = 0.8125f, .codes = {}};
  for (size_t i = 0; i < rows * cols; ++i) {
    const uint8_t c = code >= 0 ? code : generator() % 3;
    w.codes.push_back(c);
    tensor.codes.push_back(static_cast<int8_t>(c - 1));
  }
  w.data = EncodeTernary(TensorType::kI2_S, tensor);
  w.matrix = {.type = TensorType::kI2_S, .rows = rows, .cols = cols, .data = w.data.data(), .scale = tensor.scale};
  return w;
}

std::vector<float> ByDefinition(const TernaryWeights& w, const std::vector<float>& x, size_t n,
                                const ArithmeticOrder& order) {
  const size_t rows = w.matrix.rows, cols = w.matrix.cols;
  std::vector<float> y(n * rows);
  std::vector<int8_t> q(cols);
  std::vector<float> d(cols / 256 + 1);
  for (size_t p = 0; p < n; ++p) {
    float s = 0;
    if (w.matrix.type == TensorType::kI2_S) {
      s = scalar::QuantizeI8Row(x.data() + p * cols, cols, q.data());
    } else {
      scalar::QuantizeQ8K(x.data() + p * cols, cols, q.data(), d.data());
    }
    for (size_t r = 0; r < rows; ++r) {
      const uint8_t* codes = w.codes.data() + r * cols;
      y[p * rows + r] = w.matrix.type == TensorType::kI2_S
                            ? scalar::DotTernaryI8(codes, w.matrix.scale, q.data(), s, cols)
                            : scalar::DotTernaryQ8K(codes, w.d_w.data() + r * cols / 256, q.data(), d.data(), cols,
                                                    order.tq_rounds_products);
    }
  }
  return y;
}

void ExpectDefinition(const TernaryWeights& w, const std::vector<float>& x, size_t n, ThreadPool& pool) {
  for (const std::string_view name : {"llama.cpp-avx2", "bitnet.cpp-avx2"}) {
    const ArithmeticOrder& order = FindOrder(name);
    const std::vector<float> expected = ByDefinition(w, x, n, order);
    OnEveryTarget([&] {
      Activations a;
      a.Prepare(x.data(), n, w.matrix.cols, ActivationKindFor(w.matrix.type, n, order), pool);
      std::vector<float> y(n * w.matrix.rows + 1, 42.0f);
      MatMul(w.matrix, a, order, y.data(), pool);
      ASSERT_EQ(y.back(), 42.0f) << "written behind the end";
      y.pop_back();
      ASSERT_TRUE(SameBits(y, expected)) << TypeName(w.matrix.type) << " " << w.matrix.rows << " x " << w.matrix.cols
                                         << ", n = " << n << ", threads = " << pool.NumWorkers() << ", " << name;
    });
  }
}

class TernaryMatMul : public ::testing::TestWithParam<TensorType> {
 protected:
  static TernaryWeights Weights(size_t rows, size_t cols, int code = -1, bool same_scale = false) {
    return GetParam() == TensorType::kI2_S ? MakeI2SWeights(rows, cols, code)
                                           : MakeQ8KWeights(GetParam(), rows, cols, code, same_scale);
  }
  static std::vector<size_t> Widths() {
    // I2_S: halves of its interleaved pairs. Widths beyond one block of K, and the model's.
    if (GetParam() == TensorType::kI2_S) return {128, 256, 384, 640, 2560, 6912};
    return {256, 512, 1280, 2304, 2560, 6912};
  }
};

TEST_P(TernaryMatMul, EqualsItsDefinitionForEveryShape) {
  ThreadPool pool(1);
  for (const size_t cols : Widths()) {
    for (const size_t rows :
         cols > 2000 ? std::vector<size_t>{1, 5} : std::vector<size_t>{1, 2, 3, 4, 5, 31, 32, 33, 67}) {
      for (const bool same_scale : {false, true}) {
        const TernaryWeights w = Weights(rows, cols, -1, same_scale);
        for (const size_t n : kOddSizes) ExpectDefinition(w, RandomFloats(n * cols, 1), n, pool);
      }
    }
  }
}

TEST_P(TernaryMatMul, AnyNumberOfThreadsGivesTheSameBytes) {
  for (const size_t threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const size_t rows : {1, 16, 17, 129, 515}) {
      const TernaryWeights w = Weights(rows, 512);
      for (const size_t n : {1, 4, 40}) ExpectDefinition(w, RandomFloats(n * 512, 2), n, pool);
    }
  }
}

TEST_P(TernaryMatMul, ExtremeActivations) {
  ThreadPool pool(1);
  for (const Values values : kAllValues) {
    for (const bool same_scale : {false, true}) {
      const TernaryWeights w = Weights(6, 768, -1, same_scale);
      for (const size_t n : {1, 2, 16, 21}) ExpectDefinition(w, RandomFloats(n * 768, 3, values), n, pool);
    }
  }
}

// Every product at its largest: 16-bit sums of neighbours or over a row would wrap.
TEST_P(TernaryMatMul, LargestProductsOfOneSign) {
  ThreadPool pool(1);
  for (const int code : {0, 1, 2}) {
    const TernaryWeights w = Weights(5, 6912 / 256 * 256, code);
    for (const float value : {1.0f, -1.0f}) {
      for (const size_t n : {1, 4, 17}) {
        ExpectDefinition(w, std::vector<float>(n * w.matrix.cols, value), n, pool);
      }
    }
  }
}

// -128 never comes out of the quantizers, and the code 3 not out of an encoder, but the kernels take both: wherever
// sums are narrow for a while, these are the largest.
TEST_P(TernaryMatMul, TakesTheLeastInt8AndTheCodeThree) {
  ThreadPool pool(1);
  const ArithmeticOrder& order = AllOrders().front();
  const size_t cols = 6912;
  for (const bool three : {false, true}) {
    if (three && GetParam() == TensorType::kTQ1_0) continue;  // digits of base 3
    TernaryWeights w = Weights(3, cols, 2);
    const bool per_row = w.matrix.type == TensorType::kI2_S;
    if (three) {
      std::fill(w.codes.begin(), w.codes.end(), uint8_t{3});
      const size_t block = per_row ? 32 : 66, of_codes = per_row ? 32 : 64;
      for (size_t at = 0; at < w.codes.size() / (per_row ? 128 : 256) * block; at += block) {
        std::fill_n(w.data.begin() + static_cast<ptrdiff_t>(at), of_codes, std::byte{0xff});
      }
    }
    for (const size_t n : {1, 5, 16}) {
      const std::vector<float> x(n * cols, 1.0f);
      const std::vector<int8_t> q(cols, -128);
      const std::vector<float> d(cols / 256, 0.5f);
      const float expected = per_row ? scalar::DotTernaryI8(w.codes.data(), w.matrix.scale, q.data(), 0.5f, cols)
                                     : scalar::DotTernaryQ8K(w.codes.data(), w.d_w.data(), q.data(), d.data(), cols,
                                                             order.tq_rounds_products);
      OnEveryTarget([&] {
        Activations a;
        a.Prepare(x.data(), n, cols, ActivationKindFor(w.matrix.type, n, order), pool);
        std::fill(a.q.begin(), a.q.end(), -128);
        std::fill(a.d.begin(), a.d.end(), 0.5f);
        std::fill(a.sums.begin(), a.sums.end(), per_row ? -128 * static_cast<int>(cols) : 128 * 32);
        std::vector<float> y(n * 3);
        MatMul(w.matrix, a, order, y.data(), pool);
        for (size_t p = 0; p < n; ++p) ASSERT_TRUE(SameBits(y[p * 3], expected)) << y[p * 3] << " " << expected;
      });
    }
  }
}

TEST_P(TernaryMatMul, IsNearTheProductInDouble) {
  ThreadPool pool(2);
  const size_t rows = 8, cols = 2560, n = 3;
  const TernaryWeights w = Weights(rows, cols, -1, true);
  std::vector<float> dense(rows * cols);
  DequantizeTensor(w.matrix.type, w.data, rows, cols, dense);
  const std::vector<float> x = RandomFloats(n * cols, 4);
  const ArithmeticOrder& order = AllOrders().front();
  Activations a;
  a.Prepare(x.data(), n, cols, ActivationKindFor(w.matrix.type, n, order), pool);
  std::vector<float> y(n * rows);
  MatMul(w.matrix, a, order, y.data(), pool);
  for (size_t p = 0; p < n; ++p) {
    for (size_t r = 0; r < rows; ++r) {
      double sum = 0, squares = 0;
      for (size_t i = 0; i < cols; ++i) {
        const double product = double{dense[r * cols + i]} * x[p * cols + i];
        sum += product;
        squares += product * product;
      }
      // int8 steps of up to 4/127 of a deviation: under 2 % of the sum's own deviation.
      EXPECT_NEAR(y[p * rows + r], sum, 0.05 * std::sqrt(squares));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, TernaryMatMul,
                         ::testing::Values(TensorType::kTQ1_0, TensorType::kTQ2_0, TensorType::kI2_S),
                         [](const auto& info) { return TypeName(info.param); });

}  // namespace
}  // namespace bitnet
