// The product of every format with a kernel against its scalar definition, bit for bit, on every instruction set.
#include "engine/kernels/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "engine/formats/codec.h"
#include "engine/formats/q6_k.h"
#include "engine/formats/q8_0.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/scalar.h"

namespace bitnet {
namespace {

struct Weights {
  std::vector<std::byte> data;
  WeightMatrix matrix;

  Weights(TensorType type, size_t rows, size_t cols, std::vector<std::byte> bytes) : data(std::move(bytes)) {
    matrix = {.type = type, .rows = rows, .cols = cols, .data = data.data(), .scale = TensorScale(type, data)};
  }
  Weights(Weights&&) = default;
};

// Random codes, each block with a scale of its own, from subnormal halves up.
void RandomTernary(const Format& format, std::mt19937& generator, std::span<std::byte> rows) {
  std::vector<uint8_t> codes(format.block_weights);
  for (size_t at = 0; at < rows.size(); at += format.block_bytes) {
    for (uint8_t& code : codes) code = generator() % 3;
    format.ternary->pack(codes.data(), rows.data() + at);
    const float scale = F32FromF16(static_cast<uint16_t>(1 + generator() % 0x5000));
    if (format.ternary->scale_at >= 0) SetBlockScale(*format.ternary, scale, rows.data() + at);
  }
}

Weights RandomWeights(TensorType type, size_t rows, size_t cols) {
  const Format& format = FormatOf(type);
  std::mt19937 generator(static_cast<uint32_t>(rows * 41 + cols));
  std::vector<float> values = RandomFloats(rows * cols, generator());
  std::vector<std::byte> data(TensorBytes(type, rows, cols));
  QuantizeTensor(type, values, rows, cols, data);
  if (format.is_ternary()) RandomTernary(format, generator, std::span(data).first(data.size() - format.tensor_extra));
  return {type, rows, cols, std::move(data)};
}

// Any bytes that a file can hold: every code, scales that are infinite or not a number.
Weights AnyBytes(TensorType type, size_t rows, size_t cols) {
  std::mt19937 generator(static_cast<uint32_t>(rows * 31 + cols));
  std::vector<std::byte> data(TensorBytes(type, rows, cols));
  for (std::byte& b : data) b = static_cast<std::byte>(generator());
  return {type, rows, cols, std::move(data)};
}

// One scale in all blocks, as in trained models. `code`: every one, or random ones.
Weights Ternary(TensorType type, size_t rows, size_t cols, std::optional<int> code = std::nullopt) {
  std::mt19937 generator(static_cast<uint32_t>(rows * 37 + cols));
  TernaryTensor tensor{.rows = rows, .cols = cols, .scale = 0.8125f, .codes = std::vector<int8_t>(rows * cols)};
  for (int8_t& c : tensor.codes) c = static_cast<int8_t>(code ? *code : static_cast<int>(generator() % 3) - 1);
  return {type, rows, cols, EncodeTernary(type, tensor)};
}

std::vector<float> Product(const WeightMatrix& w, const std::vector<float>& x, size_t n, const ArithmeticOrder& order,
                           ThreadPool& pool) {
  Activations a;
  a.Prepare(x.data(), n, w.cols, ActivationKindFor(w, n, order), pool);
  std::vector<float> y(n * w.rows + 1, 42.0f);
  MatMul(w, a, order, y.data(), pool);
  EXPECT_EQ(y.back(), 42.0f) << "written behind the end";
  y.pop_back();
  return y;
}

std::vector<float> ByDefinition(const WeightMatrix& w, const std::vector<float>& x, size_t n,
                                const ArithmeticOrder& order) {
  std::vector<float> y(n * w.rows);
  scalar::MatMul(w, x.data(), n, order, y.data());
  return y;
}

// One of each that give other bits for a type: asked of the definition, at a width and numbers of rows that every order
// treats in its own way.
std::vector<ArithmeticOrder> OrdersOf(TensorType type) {
  const bool blocks = FormatOf(type).block_weights > 1;
  std::vector<Weights> weights;
  for (const size_t rows : {3, 4, 8}) {
    weights.push_back(RandomWeights(type, rows, 2560));
    if (!blocks) weights.push_back(RandomWeights(type, rows, 2055));
  }
  const std::vector<float> x = RandomFloats(5 * 2560, 1);
  std::vector<ArithmeticOrder> orders;
  std::vector<std::vector<float>> known;
  for (const ArithmeticOrder& order : AllOrders()) {
    std::vector<float> all;
    for (const Weights& w : weights) {
      for (const size_t n : {1, 5}) {
        const std::vector<float> y = ByDefinition(w.matrix, x, n, order);
        all.insert(all.end(), y.begin(), y.end());
      }
    }
    if (std::any_of(known.begin(), known.end(), [&](const auto& other) { return bool(SameBits(all, other)); }))
      continue;
    known.push_back(std::move(all));
    orders.push_back(order);
  }
  return orders;
}

class MatMulOf : public ::testing::TestWithParam<TensorType> {
 protected:
  const Format& format() const { return FormatOf(GetParam()); }

