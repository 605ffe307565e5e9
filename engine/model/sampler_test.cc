#include "engine/model/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <vector>

#include "engine/model/model.h"

namespace bitnet {
namespace {

using ::testing::ElementsAre;

TEST(Argmax, TakesTheFirstOfEqualsAndPassesOverNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Argmax(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(Argmax(std::vector<float>{nan, -2, -1, nan}), 2);
  EXPECT_THROW(Argmax(std::vector<float>{nan, nan}), std::runtime_error);
  EXPECT_THROW(Argmax({}), std::runtime_error);
}

TEST(Sampler, TemperatureZeroIsGreedy) {
  Sampler sampler({.temperature = 0});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sampler.Next(std::vector<float>{0, 5, 4.9f}), 1);
}

TEST(Sampler, DrawsInProportion) {
  Sampler sampler({.temperature = 1, .seed = 7});
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(5.0f)};
  std::vector<int> count(3);
  for (int i = 0; i < 80000; ++i) ++count[sampler.Next(logits)];
  // Standard deviations are below 142 draws.
  EXPECT_NEAR(count[0], 10000, 600);
  EXPECT_NEAR(count[1], 20000, 600);
  EXPECT_NEAR(count[2], 50000, 600);
}

TEST(Sampler, TopKKeepsTheLargest) {
  Sampler sampler({.temperature = 10, .top_k = 2});
  std::set<int32_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(sampler.Next(std::vector<float>{1, 4, 2, 3}));
  EXPECT_THAT(seen, ElementsAre(1, 3));
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  std::set<int32_t> seen;
  Sampler sampler({.temperature = 1, .top_p = 0.6f});
  for (int i = 0; i < 1000; ++i) seen.insert(sampler.Next(logits));
  EXPECT_THAT(seen, ElementsAre(0, 1));
}

TEST(Sampler, SameSeedSameTokens) {
  Sampler a({.temperature = 1, .seed = 3});
  Sampler b({.temperature = 1, .seed = 3});
  Sampler c({.temperature = 1, .seed = 4});
  std::vector<float> logits(100);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i));
  int differ = 0;
  for (int i = 0; i < 50; ++i) {
    const int32_t id = a.Next(logits);
    EXPECT_EQ(id, b.Next(logits));
    differ += id != c.Next(logits);
  }
  EXPECT_GT(differ, 25);
}

TEST(Sampler, RefusesBadOptions) {
  EXPECT_THROW(Sampler({.temperature = -1}), std::runtime_error);
  EXPECT_THROW(Sampler({.top_k = -1}), std::runtime_error);
  EXPECT_THROW(Sampler({.top_p = 0}), std::runtime_error);
  EXPECT_THROW(Sampler({.top_p = 1.5f}), std::runtime_error);
}

}  // namespace
}  // namespace bitnet
