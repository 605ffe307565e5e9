#include "engine/kernels/counts.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/kernels/elementwise.h"
#include "engine/kernels/kernel_test.h"
#include "engine/kernels/rms_norm.h"
#include "engine/kernels/targets.h"
#include "engine/kernels/thread_pool.h"

namespace bitnet {
namespace {

TEST(KernelCounts, OneForEachCallNamedAfterTheTargetThatRan) {
  OnEveryTarget([] {
    const auto before = KernelCalls();
    std::vector<float> x(64, 1.0f), y(64);
    ThreadPool pool(2);
    RmsNorm(x.data(), 4, 16, x.data(), 1e-5f, y.data(), pool);
    RmsNorm(x.data(), 4, 16, x.data(), 1e-5f, y.data(), pool);
    AddRows(x.data(), x.data(), 64, y.data());
    const std::string target = std::string(".") + TargetName();
    const std::map<std::string, uint64_t> expected = {{"add" + target, 1}, {"rms_norm" + target, 2}};
    EXPECT_EQ(KernelCallsSince(before), expected);
  });
}

}  // namespace
}  // namespace bitnet
