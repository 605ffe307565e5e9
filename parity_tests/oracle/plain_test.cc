// Operations in double: with nothing changed they are the scalar definitions but for rounding, and each change does to
// a few numbers what its formula says.
#include "parity_tests/oracle/plain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/formats/codec.h"
#include "engine/kernels/scalar.h"
#include "parity_tests/oracle/quantize.h"
#include "parity_tests/oracle/ternary.h"

namespace parity {
namespace {

using testing::FloatEq;
using testing::FloatNear;
using testing::Pointwise;

Values RandomValues(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  Values values(n);
  for (float& v : values) v = normal(random);
  return values;
}

// [rows, cols] codes times 0.5, as TQ2_0.
struct Ternary {
  std::vector<std::byte> bytes;
  bitnet::WeightMatrix w;
};
Ternary MakeTernary(size_t rows, size_t cols) {
  std::mt19937 random(3);
  bitnet::TernaryTensor tensor{.rows = rows, .cols = cols, .scale = 0.5f, .codes = {}};
  for (size_t i = 0; i < rows * cols; ++i) tensor.codes.push_back(static_cast<int8_t>(random() % 3) - 1);
  Ternary t;
  t.bytes = EncodeTernary(bitnet::TensorType::kTQ2_0, tensor);
  t.w = {.type = bitnet::TensorType::kTQ2_0, .rows = rows, .cols = cols, .data = t.bytes.data()};
  return t;
}

Values RowOf(const ProductParameters& p, size_t r) {
  const ProductParameters read = p.Read();
  Values row(p.w.cols);
  bitnet::WeightRow(read.w, r, row.data());
  return row;
}

TEST(Product, BlocksAreReadAsEachChangeSays) {
  const Ternary t = MakeTernary(8, 512);
  ProductParameters p;
  p.w = t.w;
  const Values right = RowOf(p, 3);
  ReadWithCodes(p, [](uint8_t code) { return code > 2 ? code : static_cast<uint8_t>(2 - code); });
  Values expected = right;
  for (float& v : expected) v = -v;
  EXPECT_EQ(RowOf(p, 3), expected);
  // Another change comes behind the first.
  ReadInOrder(p, [](size_t i) { return i ^ 1; });
  for (size_t i = 0; i < expected.size(); i += 2) std::swap(expected[i], expected[i + 1]);
  EXPECT_EQ(RowOf(p, 3), expected);
  // Some rows of the matrix are read alike.
  EXPECT_EQ(RowOf(p.Rows(2, 4), 1), expected);
  ReadWithoutScale(p);
  for (float& v : expected) v *= 2;  // the scale is 0.5
  EXPECT_EQ(RowOf(p, 3), expected);
}

TEST(Plain, NormIsTheDefinitionAndEpsilonMayStandOutside) {
  const Values x = RandomValues(64, 1), gamma = RandomValues(64, 2);
  Values expected(64), y(64);
  bitnet::scalar::RmsNormRow(x.data(), 64, gamma.data(), 1e-5f, expected.data());
  NormParameters p;
  p.gamma = gamma;
  p.eps = 1e-5f;
  plain::NormRow(p, x.data(), y.data());
  EXPECT_THAT(y, Pointwise(FloatNear(1e-5f), expected));
  // mean(x^2) = 4: 6 / sqrt(4 + 5) = 2, 6 / (sqrt(4) + 1) = 2, 6 / sqrt(16) = 1.5 of the sum.
  const Values flat = {2, 2, 2, 2};
  p.gamma = {3, 3, 3, 3};
  p.eps = 5;
  plain::NormRow(p, flat.data(), y.data());
  EXPECT_FLOAT_EQ(y[0], 2);
  p.eps = 1;
  p.eps_outside = true;
  plain::NormRow(p, flat.data(), y.data());
  EXPECT_FLOAT_EQ(y[0], 2);
  p.eps = 0;
  p.divisor = 1;
  plain::NormRow(p, flat.data(), y.data());
  EXPECT_FLOAT_EQ(y[0], 1.5f);
}

TEST(Plain, ProductIsTheDefinition) {
  const Ternary t = MakeTernary(8, 256);
  const Values x = RandomValues(2 * 256, 4);
  Values expected(2 * 8);
  bitnet::scalar::MatMul(t.w, x.data(), 2, bitnet::FindOrder("llama.cpp-avx512"), expected.data());
  ProductParameters p;
  p.w = t.w;
  const auto kind = bitnet::ActivationKind::kQ8K;
  EXPECT_THAT(plain::Product(p, x, 2, kind), Pointwise(FloatNear(1e-4f), expected));
  // Rows read one too far.
  p.read_row = [w = t.w](size_t r, float* row) { bitnet::WeightRow(w, (r + 1) % w.rows, row); };
  const Values shifted = plain::Product(p, x, 2, kind);
  EXPECT_NEAR(shifted[0], expected[1], 1e-4f);
  EXPECT_NEAR(shifted[7], expected[0], 1e-4f);
  // 256 weights of 1 and activations of 127: 32,512 fits 16 bits, twice as much does not.
  p.read_row = [](size_t, float* row) { std::fill_n(row, 512, 1.0f); };
  p.w = {.type = bitnet::TensorType::kI2_S, .rows = 1, .cols = 512};
  const Values ones(512, 1.0f);
  EXPECT_FLOAT_EQ(plain::Product(p, ones, 1, bitnet::ActivationKind::kI8Row)[0], 512);
  p.narrow = NarrowSums();
  EXPECT_FLOAT_EQ(plain::Product(p, ones, 1, bitnet::ActivationKind::kI8Row)[0], -512.0f / 127);
}

// What bitnet.cpp's kernels do without a dot product: 8 sums of 2 * 127 times 256 products each, and so on.
TEST(Plain, NarrowSumsWrapLaneByLane) {
  const auto product = [](const NarrowSums& narrow, size_t cols, float weight) {
    ProductParameters p;
    p.w = {.type = bitnet::TensorType::kI2_S, .rows = 1, .cols = cols};
    p.read_row = [=](size_t, float* row) { std::fill_n(row, cols, weight); };
    p.narrow = narrow;
    const Values ones(cols, 1.0f);
    return 127 * plain::Product(p, ones, 1, bitnet::ActivationKind::kI8Row)[0];
  };
  const NarrowSums arm = {.sums = 8, .weights = 2048, .codes = true};
  EXPECT_FLOAT_EQ(product(arm, 1024, 1), 127 * 1024) << "8 sums of 32,512";
  EXPECT_FLOAT_EQ(product(arm, 2048, 1), 127 * 2048 - 8 * 65536);
  EXPECT_FLOAT_EQ(product(arm, 4096, 1), 127 * 4096 - 16 * 65536) << "begun again after 2,048";
  EXPECT_FLOAT_EQ(product(arm, 3072, 1), 127 * 3072 - 8 * 65536);
  EXPECT_FLOAT_EQ(product(arm, 2048, 0), 0) << "8 sums of 32,512, less 127 * 2,048";
  EXPECT_FLOAT_EQ(product(arm, 4096, -1), -127 * 4096) << "the code 0";
  const NarrowSums pairs = {.sums = 2, .neighbours = 2, .weights = 0};
  EXPECT_FLOAT_EQ(product(pairs, 512, 1), 127 * 512) << "2 sums of 32,512";
  EXPECT_FLOAT_EQ(product(pairs, 518, -1), -127 * 518 + 65536) << "260 in one of them";
}

TEST(Plain, RotationIsTheDefinitionAndTurnsAsItIsTold) {
  const Values x = RandomValues(2 * 8, 5);
  Values expected = x, y = x;
  bitnet::scalar::Rope(expected.data(), 2, 8, 8, bitnet::ComputeRopeAngles(7, 8, 10000.0f));
  RopeParameters p;
  p.base = 10000;
  plain::RopeRow(p, y.data(), 2, 8, 8, 2, {5, 4});  // row 2 of a batch from position 5 on
  EXPECT_THAT(y, Pointwise(FloatNear(1e-5f), expected));
  p.turns = -1;
  plain::RopeRow(p, y.data(), 2, 8, 8, 2, {5, 4});  // and back
  EXPECT_THAT(y, Pointwise(FloatNear(1e-5f), x));
  p.heads = 1;
  plain::RopeRow(p, y.data(), 2, 8, 8, 2, {5, 4});
  EXPECT_THAT(Values(y.begin() + 8, y.end()), Pointwise(FloatNear(1e-5f), Values(x.begin() + 8, x.end())));
  EXPECT_GT(std::fabs(y[0] - x[0]), 1e-3f);
}

TEST(Plain, SoftmaxIsTheDefinitionAndMasksSinksAndBases) {
  const Values scores = RandomValues(9, 6);
  Values expected = scores, p_of = scores;
  bitnet::scalar::SoftmaxRow(expected.data(), 9, 0.5f, bitnet::FindOrder("llama.cpp-avx512"));
  AttentionParameters p;
  p.scale = 0.5f;
  plain::SoftmaxRow(p, 0, 8, p_of);
  EXPECT_THAT(p_of, Pointwise(FloatNear(1e-6f), expected));
  p.scale = 1;
  Values two = {0, 0};
  p.sink = 1;
  plain::SoftmaxRow(p, 0, 1, two);
  EXPECT_FLOAT_EQ(two[0], 1.0f / 3);
  p.sink = 0;
  p.exp_base = 2;
  two = {0, 1};
  plain::SoftmaxRow(p, 0, 1, two);
  EXPECT_FLOAT_EQ(two[1], 2.0f / 3);
  p.exp_base = 0;
  p.score_as = [](size_t, size_t, size_t key, double s) { return key == 0 ? -INFINITY : s; };
  two = {5, 1};
  plain::SoftmaxRow(p, 0, 1, two);
  EXPECT_FLOAT_EQ(two[0], 0);
  EXPECT_FLOAT_EQ(two[1], 1);
}

TEST(Plain, CacheTypes) {
  const float third = 1.0f / 3;
  EXPECT_EQ(plain::Kept(CacheType::kF32, third), third);
  EXPECT_EQ(plain::Kept(CacheType::kF16, third), bitnet::F32FromF16(bitnet::F16FromF32(third)));
  for (const float x : {third, -third, 0.7f, -0.7f}) {
    const float cut = plain::Kept(CacheType::kTruncatedF16, x);
    EXPECT_LE(std::fabs(cut), std::fabs(x));
    EXPECT_NEAR(cut, x, 1e-3f);
  }
}

TEST(Quantizing, WithoutARuleIsTheDefinitionOfEachKind) {
  using enum bitnet::ActivationKind;
  const Values x = RandomValues(2048, 5);
  for (const bitnet::ActivationKind kind : {kQ80, kQ80Inverted, kQ81, kQ8K, kI8Row, kI8RowRoundedOnce}) {
    const Int8Rows found = QuantizeWrongly(kind, x, x.size(), {});
    const bitnet::scalar::Input expected = bitnet::scalar::Prepare(x.data(), x.size(), kind);
    EXPECT_EQ(found.q, expected.q) << static_cast<int>(kind);
    EXPECT_EQ(found.d, expected.d) << static_cast<int>(kind);
  }
}

TEST(Quantizing, RulesOfRoundingAndScale) {
  const Values x = {12.7f, 1.27f * 0.47f, -1.27f * 0.47f, -6.35f};
  const auto q = [&x](const Quantizing& rule) { return QuantizeWrongly(bitnet::ActivationKind::kI8Row, x, 4, rule).q; };
  EXPECT_EQ(q({}), (std::vector<int8_t>{127, 6, -6, -64}));
  EXPECT_EQ(q({.rounding = Quantizing::Rounding::kTruncating}), (std::vector<int8_t>{127, 5, -5, -63}));
  EXPECT_EQ(q({.nearest_from = 0.98f}), (std::vector<int8_t>{127, 5, -5, -63}));
  EXPECT_EQ(q({.rounding = Quantizing::Rounding::kFloor})[2], -6);
  EXPECT_EQ(q({.rounding = Quantizing::Rounding::kUp, .nearest_from = 0.98f}), (std::vector<int8_t>{127, 5, -6, -64}));
  EXPECT_EQ(q({.levels = 128, .wraps = true})[0], -128);
  EXPECT_EQ(q({.levels = 128})[0], 127);
  for (const bool wraps : {false, true}) {
    const Values no_number = {NAN, 1};
    EXPECT_EQ(QuantizeWrongly(bitnet::ActivationKind::kI8Row, no_number, 2, {.levels = 126, .wraps = wraps}).q[0], 0);
  }
}

}  // namespace
}  // namespace parity
