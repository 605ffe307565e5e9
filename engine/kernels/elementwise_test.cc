#include "engine/kernels/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/formats/codec.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/scalar.h"

namespace bitnet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kDenorm = std::numeric_limits<float>::denorm_min();

// Where exp overflows, underflows, becomes subnormal, or takes another branch of the polynomial, and around it.
std::vector<float> ExtremeFloats() {
  std::vector<float> x = {0.0f, -0.0f, kInf, -kInf, kNan, kMax, -kMax, kDenorm, -kDenorm, 1e-38f, 1.0f, -1.0f};
  for (const float edge : {87.0f, 87.33654f, 88.0f, 88.72284f, 89.0f, 103.9721f, 104.0f, 133.0f, 133.08f, 1000.0f}) {
    for (const float sign : {-1.0f, 1.0f}) {
      const float at = sign * edge;
      x.insert(x.end(), {std::nextafter(at, -kInf), at, std::nextafter(at, kInf)});
    }
  }
  return x;
}

// Each value twice: some in a vector, some in the tail behind the last one.
std::vector<float> ExtremesBothWays() {
  const std::vector<float> x = ExtremeFloats();
  std::vector<float> both = x;
  both.insert(both.end(), x.rbegin(), x.rend());
  return both;
}

std::vector<size_t> Sizes() {
  std::vector<size_t> sizes = kOddSizes;
  sizes.insert(sizes.end(), {0, 31, 32, 64, 1000});
  return sizes;
}

TEST(SiluMul, EqualsItsDefinition) {
  for (const ArithmeticOrder& order : AllOrders()) {
    SCOPED_TRACE(order.name);
    for (const size_t n : Sizes()) {
      for (const Values values : kAllValues) {
        const std::vector<float> gate = RandomFloats(n, 1, values);
        const std::vector<float> up = RandomFloats(n, 2);
        std::vector<float> expected(n), found(n);
        scalar::SiluMul(gate.data(), up.data(), n, order, expected.data());
        OnEveryTarget(order, [&] {
          SiluMul(gate.data(), up.data(), n, order, found.data());
          ASSERT_TRUE(SameBits(found, expected)) << n;
        });
      }
    }
  }
}

TEST(SiluMul, EqualsItsDefinitionAtExtremesAndInPlace) {
  for (const ArithmeticOrder& order : AllOrders()) {
    SCOPED_TRACE(order.name);
    const std::vector<float> gate = ExtremesBothWays();
    const std::vector<float> up = RandomFloats(gate.size(), 3);
    std::vector<float> expected(gate.size());
    scalar::SiluMul(gate.data(), up.data(), gate.size(), order, expected.data());
    OnEveryTarget(order, [&] {
      std::vector<float> found = gate;
      SiluMul(found.data(), up.data(), found.size(), order, found.data());
      ASSERT_TRUE(SameBits(found, expected));
    });
  }
}

TEST(SiluMul, IsSiluTimesUp) {
  const ArithmeticOrder& order = FindOrder("llama.cpp-avx512");
  const std::vector<float> gate = RandomFloats(1000, 4);
  const std::vector<float> up = RandomFloats(1000, 5);
  std::vector<float> out(1000);
  SiluMul(gate.data(), up.data(), 1000, order, out.data());
  for (size_t i = 0; i < 1000; ++i) {
    const double expected = gate[i] / (1.0 + std::exp(-double{gate[i]})) * up[i];
    ASSERT_NEAR(out[i], expected, 1e-6 * std::fabs(expected) + 1e-30) << gate[i];
  }
}

// Largest error in units of the last place of the exact result over every float32 whose bits are a multiple of `step`.
double WorstExpError(int lanes, float low, float high, uint32_t step) {
  double worst = 0;
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += step) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!(x >= low && x <= high)) continue;
    const long double exact = std::exp(static_cast<long double>(x));
    const float rounded = static_cast<float>(exact);
    const double ulp = std::nextafter(rounded, kInf) - rounded;
    worst = std::max(worst, static_cast<double>(std::fabs(scalar::Exp(x, lanes) - exact)) / ulp);
  }
  return worst;
}

TEST(Exp, KeepsTheErrorThatIsDocumented) {
  for (const int lanes : {16, 8}) {
    const double worst = WorstExpError(lanes, -87.3f, 88.7f, 997);
    EXPECT_LE(worst, kExpMaxUlp) << lanes;
    EXPECT_GE(worst, kExpMaxUlp / 2) << "the documented error is far too large";
    // Subnormal results carry fewer bits; they are off by one place at most.
    EXPECT_LE(WorstExpError(lanes, -103.9f, -87.4f, 997), 1.5) << lanes;
  }
}

TEST(Exp, EndsInZeroAndInfinity) {
  for (const int lanes : {16, 8}) {
    EXPECT_EQ(scalar::Exp(0.0f, lanes), 1.0f);
    EXPECT_EQ(scalar::Exp(-kInf, lanes), 0.0f);
    EXPECT_EQ(scalar::Exp(-200.0f, lanes), 0.0f);
    EXPECT_EQ(scalar::Exp(-kMax, lanes), 0.0f);
    EXPECT_EQ(scalar::Exp(kInf, lanes), kInf);
    EXPECT_EQ(scalar::Exp(89.0f, lanes), kInf);
    EXPECT_EQ(scalar::Exp(kMax, lanes), kInf);
    EXPECT_TRUE(std::isnan(scalar::Exp(kNan, lanes)));
  }
}

