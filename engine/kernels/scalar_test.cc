// What the definitions say where it can be said by hand.
#include "engine/kernels/scalar.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "engine/formats/half.h"

namespace bitnet::scalar {
namespace {

// The row's end: a product that is rounded before it is added, and one that is fused. x*x = 1 + 2^-11 + 2^-24 rounds to
// 1 + 2^-11.
TEST(DotF32, RoundsTheTailInWholeGroups) {
  constexpr float kX = 1 + 0x1p-12f, kRounded = 1 + 0x1p-11f;
  for (const ArithmeticOrder& order : AllOrders()) {
    const size_t group = static_cast<size_t>(order.single.lanes) / 2;
    const bool by_gcc = (order.name.starts_with("llama.cpp") && order.single.lanes > 4) || order.name.ends_with("-gcc");
    EXPECT_EQ(order.single.rounded_tail, by_gcc) << order.name;
    for (size_t n = 2; n < 4 * group; ++n) {
      for (size_t at = 1; at < n; ++at) {
        std::vector<float> a(n, 0.0f), b(n, 1.0f);
        a[at - 1] = -kRounded;
        a[at] = b[at] = kX;
        const bool rounded = order.single.rounded_tail && at < n - n % group;
        EXPECT_EQ(DotF32(a.data(), b.data(), n, order.single), rounded ? 0.0f : 0x1p-24f)
            << order.name << ": element " << at << " of " << n;
      }
    }
  }
}

// vdpbf16ps: the second of two neighbours is added first, and a subnormal sum on the way is zero.
TEST(DotBF16, OfPairsAddsTheSecondFirst) {
  const DotOrder pairs = {.lanes = 16, .accumulators = 1, .adjacent_fold = false, .pairs = true};
  std::vector<uint16_t> w(32, 0);
  std::vector<float> x(32, 1.0f);
  const auto sum = [&](float first, float second) {
    w[0] = Bf16FromF32(first);
    w[1] = Bf16FromF32(second);
    return DotBF16(w.data(), x.data(), 32, pairs);
  };
  EXPECT_EQ(sum(0x1p-130f, 1.0f), 1.0f);
  EXPECT_EQ(sum(0x1p-130f, 0x1p-130f), 0.0f);
  EXPECT_EQ(sum(0x1.8p-126f, -0x1p-126f), 0.0f);
  x[0] = 0x1p-100f;
  x[1] = 0x1p-30f;
  EXPECT_EQ(sum(0x1p-27f, -0x1p-97f), 0.0f) << "-2^-127 is subnormal, and so is the sum with 2^-127";
}

// A lane that is too large for F16 stays infinite, as in an F16 register; and rounds once.
TEST(DotF16, OfF16SumsIsAsInARegister) {
  const DotOrder& order = FindOrder("llama.cpp-neon-fp16").f16_single;
  ASSERT_TRUE(order.f16_sums);
  const auto n = static_cast<size_t>(3 * order.lanes * order.accumulators);
  for (const float sign : {1.0f, -1.0f}) {
    std::vector<uint16_t> w(n, 0);
    std::vector<float> x(n, 1.0f);
    for (size_t i = 0; i < n; i += n / 3) w[i] = F16FromF32(sign * 65504.0f);  // one lane of each step
    EXPECT_EQ(DotF16(w.data(), x.data(), n, order), sign * std::numeric_limits<float>::infinity());
    for (size_t i = 0; i < n; i += n / 3) w[i] = F16FromF32(i == 0 ? sign : sign * 0x1p-11f);
    EXPECT_EQ(DotF16(w.data(), x.data(), n, order), sign) << "each half of a last place is rounded to even";
  }
}

}  // namespace
}  // namespace bitnet::scalar