  std::vector<size_t> Widths() const {
    const size_t block = format().block_weights;
    if (block == 1) return {8, 16, 24, 64, 72, 80, 100, 256, 2563};
    // Odd numbers of blocks, more than a chunk of them, and the model's.
    std::vector<size_t> widths = {block, 2 * block, 3 * block, 5 * block, 9 * block, 2560, 6912};
    std::erase_if(widths, [block](size_t width) { return width % block != 0; });
    return widths;
  }

  void ExpectDefinition(const Weights& w, const std::vector<float>& x, size_t n, ThreadPool& pool) const {
    for (const ArithmeticOrder& order : orders_) {
      const std::vector<float> expected = ByDefinition(w.matrix, x, n, order);
      OnEveryTarget(order, [&] {
        ASSERT_TRUE(SameBits(Product(w.matrix, x, n, order, pool), expected))
            << w.matrix.rows << " x " << w.matrix.cols << ", n = " << n << ", threads = " << pool.NumWorkers() << ", "
            << order.name;
      });
    }
  }

  const std::vector<ArithmeticOrder> orders_ = OrdersOf(GetParam());
};

TEST_P(MatMulOf, EqualsItsDefinitionForEveryShape) {
  ThreadPool pool(1);
  for (const size_t cols : Widths()) {
    const std::vector<size_t> all_rows = {1, 2, 3, 4, 5, 8, 12, 31, 32, 33, 36, 67};
    for (const size_t rows : cols > 2000 ? std::vector<size_t>{1, 5} : all_rows) {
      const Weights w = RandomWeights(GetParam(), rows, cols);
      for (const size_t n : kOddSizes) {
        if (cols > 2000 ? n > 8 && n != 17 : rows > 8 && n > 5 && n % 2 == 1) continue;
        ExpectDefinition(w, RandomFloats(n * cols, 1), n, pool);
      }
    }
  }
}

class IntegerMatMul : public MatMulOf {};

TEST_P(IntegerMatMul, TakesAnyBytes) {
  ThreadPool pool(1);
  for (const size_t cols : {format().block_weights, 3 * format().block_weights}) {
    for (const size_t rows : {1, 5, 33}) {
      const Weights w = AnyBytes(GetParam(), rows, cols);
      for (const size_t n : {1, 3, 8, 17}) ExpectDefinition(w, RandomFloats(n * cols, 1), n, pool);
    }
  }
}

TEST_P(MatMulOf, AnyNumberOfThreadsGivesTheSameBytes) {
  const size_t cols = format().block_weights == 1 ? 80 : 2 * format().block_weights;
  // Rows are shared by vectors of them: the last order that has any.
  const auto last = std::find_if(orders_.rbegin(), orders_.rend(), [](const auto& o) { return o.has_vectors; });
  ASSERT_NE(last, orders_.rend());
  const ArithmeticOrder& order = *last;
  for (const size_t rows : {1, 16, 17, 129, 515}) {
    const Weights w = RandomWeights(GetParam(), rows, cols);
    for (const size_t n : {1, 4, 40}) {
      const std::vector<float> x = RandomFloats(n * cols, 2);
      const std::vector<float> expected = ByDefinition(w.matrix, x, n, order);
      for (const size_t threads : {1, 2, 3}) {
        ThreadPool pool(threads);
        EXPECT_TRUE(SameBits(Product(w.matrix, x, n, order, pool), expected)) << rows << ", n = " << n;
      }
    }
  }
}

TEST_P(MatMulOf, ExtremeActivations) {
  ThreadPool pool(1);
  for (const Values values : kAllValues) {
    const Weights w = RandomWeights(GetParam(), 8, 768);
    for (const size_t n : {1, 2, 5, 16, 21}) ExpectDefinition(w, RandomFloats(n * 768, 3, values), n, pool);
  }
}

TEST_P(IntegerMatMul, OneScaleInAllBlocks) {
  if (!format().holds_ternary()) return;  // no blocks with one scale
  ThreadPool pool(1);
  for (const size_t cols : {256, 768, 2560}) {
    for (const size_t rows : {1, 5, 33}) {
      const Weights w = Ternary(GetParam(), rows, cols);
      for (const size_t n : {1, 2, 4, 5, 8, 9, 21}) ExpectDefinition(w, RandomFloats(n * cols, 1), n, pool);
    }
  }
}

// Every product at its largest: 16-bit sums of neighbours or over a row would wrap.
TEST_P(IntegerMatMul, LargestProductsOfOneSign) {
  ThreadPool pool(1);
  const size_t rows = 5, cols = 6912, n = 17;
  std::vector<Weights> extremes;
  if (format().holds_ternary()) {
    for (const int code : {-1, 0, 1}) extremes.push_back(Ternary(GetParam(), rows, cols, code));
  }
  const auto all_blocks = [&](const auto& block) {
    std::vector<std::byte> data;
    for (size_t i = 0; i < rows * cols / block.kWeights; ++i) {
      const auto bytes = std::as_bytes(std::span(&block, 1));
      data.insert(data.end(), bytes.begin(), bytes.end());
    }
    extremes.push_back({GetParam(), rows, cols, std::move(data)});
  };
  for (const int q : {-128, -127, 127}) {
    BlockQ8_0 block{.d = F16FromF32(0.5f), .q = {}};
    std::fill(std::begin(block.q), std::end(block.q), static_cast<int8_t>(q));
    if (GetParam() == TensorType::kQ8_0) all_blocks(block);
  }
  for (const uint8_t bits : {0x00, 0x88, 0xff}) {  // q of 0, of 8 or 40, of 63
    BlockQ6_K block;
    std::memset(&block, bits, sizeof(block));
    std::fill(std::begin(block.scales), std::end(block.scales), int8_t{-128});
    block.d = F16FromF32(0.5f);
    if (GetParam() == TensorType::kQ6_K) all_blocks(block);
  }
  for (const Weights& w : extremes) {
    for (const float value : {1.0f, -1.0f}) {
      for (const size_t k : {size_t{1}, size_t{4}, n})
        ExpectDefinition(w, std::vector<float>(k * cols, value), k, pool);
    }
  }
}

// Ties the kernel to the format's decoder.
TEST_P(MatMulOf, IsNearTheProductInDouble) {
  ThreadPool pool(2);
  const size_t rows = 8, cols = 2560, n = 3;
  const Weights w = RandomWeights(GetParam(), rows, cols);
  std::vector<float> dense(rows * cols);
  DequantizeTensor(GetParam(), w.data, rows, cols, dense);
  const std::vector<float> x = RandomFloats(n * cols, 4);
  for (const ArithmeticOrder& order : AllOrders()) {
    const std::vector<float> y = Product(w.matrix, x, n, order, pool);
    for (size_t p = 0; p < n; ++p) {
      for (size_t r = 0; r < rows; ++r) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < cols; ++i) {
          const double product = double{dense[r * cols + i]} * x[p * cols + i];
          sum += product;
          squares += product * product;
        }
        // int8 steps of up to 4/127 of a deviation: under 2 % of the sum's own deviation.
        EXPECT_NEAR(y[p * rows + r], sum, 0.05 * std::sqrt(squares)) << order.name;
      }
    }
  }
}

