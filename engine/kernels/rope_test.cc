#include "engine/kernels/rope.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/kernels/kernel_test.h"
#include "engine/kernels/scalar.h"

namespace bitnet {
namespace {

struct RopeShape {
  size_t head_dim, n_rot;
};
constexpr RopeShape kShapes[] = {{2, 2},   {6, 6},   {10, 6},    {32, 32}, {64, 64},
                                 {80, 80}, {80, 32}, {128, 128}, {128, 34}};

TEST(Rope, EqualsItsDefinition) {
  for (const RopeLayout layout : {RopeLayout::kNeox, RopeLayout::kInterleaved})
    for (const RopeShape& shape : kShapes) {
      for (const size_t heads : {1, 2, 5, 20}) {
        for (const int position : {0, 1, 63, 4095}) {
          for (const Values values : kAllValues) {
            const RopeAngles angles = ComputeRopeAngles(position, shape.n_rot, 500000.0f);
            const std::vector<float> x = RandomFloats(heads * shape.head_dim, 1, values);
            std::vector<float> expected = x;
            scalar::Rope(expected.data(), heads, shape.head_dim, shape.n_rot, angles, layout);
            OnEveryTarget([&] {
              std::vector<float> found = x;
              Rope(found.data(), heads, shape.head_dim, shape.n_rot, angles, layout);
              ASSERT_TRUE(SameBits(found, expected)) << shape.head_dim << " " << shape.n_rot;
            });
          }
        }
      }
    }
}

TEST(Rope, TurnsEachPairByItsAngleAndLeavesTheRest) {
  const size_t head_dim = 16, n_rot = 12;
  const double base = 10000.0;
  const int position = 7;
  const std::vector<float> x = RandomFloats(head_dim, 2);
  std::vector<float> y = x;
  Rope(y.data(), 1, head_dim, n_rot, ComputeRopeAngles(position, n_rot, base));
  for (size_t i = 0; i < n_rot / 2; ++i) {
    const double angle = position * std::pow(base, -2.0 * i / n_rot);
    EXPECT_NEAR(y[i], x[i] * std::cos(angle) - x[i + n_rot / 2] * std::sin(angle), 1e-5) << i;
    EXPECT_NEAR(y[i + n_rot / 2], x[i] * std::sin(angle) + x[i + n_rot / 2] * std::cos(angle), 1e-5) << i;
  }
  for (size_t i = n_rot; i < head_dim; ++i) EXPECT_EQ(y[i], x[i]);
}

// The paper's formulas (Peng et al. 2023, section 3), in double.
TEST(Rope, ScalesAngles) {
  constexpr size_t kRot = 64;
  constexpr double kBase = 10000.0, kFactor = 8.0, kContext = 2048;
  std::vector<float> divisors(kRot / 2);
  for (size_t i = 0; i < divisors.size(); ++i) divisors[i] = 1.0f + static_cast<float>(i) / 8;
  const RopeScaling yarn = YarnScaling(kFactor, kRot, kBase, kContext, 1.0f);
  const RopeAngles plain = ComputeRopeAngles(100, kRot, kBase, {.frequency = 0.125f, .magnitude = 2.0f}, divisors);
  const RopeAngles mixed = ComputeRopeAngles(100, kRot, kBase, yarn);
  const auto pair = [&](double turns) {
    return kRot * std::log(kContext / (turns * 2 * M_PI)) / (2 * std::log(kBase));
  };
  const double low = std::floor(pair(32)), high = std::ceil(pair(1));
  size_t between = 0;
  for (size_t i = 0; i < kRot / 2; ++i) {
    const double own = 100 * std::pow(kBase, -2.0 * static_cast<double>(i) / kRot);
    EXPECT_NEAR(plain.cos[i], 2 * std::cos(own / divisors[i] / 8), 1e-4) << i;
    EXPECT_NEAR(plain.sin[i], 2 * std::sin(own / divisors[i] / 8), 1e-4) << i;
    const double share = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const double angle = own * (1 - share) + own / kFactor * share, magnitude = 0.1 * std::log(kFactor) + 1;
    EXPECT_NEAR(mixed.cos[i], magnitude * std::cos(angle), 1e-4) << i;
    EXPECT_NEAR(mixed.sin[i], magnitude * std::sin(angle), 1e-4) << i;
    between += share > 0 && share < 1;
  }
  EXPECT_GT(between, 5u);
}

TEST(Rope, TheLayoutsTurnTheSamePairsInOtherPlaces) {
  constexpr size_t kDim = 32;
  std::vector<float> halves(kDim), neighbours(kDim);
  for (size_t i = 0; i < kDim / 2; ++i) {
    halves[i] = neighbours[2 * i] = static_cast<float>(i) + 0.5f;
    halves[i + kDim / 2] = neighbours[2 * i + 1] = 7.0f - static_cast<float>(i);
  }
  const RopeAngles angles = ComputeRopeAngles(11, kDim, 10000.0f);
  Rope(halves.data(), 1, kDim, kDim, angles, RopeLayout::kNeox);
  Rope(neighbours.data(), 1, kDim, kDim, angles, RopeLayout::kInterleaved);
  for (size_t i = 0; i < kDim / 2; ++i) {
    EXPECT_EQ(halves[i], neighbours[2 * i]);
    EXPECT_EQ(halves[i + kDim / 2], neighbours[2 * i + 1]);
  }
}

TEST(Rope, PositionZeroChangesNothing) {
  const std::vector<float> x = RandomFloats(128, 3);
  std::vector<float> y = x;
  Rope(y.data(), 2, 64, 64, ComputeRopeAngles(0, 64, 10000.0f));
  EXPECT_TRUE(SameBits(y, x));
}

}  // namespace
}  // namespace bitnet
