#include "engine/kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/kernels/kernel_test.h"
#include "parity_tests/oracle/scalar.h"

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