TEST_P(MatMulOf, WeightRowIsTheDecodedRow) {
  const size_t rows = 3, cols = 512;
  const Weights w = RandomWeights(GetParam(), rows, cols);
  std::vector<float> all(rows * cols), row(cols);
  DequantizeTensor(GetParam(), w.data, rows, cols, all);
  for (size_t r = 0; r < rows; ++r) {
    WeightRow(w.matrix, r, row.data());
    EXPECT_TRUE(SameBits(row, std::span(all).subspan(r * cols, cols)));
  }
}

std::string NameOf(const ::testing::TestParamInfo<TensorType>& info) { return TypeName(info.param); }
INSTANTIATE_TEST_SUITE_P(Formats, MatMulOf, ::testing::ValuesIn(TypesWhere(&Format::has_codec)), NameOf);

INSTANTIATE_TEST_SUITE_P(Formats, IntegerMatMul,
                         ::testing::ValuesIn(TypesWhere([](const Format& f) { return IsInt8(f.activations); })),
                         NameOf);

class FloatMatMul : public MatMulOf {};

TEST_P(FloatMatMul, NanReachesItsOutputsAlone) {
  ThreadPool pool(1);
  for (const ArithmeticOrder& order : orders_) {
    for (const size_t n : {1, 6}) {
      const Weights w = RandomWeights(GetParam(), 4, 64);
      std::vector<float> x = RandomFloats(n * 64, 8);
      const std::vector<float> clean = ByDefinition(w.matrix, x, n, order);
      x[13] = std::numeric_limits<float>::quiet_NaN();
      OnEveryTarget(order, [&] {
        const std::vector<float> y = Product(w.matrix, x, n, order, pool);
        for (size_t i = 0; i < y.size(); ++i) {
          ASSERT_TRUE(i < 4 ? std::isnan(y[i]) : SameBits(y[i], clean[i])) << i;
        }
      });
    }
  }
}

