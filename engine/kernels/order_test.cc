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

TEST(Knows, OnArmWhatWasLookedAt) {
  for (const ArithmeticOrder& order : AllOrders()) {
    SCOPED_TRACE(order.name);
    const bool arm = order.name.find("-neon") != std::string_view::npos, bitnet_cpp = order.name.starts_with("bitnet");
    for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kQ8_0,
                                  TensorType::kTQ1_0, TensorType::kTQ2_0}) {
      EXPECT_TRUE(Knows(order, type)) << TypeName(type);
    }
    for (const TensorType type : {TensorType::kQ4_0, TensorType::kQ5_1, TensorType::kQ2_K, TensorType::kQ4_K}) {
      EXPECT_EQ(Knows(order, type), !arm) << TypeName(type);
    }
    EXPECT_EQ(Knows(order, TensorType::kQ6_K), !(arm && bitnet_cpp));
    EXPECT_EQ(Knows(order, TensorType::kI2_S), !arm || bitnet_cpp);
  }
}

// Which dot product a product takes, stated by hand: the definition and the kernels both ask DotOrderOf.
TEST(DotOrderOf, IsABatchFromSoManyPositionsOfWidthsAndRowsThatFit) {
  struct Row {
    const char* order;
    FloatRows type;
    size_t n, cols, rows;
    int lanes, accumulators;  // expected
    bool f16_sums = false;
  };
  using enum FloatRows;
  const Row table[] = {
      {"llama.cpp-avx512", kF32, 1, 256, 4, 16, 4},
      {"llama.cpp-avx512", kF32, 2, 256, 4, 16, 1},
      {"llama.cpp-avx512", kF32, 2, 256, 6, 16, 4},  // rows no multiple of 4
      {"llama.cpp-avx512", kF32, 2, 248, 4, 16, 4},  // a width no multiple of 16
      {"llama.cpp-avx512", kF16, 2, 256, 8, 16, 1},
      {"llama.cpp-avx512", kBF16, 1, 256, 8, 16, 2},
      {"llama.cpp-avx512", kBF16, 2, 256, 8, 16, 1},
      {"llama.cpp-avx512-bf16", kBF16, 2, 240, 8, 16, 2},  // pairs: 32 a step
      {"llama.cpp-avx512-bf16", kBF16, 2, 256, 8, 16, 1},
      {"llama.cpp-avx2", kF32, 2, 248, 4, 8, 1},
      {"llama.cpp-avx2", kF32, 2, 252, 4, 8, 4},
      {"llama.cpp-avx2", kBF16, 1, 248, 4, 8, 4},
      {"bitnet.cpp-avx512", kF16, 2, 256, 3, 16, 1},  // any number of rows
      {"bitnet.cpp-avx512", kF16, 2, 248, 4, 16, 4},
      {"bitnet.cpp-avx512", kBF16, 9, 256, 4, 16, 2},  // BF16: never
      {"bitnet.cpp-avx2", kF32, 2, 248, 3, 8, 1},
      {"llama.cpp-neon", kF32, 3, 256, 4, 4, 4},  // F32: from four on
      {"llama.cpp-neon", kF32, 4, 256, 4, 4, 1},
      {"llama.cpp-neon", kF32, 4, 254, 4, 4, 4},
      {"llama.cpp-neon", kF32, 4, 256, 5, 4, 4},
      {"llama.cpp-neon", kF16, 1, 256, 4, 4, 4},
      {"llama.cpp-neon", kF16, 2, 256, 4, 4, 1},
      {"llama.cpp-neon", kF16, 2, 256, 5, 4, 4},
      {"llama.cpp-neon", kBF16, 9, 256, 4, 4, 0},
      {"llama.cpp-neon-fp16", kF16, 7, 256, 4, 8, 4, true},  // sums in F16: from eight on
      {"llama.cpp-neon-fp16", kF16, 8, 256, 4, 8, 1, true},
      {"llama.cpp-neon-fp16", kF16, 8, 252, 4, 8, 4, true},
      {"llama.cpp-neon-fp16", kF16, 8, 256, 6, 8, 4, true},
      {"llama.cpp-neon-fp16", kF32, 4, 256, 4, 4, 1},
  };
  for (const Row& row : table) {
    const DotOrder& dot = DotOrderOf(FindOrder(row.order), row.type, row.n, row.cols, row.rows);
    const auto said = [](int lanes, int accumulators, bool f16_sums) {
      return std::to_string(lanes) + " lanes, " + std::to_string(accumulators) + (f16_sums ? ", in F16" : "");
    };
    EXPECT_EQ(said(dot.lanes, dot.accumulators, dot.f16_sums), said(row.lanes, row.accumulators, row.f16_sums))
        << row.order << ", type " << static_cast<int>(row.type) << ", n " << row.n << ", " << row.cols << " wide, "
        << row.rows << " rows";
  }
}

// What the kernels in vectors are written for.
TEST(AllOrders, StayWithinWhatTheKernelsKnow) {
  for (const ArithmeticOrder& order : AllOrders()) {
    SCOPED_TRACE(order.name);
    EXPECT_EQ(order.kv_padding % 32, 0);
    if (!order.has_vectors) continue;
    EXPECT_FALSE(order.one_sum_a_block || order.q8_0_inverts || order.repacks_q8_0 || order.repacks_q6_k ||
                 order.q8_0_batch);
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
