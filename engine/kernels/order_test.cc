#include "engine/kernels/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace bitnet {
namespace {

TEST(FindOrder, FindsEachByItsName) {
  ASSERT_FALSE(AllOrders().empty());
  for (const ArithmeticOrder& order : AllOrders()) EXPECT_EQ(&FindOrder(order.name), &order);
}

TEST(FindOrder, ListsTheKnownOnes) {
  try {
    FindOrder("avx1024");
    FAIL() << "found an order that does not exist";
  } catch (const std::runtime_error& error) {
    for (const ArithmeticOrder& order : AllOrders()) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(std::string(order.name)));
    }
    EXPECT_THAT(error.what(), ::testing::HasSubstr("'avx1024'"));
  }
}

// What the kernels in vectors are written for.
TEST(AllOrders, StayWithinWhatTheKernelsKnow) {
  for (const ArithmeticOrder& order : AllOrders()) {
    SCOPED_TRACE(order.name);
    EXPECT_EQ(order.kv_padding % 32, 0);
    if (!order.has_vectors) continue;
    EXPECT_FALSE(order.one_sum_a_block || order.q8_0_inverts || order.repacks_q8_0 || order.q8_0_batch);
    EXPECT_TRUE(order.q8_0_lanes == Q80Lanes::kEight && order.f16_single == DotOrder() &&
                order.f16_batch == DotOrder());
    EXPECT_TRUE(order.f32_batch_from == 2 && order.f16_batch_from == 2);
    EXPECT_TRUE(order.lanes == 8 || order.lanes == 16);
    EXPECT_EQ(order.single.accumulators, 4);
    EXPECT_EQ(order.batch.accumulators, 1);
    EXPECT_EQ(order.single.lanes, order.lanes);
    EXPECT_EQ(order.batch.lanes, order.lanes);
    EXPECT_EQ(order.bf16_single.lanes, order.lanes);
    EXPECT_EQ(order.bf16_batch.lanes, order.lanes);
    EXPECT_FALSE(order.single.pairs || order.batch.pairs);
    EXPECT_TRUE(order.lanes == 16 || !order.bf16_single.pairs);
    EXPECT_EQ(order.bf16_batch.pairs, order.bf16_single.pairs);
  }
}

}  // namespace
}  // namespace bitnet
