#include "engine/kernels/targets.h"

#include <gtest/gtest.h>

#include <string>

#include "hwy/targets.h"

namespace bitnet {
namespace {

TEST(Targets, TheBestOneHasAName) {
  EXPECT_EQ(CpuProblem(), "");
  EXPECT_NE(AvailableTargets() & HWY_STATIC_TARGET, 0) << "the least that runs is always there";
  const int64_t best = AvailableTargets() & -AvailableTargets();
  EXPECT_STREQ(TargetName(), hwy::TargetName(best));
}

// As CPUs before 2013 are.
TEST(Targets, ACpuWithoutAvx2GetsASentence) {
  hwy::SetSupportedTargetsForTest(HWY_SSE2 | HWY_SSSE3 | HWY_SSE4);
  EXPECT_EQ(CpuProblem(), "this CPU lacks AVX2 or FMA");
  EXPECT_NE(std::string(TargetName()), "");
  hwy::SetSupportedTargetsForTest(0);
  EXPECT_EQ(CpuProblem(), "");
}

}  // namespace
}  // namespace bitnet
