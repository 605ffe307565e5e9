#include "engine/kernels/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/kernels/kernel_test.h"
#include "engine/kernels/scalar.h"

namespace bitnet {
namespace {

TEST(RmsNorm, EqualsItsDefinitionForEveryShapeAndNumberOfThreads) {
  for (const size_t threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const size_t cols : {1, 3, 16, 17, 100, 256, 2560}) {
      for (const size_t n : kOddSizes) {
        for (const Values values : kAllValues) {
          const std::vector<float> x = RandomFloats(n * cols, 1, values);
          const std::vector<float> gamma = RandomFloats(cols, 2);
          std::vector<float> expected(x.size());
          for (size_t i = 0; i < n; ++i) {
            scalar::RmsNormRow(x.data() + i * cols, cols, gamma.data(), 1e-5f, expected.data() + i * cols);
          }
          OnEveryTarget([&] {
            std::vector<float> found(x.size());
            RmsNorm(x.data(), n, cols, gamma.data(), 1e-5f, found.data(), pool);
            ASSERT_TRUE(SameBits(found, expected)) << n << " x " << cols;
            found = x;
            RmsNorm(found.data(), n, cols, gamma.data(), 1e-5f, found.data(), pool);
            ASSERT_TRUE(SameBits(found, expected)) << "in place";
          });
        }
      }
    }
  }
}

TEST(RmsNorm, GivesRowsWithRmsOfGamma) {
  ThreadPool pool(1);
  const std::vector<float> x = RandomFloats(2560, 3);
  const std::vector<float> gamma(2560, 3.0f);
  std::vector<float> y(2560);
  RmsNorm(x.data(), 1, 2560, gamma.data(), 0.0f, y.data(), pool);
  double squares = 0;
  for (const float v : y) squares += double{v} * v;
  EXPECT_NEAR(std::sqrt(squares / 2560), 3.0, 1e-6);
}

TEST(RmsNorm, EpsilonIsAddedToTheMean) {
  ThreadPool pool(1);
  const float x[] = {3.0f, -3.0f};
  const float gamma[] = {1.0f, 2.0f};
  float y[2];
  RmsNorm(x, 1, 2, gamma, 16.0f, y, pool);  // sqrt(9 + 16) = 5
  EXPECT_FLOAT_EQ(y[0], 0.6f);
  EXPECT_FLOAT_EQ(y[1], -1.2f);
}

// A sum in float32 would lose the ones beside 2^24.
TEST(RmsNorm, SumsInDouble) {
  ThreadPool pool(1);
  std::vector<float> x(1025, 1.0f);
  x[0] = 4096.0f;
  const std::vector<float> gamma(1025, 1.0f);
  std::vector<float> y(1025);
  RmsNorm(x.data(), 1, 1025, gamma.data(), 0.0f, y.data(), pool);
  const float mean = static_cast<float>((16777216.0 + 1024.0) / 1025.0);
  EXPECT_EQ(y[1], 1.0f / std::sqrt(mean));
}

}  // namespace
}  // namespace bitnet
