// Layouts against bytes set by hand, and every type against itself. (fixtures/quants_ggml_test.cc compares with ggml.)
#include "engine/formats/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "engine/formats/format.h"

namespace bitnet {
namespace {

using ::testing::HasSubstr;

constexpr uint16_t kHalf = 0x3800;  // 0.5 in F16
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename Action>
std::string ErrorOf(Action&& action) {
  try {
    action();
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

void Put16(std::vector<std::byte>& bytes, size_t at, uint16_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

std::vector<float> Dequantized(TensorType type, std::span<const std::byte> row, size_t cols) {
  std::vector<float> out(cols, NAN);
  DequantizeRow(type, row, out);
  return out;
}

TernaryTensor RandomTernary(uint64_t rows, uint64_t cols, float scale) {
  std::mt19937_64 random(rows * cols);
  TernaryTensor tensor{rows, cols, scale, std::vector<int8_t>(rows * cols)};
  for (int8_t& code : tensor.codes) code = static_cast<int8_t>(static_cast<int>(random() % 3) - 1);
  return tensor;
}

TEST(Half, EveryBitPatternIsItsFormula) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const float value = F32FromF16(static_cast<uint16_t>(bits));
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), mantissa != 0) << bits;
      EXPECT_EQ(std::isinf(value), mantissa == 0) << bits;
    } else {
      EXPECT_EQ(value, sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25)))
          << bits;
    }
    if (!std::isnan(value)) {
      EXPECT_EQ(F16FromF32(value), bits);
    }
    const float wide = F32FromBf16(static_cast<uint16_t>(bits));
    EXPECT_EQ(std::isnan(wide), (bits & 0x7fff) > 0x7f80) << bits;
    if (!std::isnan(wide)) {
      EXPECT_EQ(Bf16FromF32(wide), bits);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  // Between each two neighbours: below, at and above the middle.
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = F32FromF16(static_cast<uint16_t>(bits)), high = F32FromF16(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;
    EXPECT_EQ(F16FromF32(std::nextafter(middle, low)), bits);
    EXPECT_EQ(F16FromF32(middle), bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(F16FromF32(std::nextafter(middle, high)), bits + 1);
  }
  EXPECT_EQ(F16FromF32(65519.99f), 0x7bff);
  EXPECT_EQ(F16FromF32(65520.0f), 0x7c00);
  EXPECT_EQ(F16FromF32(1e-30f), 0);
  EXPECT_EQ(F16FromF32(-kInfinity), 0xfc00);
  EXPECT_EQ(Bf16FromF32(1.00390625f), 0x3f80) << "halfway, to even";
  EXPECT_EQ(Bf16FromF32(1.01171875f), 0x3f82) << "halfway, to even";
  EXPECT_TRUE(std::isnan(F32FromBf16(Bf16FromF32(NAN))));
  EXPECT_TRUE(std::isnan(F32FromF16(F16FromF32(NAN))));
}

TEST(Layout, Q8_0) {
  std::vector<std::byte> row(68);
  Put16(row, 0, kHalf);
  row[2] = std::byte{3};
  row[33] = std::byte{0x80};  // -128
  Put16(row, 34, 0x4000);     // 2
  row[36] = std::byte{0xff};  // -1
  const auto w = Dequantized(TensorType::kQ8_0, row, 64);
  EXPECT_EQ(w[0], 1.5f);
  EXPECT_EQ(w[1], 0.0f);
  EXPECT_EQ(w[31], -64.0f);
  EXPECT_EQ(w[32], -2.0f);
}

TEST(Layout, Nibbles) {
  std::vector<std::byte> q4_0(18), q4_1(20), q5_0(22), q5_1(24);
  for (auto* block : {&q4_0, &q4_1, &q5_0, &q5_1}) Put16(*block, 0, kHalf);
  for (auto* block : {&q4_1, &q5_1}) Put16(*block, 2, 0x3c00);              // a min of 1
  q4_0[2 + 3] = q4_1[4 + 3] = q5_0[6 + 3] = q5_1[8 + 3] = std::byte{0x92};  // weight 3: 2, weight 19: 9
  q5_0[2 + 2] = q5_1[4 + 2] = std::byte{0x08};                              // weight 19: 16 more
  const auto expect = [](TensorType type, const std::vector<std::byte>& row, float w0, float w3, float w19) {
    const auto w = Dequantized(type, row, 32);
    EXPECT_EQ(w[0], w0) << TypeName(type);
    EXPECT_EQ(w[3], w3) << TypeName(type);
    EXPECT_EQ(w[19], w19) << TypeName(type);
  };
  expect(TensorType::kQ4_0, q4_0, 0.5f * -8, 0.5f * (2 - 8), 0.5f * (9 - 8));
  expect(TensorType::kQ4_1, q4_1, 1, 0.5f * 2 + 1, 0.5f * 9 + 1);
  expect(TensorType::kQ5_0, q5_0, 0.5f * -16, 0.5f * (2 - 16), 0.5f * (25 - 16));
  expect(TensorType::kQ5_1, q5_1, 1, 0.5f * 2 + 1, 0.5f * 25 + 1);
}

TEST(Layout, LowBits) {
  std::vector<std::byte> q1(18), q2(18);
  Put16(q1, 0, kHalf);
  Put16(q2, 0, kHalf);
  q1[2 + 3] = std::byte{0b0000'0100};
  q2[2 + 3] = std::byte{0b11'10'01'00};
  const auto w1 = Dequantized(TensorType::kQ1_0, q1, 128);
  EXPECT_EQ(w1[25], -0.5f);
  EXPECT_EQ(w1[26], 0.5f);
  const auto w2 = Dequantized(TensorType::kQ2_0, q2, 64);
  EXPECT_EQ(w2[12], -0.5f);
  EXPECT_EQ(w2[13], 0.0f);
  EXPECT_EQ(w2[14], 0.5f);
  EXPECT_EQ(w2[15], 1.0f);
}

TEST(Layout, KQuantsOfTwoBits) {
  std::vector<std::byte> q2(84), q3(110);
  Put16(q2, 80, kHalf);
  Put16(q2, 82, 0x3c00);               // dmin of 1
  q2[9] = std::byte{0x52};             // group 9, weights 144 to 159: scale 2, min 5
  q2[16 + 32 + 17] = std::byte{0x0c};  // weight 128 + 32 + 17: 3; that is in group 11
  q2[11] = std::byte{0x03};            // scale 3, no min
  const auto w2 = Dequantized(TensorType::kQ2_K, q2, 256);
  EXPECT_EQ(w2[0], 0.0f);
  EXPECT_EQ(w2[150], -5.0f);
  EXPECT_EQ(w2[177], 0.5f * 3 * 3);
  Put16(q3, 108, kHalf);
  q3[96 + 3] = std::byte{0x21};   // group 3: 1, group 11: 2
  q3[104 + 3] = std::byte{0x10};  // group 11: 16 more
  q3[17] = std::byte{0x02};       // weight 32 + 17 has its high bit; it is in group 3
  q3[32 + 17] = std::byte{0x04};  // ... and 1 in its low ones
  const auto w3 = Dequantized(TensorType::kQ3_K, q3, 256);
  EXPECT_EQ(w3[0], 0.5f * -32 * -4);
  EXPECT_EQ(w3[49], 0.5f * (1 - 32) * (5 - 4));
  EXPECT_EQ(w3[48], 0.5f * (1 - 32) * -4);
  EXPECT_EQ(w3[176], 0.5f * (18 - 32) * -4);
}

TEST(Layout, KQuantsOfFourBits) {
  for (const TensorType type : {TensorType::kQ4_K, TensorType::kQ5_K}) {
    const bool five = type == TensorType::kQ5_K;
    std::vector<std::byte> row(five ? 176 : 144);
    const size_t qs = five ? 48 : 16;
    Put16(row, 0, kHalf);
    Put16(row, 2, 0x3c00);                // dmin of 1
    row[4 + 1] = std::byte{0xc5};         // group 1: scale 5; group 5: scale 48 more
    row[4 + 5] = std::byte{0x43};         // group 1: min 3; group 5: min 16 more
    row[4 + 9] = std::byte{0x21};         // group 5: scale 1, min 2
    row[qs + 4] = std::byte{0x70};        // weight 36, of group 1: 7
    row[qs + 64 + 31] = std::byte{0xa0};  // weight 191, of group 5: 10
    if (five) row[16 + 31] = std::byte{0x20};
    const auto w = Dequantized(type, row, 256);
    EXPECT_EQ(w[0], 0.0f);
    EXPECT_EQ(w[36], 0.5f * 5 * 7 - 3) << TypeName(type);
    EXPECT_EQ(w[191], 0.5f * 49 * (five ? 26 : 10) - 18) << TypeName(type);
  }
}

TEST(Layout, Q6_K) {
  std::vector<std::byte> row(210);
  for (size_t g = 0; g < 16; ++g) row[192 + g] = static_cast<std::byte>(g == 15 ? -1 : static_cast<int>(g) + 1);
  Put16(row, 208, kHalf);
  row[0] = std::byte{0x21};             // weight 0: low 1; weight 64: low 2
  row[32 + 31] = std::byte{0x43};       // weight 63: low 3; weight 127: low 4
  row[128] = std::byte{0b10'01'00'11};  // weights 0: 3, 32: 0, 64: 1, 96: 2
  row[64 + 5] = std::byte{0x0f};        // weight 133: low 15
  row[160 + 5] = std::byte{0x02};       // weight 133: high 2
  const auto w = Dequantized(TensorType::kQ6_K, row, 256);
  EXPECT_EQ(w[0], 0.5f * 1 * (49 - 32));
  EXPECT_EQ(w[1], 0.5f * 1 * -32);
  EXPECT_EQ(w[16], 0.5f * 2 * -32);
  EXPECT_EQ(w[32], 0.5f * 3 * -32);
  EXPECT_EQ(w[63], 0.5f * 4 * (3 - 32));
  EXPECT_EQ(w[64], 0.5f * 5 * (18 - 32));
  EXPECT_EQ(w[96], 0.5f * 7 * (32 - 32));
  EXPECT_EQ(w[127], 0.5f * 8 * (4 - 32));
  EXPECT_EQ(w[133], 0.5f * 9 * (47 - 32));
  EXPECT_EQ(w[255], 0.5f * -1 * -32);
}

TEST(Layout, TQ1_0) {
  std::vector<std::byte> row(54);
  Put16(row, 52, kHalf);
  // Trits 2 1 0 1 2: 2*81 + 1*27 + 0 + 3 + 2 = 194; ceil(194 * 256 / 243) = 205.
  row[7] = row[32 + 7] = std::byte{205};
  row[48 + 3] = std::byte{203};  // 2 1 0 1 (0): 162 + 27 + 3 = 192, 203
  const auto w = Dequantized(TensorType::kTQ1_0, row, 256);
  const float expected[] = {0.5f, 0, -0.5f, 0, 0.5f};
  for (size_t n = 0; n < 5; ++n) {
    EXPECT_EQ(w[32 * n + 7], expected[n]) << n;
    EXPECT_EQ(w[160 + 16 * n + 7], expected[n]) << n;
    if (n < 4) {
      EXPECT_EQ(w[240 + 4 * n + 3], expected[n]) << n;
    }
  }
  EXPECT_EQ(w[0], -0.5f);
}

TEST(Layout, TQ2_0) {
  std::vector<std::byte> row(66);
  Put16(row, 64, kHalf);
  row[5] = std::byte{0b11'10'01'00};
  row[32 + 31] = std::byte{0b00'01'10'00};
  const auto w = Dequantized(TensorType::kTQ2_0, row, 256);
  EXPECT_EQ(w[5], -0.5f);
  EXPECT_EQ(w[37], 0.0f);
  EXPECT_EQ(w[69], 0.5f);
  EXPECT_EQ(w[101], 1.0f);
  EXPECT_EQ(w[128 + 31], -0.5f);
  EXPECT_EQ(w[128 + 63], 0.5f);
  EXPECT_EQ(w[128 + 95], 0.0f);
  EXPECT_EQ(w[255], -0.5f);
}

TEST(Layout, I2S) {
  std::vector<std::byte> data(2 * 32 + 32);
  data[4] = std::byte{0b00'01'10'01};
  data[32] = std::byte{0b10'00'00'01};
  const float scale = 0.25f;
  std::memcpy(data.data() + 64, &scale, sizeof(scale));
  std::vector<float> w(256);
  DequantizeTensor(TensorType::kI2_S, data, 2, 128, w);
  EXPECT_EQ(w[4], -0.25f);
  EXPECT_EQ(w[36], 0.0f);
  EXPECT_EQ(w[68], 0.25f);
  EXPECT_EQ(w[100], 0.0f);
  EXPECT_EQ(w[128], 0.25f);
  EXPECT_EQ(w[128 + 96], 0.0f);
  EXPECT_EQ(w[255], -0.25f);
}

TEST(Ternary, EveryTypeGivesTheSameNumbersBack) {
  const TernaryTensor tensor = RandomTernary(5, 768, 0.15625f);
  for (const Format& t : AllFormats()) {
    if (!t.holds_ternary()) continue;
    const auto data = EncodeTernary(t.type, tensor);
    ASSERT_EQ(data.size(), TensorBytes(t.type, 5, 768)) << t.name;
    std::vector<float> back(5 * 768);
    DequantizeTensor(t.type, data, 5, 768, back);
    for (size_t i = 0; i < back.size(); ++i) ASSERT_EQ(back[i], tensor.scale * tensor.codes[i]) << t.name << " " << i;
    const auto found = FindTernary(back, 5, 768);
    ASSERT_TRUE(found) << t.name;
    EXPECT_EQ(found->scale, tensor.scale) << t.name;
    EXPECT_EQ(found->codes, tensor.codes) << t.name;
    // Rounding to the nearest finds the same bytes, save where it would make 127 steps of the scale (Q8_0).
    std::vector<std::byte> nearest(data.size());
    QuantizeTensor(t.type, back, 5, 768, nearest);
    EXPECT_EQ(nearest == data, t.encode_codes == nullptr) << t.name;
  }
  EXPECT_THAT(ErrorOf([&] { EncodeTernary(TensorType::kQ6_K, tensor); }), HasSubstr("Q6_K does not hold"));
}

TEST(Ternary, ScalesThatATypeCannotHoldAreRefused) {
  const TernaryTensor f32_only = RandomTernary(1, 256, 0.1f);
  for (const Format& t : AllFormats()) {
    if (!t.holds_ternary()) continue;
    const std::string error = ErrorOf([&] { EncodeTernary(t.type, f32_only); });
    const char* expected = t.exact_scale == ScaleType::kF32 ? "" : "cannot hold the scale 0.1";
    EXPECT_THAT(error, HasSubstr(expected)) << t.name;
    EXPECT_EQ(error.empty(), t.exact_scale == ScaleType::kF32) << t.name;
  }
  const TernaryTensor f16_only = RandomTernary(1, 256, 1 + 0x1p-10f);
  EXPECT_NO_THROW(EncodeTernary(TensorType::kTQ2_0, f16_only));
  EXPECT_THAT(ErrorOf([&] { EncodeTernary(TensorType::kBF16, f16_only); }), HasSubstr("cannot hold the scale"));
  EXPECT_THAT(ErrorOf([&] { EncodeTernary(TensorType::kTQ2_0, RandomTernary(1, 256, 1e5f)); }),
              HasSubstr("cannot hold"));
}

TEST(Ternary, OtherNumbersAreNotTernary) {
  EXPECT_TRUE(FindTernary(std::vector<float>{1, -1, 0, -0.0f}, 2, 2));
  EXPECT_FALSE(FindTernary(std::vector<float>{1, -1, 0, 0.5f}, 2, 2));
  EXPECT_FALSE(FindTernary(std::vector<float>{1, -1, 0, std::nextafter(1.0f, 2.0f)}, 2, 2));
  EXPECT_FALSE(FindTernary(std::vector<float>{1, NAN, 0, 1}, 2, 2));
  EXPECT_FALSE(FindTernary(std::vector<float>{NAN, 0, 0, 0}, 2, 2));
  EXPECT_FALSE(FindTernary(std::vector<float>{kInfinity, -kInfinity, 0, 0}, 2, 2));
  const auto zeros = FindTernary(std::vector<float>(4), 2, 2);
  ASSERT_TRUE(zeros);
  EXPECT_EQ(zeros->scale, 1.0f);
  EXPECT_THAT(ErrorOf([] { FindTernary(std::vector<float>(4), 2, 3); }), HasSubstr("found 16 bytes, expected 24"));
}

TEST(Quantize, ErrorsStayWithinHalfAStep) {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> row(1024), back(1024);
  for (float& x : row) x = normal(random);
  const auto check = [&](TensorType type, auto&& allowed) {
    std::vector<std::byte> data(RowBytes(type, row.size()));
    QuantizeRow(type, row, data);
    DequantizeRow(type, data, back);
    for (size_t i = 0; i < row.size(); ++i)
      ASSERT_LE(std::abs(back[i] - row[i]), allowed(i)) << TypeName(type) << " " << i;
  };
  const auto peak = [&](size_t i, size_t block) {
    float magnitude = 0;
    for (size_t k = i / block * block; k < i / block * block + block; ++k)
      magnitude = std::max(magnitude, std::abs(row[k]));
    return magnitude;
  };
  check(TensorType::kF32, [](size_t) { return 0; });
  check(TensorType::kF16, [&](size_t i) { return std::abs(row[i]) * 0x1p-11f + 0x1p-25f; });
  check(TensorType::kBF16, [&](size_t i) { return std::abs(row[i]) * 0x1p-8f; });
  check(TensorType::kQ8_0, [&](size_t i) { return peak(i, 32) / 127 * 0.57f; });
  // Half a step; but where the largest is of one sign, that of the other side may need half a step more.
  check(TensorType::kQ4_0, [&](size_t i) { return peak(i, 32) / 8 * 1.01f; });
  check(TensorType::kQ5_0, [&](size_t i) { return peak(i, 32) / 16 * 1.01f; });
  check(TensorType::kQ4_1, [&](size_t i) { return peak(i, 32) * 2 / 15 * 0.52f; });
  check(TensorType::kQ5_1, [&](size_t i) { return peak(i, 32) * 2 / 31 * 0.55f; });
  // ... and what rounding scale and min to whole numbers changes: half a unit times the steps.
  check(TensorType::kQ2_K,
        [&](size_t i) { return peak(i, 256) * (2.0f / 3 * 0.51f + 2.0f / 15 * 0.51f + 0.51f / 15); });
  check(TensorType::kQ3_K, [&](size_t i) { return peak(i, 16) / 4 * 1.01f + peak(i, 256) / 31 * 0.51f; });
  check(TensorType::kQ4_K,
        [&](size_t i) { return peak(i, 256) * (2.0f / 15 * 0.51f + 2.0f / 63 * 0.51f + 0.51f / 63); });
  check(TensorType::kQ5_K,
        [&](size_t i) { return peak(i, 256) * (2.0f / 31 * 0.51f + 2.0f / 63 * 0.51f + 0.51f / 63); });
  // A step of the group, where 31 steps are the most to the side opposite its largest value; and 32 times what rounding
  // the step to 1/127 of the block's largest can change it.
  check(TensorType::kQ6_K, [&](size_t i) { return peak(i, 16) / 32 * 1.01f + peak(i, 256) / 127 * 0.51f; });
  check(TensorType::kTQ1_0, [&](size_t i) { return peak(i, 256) * 0.501f; });
  check(TensorType::kTQ2_0, [&](size_t i) { return peak(i, 256) * 0.501f; });
}

TEST(Quantize, ZerosStayZerosAndTinyNumbersDoNotBreak) {
  for (const Format& t : AllFormats()) {
    for (const float value : {0.0f, 1e-45f, 1e-39f}) {
      std::vector<float> values(512, value), back(512, NAN);
      values[3] = 0;
      std::vector<std::byte> data(TensorBytes(t.type, 2, 256));
      QuantizeTensor(t.type, values, 2, 256, data);
      DequantizeTensor(t.type, data, 2, 256, back);
      for (const float x : back) ASSERT_LE(std::abs(x), value + 1e-40f) << t.name;
    }
  }
}

TEST(Quantize, WrongSizesAndNumbersAreRefused) {
  std::vector<float> row(256);
  std::vector<std::byte> data(66);
  EXPECT_THAT(ErrorOf([&] { DequantizeRow(TensorType::kTQ2_0, std::span(data).first(65), row); }),
              HasSubstr("found 65 bytes, expected 66"));
  EXPECT_THAT(ErrorOf([&] { QuantizeRow(TensorType::kTQ1_0, row, data); }), HasSubstr("found 66 bytes, expected 54"));
  EXPECT_THAT(ErrorOf([&] { DequantizeRow(TensorType::kTQ2_0, data, std::span(row).first(100)); }),
              HasSubstr("multiple"));
  EXPECT_THAT(ErrorOf([&] { DequantizeTensor(TensorType::kTQ2_0, data, 1, 256, std::span(row).first(255)); }),
              HasSubstr("found 255 values"));
  EXPECT_THAT(ErrorOf([&] { DequantizeRow(static_cast<TensorType>(999), data, row); }), HasSubstr("type 999"));
  std::vector<std::byte> i2s(64);
  EXPECT_THAT(ErrorOf([&] { DequantizeRow(TensorType::kI2_S, i2s, row); }), HasSubstr("DequantizeTensor"));
  EXPECT_THAT(ErrorOf([&] { QuantizeRow(TensorType::kI2_S, row, i2s); }), HasSubstr("QuantizeTensor"));
  for (const TensorType type : TypesWhere([](const Format& f) { return f.has_codec() && f.block_weights > 1; })) {
    std::vector<std::byte> out(TensorBytes(type, 1, 256));
    for (const float bad : {static_cast<float>(NAN), kInfinity}) {
      row[200] = bad;
      EXPECT_THAT(ErrorOf([&] { QuantizeTensor(type, row, 1, 256, out); }), HasSubstr("expected a finite number"));
    }
    row[200] = 1e30f;
    if (FormatOf(type).has_whole_rows()) {
      EXPECT_THAT(ErrorOf([&] { QuantizeTensor(type, row, 1, 256, out); }), HasSubstr("F16 cannot hold it"));
    }
    row[200] = 0;
  }
}

class TernaryFormat : public ::testing::TestWithParam<TensorType> {
 protected:
  // Any bytes that an encoder writes.
  TernaryFormat() : format_(FormatOf(GetParam())), block_(format_.block_bytes), codes_(format_.block_weights) {
    std::mt19937_64 random(5);
    for (uint8_t& code : codes_) code = static_cast<uint8_t>(random() % 3);
    format_.ternary->pack(codes_.data(), block_.data());
  }
  std::vector<uint8_t> Read(void (*unpack)(const std::byte*, uint8_t*)) const {
    std::vector<uint8_t> codes(format_.block_weights);
    unpack(block_.data(), codes.data());
    return codes;
  }
  const Format& format_;
  std::vector<std::byte> block_;
  std::vector<uint8_t> codes_;
};

TEST_P(TernaryFormat, UnpacksWhatItPacks) {
  EXPECT_EQ(Read(format_.ternary->unpack), codes_);
  std::vector<float> decoded(codes_.size());
  if (format_.ternary->scale_at >= 0) SetBlockScale(*format_.ternary, 0.5f, block_.data());
  format_.decode(block_, 0.5f, decoded);
  for (size_t i = 0; i < codes_.size(); ++i) EXPECT_EQ(decoded[i], 0.5f * (codes_[i] - 1.0f)) << i;
  const std::vector<std::byte> kept = block_;
  format_.ternary->pack(codes_.data(), block_.data());
  EXPECT_EQ(block_, kept) << "the scale is left alone";
}

// The same codes in another order: neighbours share a byte.
TEST_P(TernaryFormat, UnpackLinearTakesNeighboursFromOneByte) {
  std::vector<uint8_t> linear = Read(format_.ternary->unpack_linear), sorted = codes_;
  EXPECT_NE(linear, codes_);
  const size_t per_byte = GetParam() == TensorType::kTQ1_0 ? 5 : 4;
  const std::byte first = block_[0];
  block_.assign(block_.size(), std::byte{0});
  block_[0] = first;
  const std::vector<uint8_t> of_one_byte = Read(format_.ternary->unpack_linear);
  EXPECT_TRUE(std::equal(linear.begin(), linear.begin() + static_cast<ptrdiff_t>(per_byte), of_one_byte.begin()));
  EXPECT_EQ(std::count(of_one_byte.begin() + static_cast<ptrdiff_t>(per_byte), of_one_byte.end(), 0),
            static_cast<ptrdiff_t>(of_one_byte.size() - per_byte));
  std::sort(linear.begin(), linear.end());
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(linear, sorted);
}

INSTANTIATE_TEST_SUITE_P(Formats, TernaryFormat, ::testing::ValuesIn(TypesWhere(&Format::is_ternary)),
                         [](const auto& info) { return TypeName(info.param); });

TEST(Linear, CountsBitsFromTheEndThatTheFormatCountsFrom) {
  std::vector<std::byte> block(66);
  std::vector<uint8_t> codes(256);
  block[0] = std::byte{0b11'10'01'00};
  FormatOf(TensorType::kTQ2_0).ternary->unpack_linear(block.data(), codes.data());
  EXPECT_EQ(std::vector<uint8_t>(codes.begin(), codes.begin() + 5), (std::vector<uint8_t>{0, 1, 2, 3, 0}));
  FormatOf(TensorType::kI2_S).ternary->unpack_linear(block.data(), codes.data());
  EXPECT_EQ(std::vector<uint8_t>(codes.begin(), codes.begin() + 5), (std::vector<uint8_t>{3, 2, 1, 0, 0}));
  block[0] = std::byte{205};   // trits 2 1 0 1 2
  block[48] = std::byte{203};  // 2 1 0 1
  FormatOf(TensorType::kTQ1_0).ternary->unpack_linear(block.data(), codes.data());
  EXPECT_EQ(std::vector<uint8_t>(codes.begin(), codes.begin() + 6), (std::vector<uint8_t>{2, 1, 0, 1, 2, 0}));
  EXPECT_EQ(std::vector<uint8_t>(codes.begin() + 240, codes.begin() + 245), (std::vector<uint8_t>{2, 1, 0, 1, 0}));
}

TEST(AllFormats, AreOrderedAndWhole) {
  for (size_t i = 0; i < AllFormats().size(); ++i) {
    const Format& f = AllFormats()[i];
    EXPECT_EQ(&FormatOf(f.type), &f);
    EXPECT_EQ(FindFormat(f.type), &f);
    EXPECT_EQ(TensorTypeFromName(f.name), f.type);
    EXPECT_EQ(f.has_codec(), f.encode != nullptr) << f.name;
    EXPECT_FALSE(f.is_ternary() && !f.holds_ternary()) << f.name;
    if (i > 0) {
      EXPECT_GT(f.type, AllFormats()[i - 1].type);
    }
  }
  EXPECT_EQ(FindFormat(static_cast<TensorType>(999)), nullptr);
  EXPECT_THAT(ErrorOf([] { FormatOf(static_cast<TensorType>(999)); }), HasSubstr("expected one of F32, F16"));
  EXPECT_EQ(JoinNames(NamesWhere(&Format::is_ternary)), "TQ1_0, TQ2_0 or I2_S");
}

TEST(TensorType, NamesAndSizes) {
  EXPECT_EQ(TypeName(TensorType::kTQ2_0), "TQ2_0");
  EXPECT_EQ(TypeName(static_cast<TensorType>(999)), "type 999");
  EXPECT_EQ(TensorTypeFromName("tq2_0"), TensorType::kTQ2_0);
  EXPECT_EQ(TensorTypeFromName("I2_S"), TensorType::kI2_S);
  EXPECT_EQ(TensorTypeFromName("TQ2"), std::nullopt);
  EXPECT_EQ(TensorBytes(TensorType::kI2_S, 6912, 2560), size_t{6912} * 2560 / 4 + 32);
  EXPECT_EQ(TensorBytes(TensorType::kTQ2_0, 2, 512), 4u * 66);
  EXPECT_EQ(TensorBytes(TensorType::kTQ1_0, 2, 512), 4u * 54);
  EXPECT_EQ(TensorBytes(TensorType::kQ6_K, 1, 256), 210u);
  EXPECT_EQ(TensorBytes(TensorType::kQ8_0, 3, 64), 3u * 68);
  EXPECT_THAT(ErrorOf([] { TensorBytes(TensorType::kI2_S, 1, 64); }), HasSubstr("multiple of its block of 128"));
}

}  // namespace
}  // namespace bitnet