TEST_P(FloatMatMul, HugeAndTinyWeights) {
  ThreadPool pool(1);
  for (const Values values : kAllValues) {
    std::vector<float> numbers = RandomFloats(8 * 96, 5, values);
    if (GetParam() == TensorType::kF16) {
      for (float& v : numbers) v = std::clamp(v, -60000.0f, 60000.0f);
    }
    std::vector<std::byte> data(TensorBytes(GetParam(), 8, 96));
    QuantizeTensor(GetParam(), numbers, 8, 96, data);
    const Weights w(GetParam(), 8, 96, std::move(data));
    for (const size_t n : {1, 5, 8}) ExpectDefinition(w, RandomFloats(n * 96, 6, Values::kMixed), n, pool);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, FloatMatMul,
                         ::testing::ValuesIn(TypesWhere([](const Format& f) { return !IsInt8(f.activations); })),
                         NameOf);

class TernaryMatMul : public MatMulOf {};

// -128 never comes out of the quantizers, and the code 3 not out of an encoder, but the kernels take both: wherever
// sums are narrow for a while, these are the largest.
TEST_P(TernaryMatMul, TakesTheLeastInt8AndTheCodeThree) {
  ThreadPool pool(1);
  const ArithmeticOrder& order = AllOrders().front();
  const size_t rows = 3, cols = 6912;
  for (const uint8_t code : {2, 3}) {
    Weights w = Ternary(GetParam(), rows, cols, 1);
    const std::vector<uint8_t> codes(format().block_weights, code);
    std::vector<uint8_t> read(codes.size());
    for (size_t at = 0; at + format().block_bytes <= RowBytes(GetParam(), cols) * rows; at += format().block_bytes) {
      format().ternary->pack(codes.data(), w.data.data() + at);
    }
    format().ternary->unpack(w.data.data(), read.data());
    if (read != codes) continue;  // digits of base 3
    const size_t scales = format().activations == ActivationKind::kI8Row ? 1 : cols / 256;
    for (const size_t n : {1, 5, 16}) {
      const std::vector<int8_t> q(n * cols, -128);
      const std::vector<float> d(n * scales, 0.5f);
      const std::vector<scalar::Input> x(
          n, {.f32 = {}, .q = std::vector<int8_t>(cols, -128), .d = {d.begin(), d.begin() + scales}});
      std::vector<float> expected(n * rows);
      scalar::MatMul(w.matrix, x, order, expected.data());
      OnEveryTarget([&] {
        Activations a;
        a.Assign(ActivationKindFor(w.matrix, n, order), n, cols, q.data(), d.data());
        std::vector<float> y(n * rows);
        MatMul(w.matrix, a, order, y.data(), pool);
        ASSERT_TRUE(SameBits(y, expected)) << n;
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, TernaryMatMul, ::testing::ValuesIn(TypesWhere(&Format::is_ternary)), NameOf);

// On ARM with the dot product: of a batch, fours of positions are fused, and what is left is rounded as one position
// is.
TEST(MatMul, RepackedQ6KRoundsWhatStandsAlone) {
  const ArithmeticOrder& order = FindOrder("llama.cpp-neon-dotprod");
  const size_t cols = 2560;
  const std::vector<float> x = RandomFloats(5 * cols, 3);
  const auto row_of = [](const std::vector<float>& all, size_t i, size_t width) {
    return std::vector<float>(all.begin() + static_cast<ptrdiff_t>(i * width),
                              all.begin() + static_cast<ptrdiff_t>((i + 1) * width));
  };
  for (const size_t rows : {16, 12}) {
    const Weights w = RandomWeights(TensorType::kQ6_K, rows, cols);
    const std::vector<float> batch = ByDefinition(w.matrix, x, 5, order);
    size_t different = 0;
    for (size_t i = 0; i < 5; ++i) {
      const std::vector<float> alone = ByDefinition(w.matrix, row_of(x, i, cols), 1, order);
      const bool same = row_of(batch, i, rows) == alone;
      different += same ? 0 : 1;
      EXPECT_TRUE(same || i < 4);
    }
    EXPECT_EQ(different, rows == 16 ? 4u : 0u) << rows << " rows";
    // Weights that are looked up are not laid out anew: fused, as fours are.
    WeightMatrix looked_up = w.matrix;
    looked_up.looked_up = true;
    const std::vector<float> fused = ByDefinition(looked_up, x, 5, order);
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(row_of(fused, i, rows) == row_of(batch, i, rows), rows == 12 || i < 4)
          << rows << " rows, position " << i;
    }
  }
}

TEST(MatMul, EveryFormatWithACodecHasAKernel) {
  for (const Format& format : AllFormats()) EXPECT_EQ(HasMatMul(format.type), format.has_codec()) << format.name;
}

TEST(MatMul, RefusesActivationsOfAnotherWidthAndTypesItDoesNotKnow) {
  ThreadPool pool(1);
  Weights w = RandomWeights(TensorType::kF32, 1, 64);
  const std::vector<float> x(64);
  Activations a;
  float y;
  a.Prepare(x.data(), 1, 32, ActivationKind::kF32, pool);
  EXPECT_THROW(MatMul(w.matrix, a, AllOrders().front(), &y, pool), std::logic_error);
  a.Prepare(x.data(), 1, 64, ActivationKind::kF32, pool);
  w.matrix.type = static_cast<TensorType>(99);
  EXPECT_THROW(MatMul(w.matrix, a, AllOrders().front(), &y, pool), std::logic_error);
}

}  // namespace
}  // namespace bitnet
