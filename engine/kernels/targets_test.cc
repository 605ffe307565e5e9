#include "engine/kernels/targets.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/kernels/primitives.h"

namespace bitnet {
namespace {

TEST(Targets, TheBestOneIsUsed) {
  const std::vector<std::string> names = AvailableTargets();
  EXPECT_EQ(TargetName(), names.front());
  EXPECT_EQ(names.back(), kPlainTarget);
}

// As on a CPU that lacks AVX2, and in a build without Highway.
TEST(Targets, PlainLoopsWhereThereAreNoVectors) {
  UseTarget(kPlainTarget);
  EXPECT_EQ(TargetName(), kPlainTarget);
  EXPECT_EQ(&AnyPrimitives(), &kPlainPrimitives);
  UseTarget("");
  EXPECT_EQ(TargetName(), AvailableTargets().front());
}

TEST(Targets, AnOrderThatVectorsDoNotFollowIsComputedInPlainLoops) {
  ArithmeticOrder order = AllOrders().front();
  order.has_vectors = false;
  EXPECT_EQ(TargetName(order), kPlainTarget);
  EXPECT_EQ(&PrimitivesFor(order), &kPlainPrimitives);
}

TEST(Targets, EachHasEveryProduct) {
  for (int type = 0; type < 64; ++type) {
    const auto t = static_cast<TensorType>(type);
    EXPECT_EQ(kPlainPrimitives.product(t) != nullptr, HasMatMul(t)) << type;
    if (VectorPrimitives() == nullptr) continue;
    EXPECT_EQ(VectorPrimitives()->product(t) != nullptr, HasMatMul(t)) << type;
  }
}

}  // namespace
}  // namespace bitnet