TEST(SquaredReluMul, EqualsItsDefinition) {
  std::vector<std::vector<float>> gates = {ExtremesBothWays()};
  for (const size_t n : Sizes()) {
    for (const Values values : kAllValues) gates.push_back(RandomFloats(n, 6, values));
  }
  for (const std::vector<float>& gate : gates) {
    const std::vector<float> up = RandomFloats(gate.size(), 7);
    std::vector<float> expected(gate.size());
    scalar::SquaredReluMul(gate.data(), up.data(), gate.size(), expected.data());
    OnEveryTarget([&] {
      std::vector<float> found(gate.size());
      SquaredReluMul(gate.data(), up.data(), gate.size(), found.data());
      ASSERT_TRUE(SameBits(found, expected)) << gate.size();
    });
  }
}

TEST(SquaredReluMul, IsTheSquareOfThePositivePartTimesUp) {
  const float gate[] = {-2.0f, 0.0f, 3.0f};
  const float up[] = {5.0f, 5.0f, -2.0f};
  float out[3];
  SquaredReluMul(gate, up, 3, out);
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_EQ(out[1], 0.0f);
  EXPECT_EQ(out[2], -18.0f);
}

TEST(GeluMul, EqualsItsDefinitionForEveryHalf) {
  std::vector<float> gate = ExtremesBothWays();
  for (uint32_t bits = 0; bits < 1u << 16; ++bits) gate.push_back(F32FromF16(static_cast<uint16_t>(bits)));
  for (const Values values : kAllValues) {
    for (const float v : RandomFloats(1000, 6, values)) gate.push_back(v);
  }
  const std::vector<float> up = RandomFloats(gate.size(), 7);
  std::vector<float> expected(gate.size());
  scalar::GeluMul(gate.data(), up.data(), gate.size(), expected.data());
  OnEveryTarget([&] {
    std::vector<float> found = gate;
    GeluMul(found.data(), up.data(), gate.size(), found.data());
    ASSERT_TRUE(SameBits(found, expected));
  });
}

// Two ways of rounding the polynomial, and the one number of halves that tells them apart.
TEST(GeluMul, RoundsThePolynomialOnce) {
  const float gate[] = {F32FromF16(0xbfff), -10.0f, 10.0f, 0.0f};
  const float up[] = {1.0f, 1.0f, 3.0f, 5.0f};
  float out[4];
  GeluMul(gate, up, 4, out);
  EXPECT_EQ(F16FromF32(out[0]), 0xa9d3);
  EXPECT_EQ(out[1], 0.0f);
  EXPECT_EQ(out[2], 30.0f);
  EXPECT_EQ(out[3], 0.0f);
}

TEST(AddRows, AddsEachElement) {
  for (const size_t n : Sizes()) {
    for (const Values values : kAllValues) {
      const std::vector<float> a = RandomFloats(n, 8, values);
      const std::vector<float> b = RandomFloats(n, 9, values);
      std::vector<float> expected(n);
      for (size_t i = 0; i < n; ++i) expected[i] = a[i] + b[i];
      OnEveryTarget([&] {
        std::vector<float> found = b;
        AddRows(a.data(), found.data(), n, found.data());
        ASSERT_TRUE(SameBits(found, expected)) << n;
      });
    }
  }
}

// Every half, what lies midway between two (ties go to the even one), and the float32 on both sides of each.
std::vector<float> AroundEveryHalf() {
  std::vector<float> x;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float half = F32FromF16(static_cast<uint16_t>(bits));
    if (std::isnan(half)) continue;
    const float next = F32FromF16(static_cast<uint16_t>(bits + 1));
    for (const float v : {half, half / 2 + next / 2}) {
      x.insert(x.end(), {std::nextafter(v, -kInf), v, std::nextafter(v, kInf)});
    }
  }
  return x;
}

TEST(RoundToF16, RoundsToNearestEven) {
  const std::vector<float> x = AroundEveryHalf();
  std::vector<uint16_t> expected(x.size());
  for (size_t i = 0; i < x.size(); ++i) expected[i] = F16FromF32(x[i]);
  OnEveryTarget([&] {
    std::vector<uint16_t> bits(x.size());
    std::vector<float> floats(x.size());
    RoundToF16(x.data(), x.size(), bits.data());
    RoundToF16(x.data(), x.size(), floats.data());
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i])) continue;
      ASSERT_EQ(bits[i], expected[i]) << x[i];
      ASSERT_TRUE(SameBits(floats[i], F32FromF16(expected[i]))) << x[i];
    }
  });
}

TEST(RoundToF16, RoundsTheTailAsItRoundsVectors) {
  for (const size_t n : Sizes()) {
    for (const Values values : kAllValues) {
      const std::vector<float> x = RandomFloats(n, 10, values);
      OnEveryTarget([&] {
        std::vector<uint16_t> bits(n + 1, 0xbeef);
        std::vector<float> floats(n + 1, 42.0f);
        RoundToF16(x.data(), n, bits.data());
        RoundToF16(x.data(), n, floats.data());
        for (size_t i = 0; i < n; ++i) {
          ASSERT_EQ(bits[i], F16FromF32(x[i])) << x[i];
          ASSERT_TRUE(SameBits(floats[i], F32FromF16(bits[i]))) << x[i];
        }
        ASSERT_EQ(bits[n], 0xbeef);
        ASSERT_EQ(floats[n], 42.0f);
      });
    }
  }
}

}  // namespace
}  // namespace bitnet
