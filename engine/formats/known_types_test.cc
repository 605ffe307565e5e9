#include "engine/formats/known_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

namespace bitnet {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Names(uint32_t number) {
  std::vector<std::string> names;
  for (const TypeMeaning& m : MeaningsOf(static_cast<TensorType>(number))) names.push_back(NameOf(m));
  return names;
}

TEST(KnownTypes, ANumberMayHaveSeveralMeanings) {
  EXPECT_THAT(Names(0), ElementsAre("F32"));
  EXPECT_THAT(Names(39), ElementsAre("MXFP4", "TL2"));
  EXPECT_EQ(MeaningsOf(TensorType::kI2_S).front().owner, TypeOwner::kThisEngine);
  EXPECT_EQ(MeaningsOf(TensorType::kI2_S).size(), 4u);
  EXPECT_TRUE(Names(999).empty());
  EXPECT_EQ(TypeName(static_cast<TensorType>(39)), "MXFP4 or TL2");
  EXPECT_EQ(TypeName(TensorType::kI2_S), "I2_S");
  EXPECT_EQ(TypeName(static_cast<TensorType>(999)), "type 999");
}

TEST(KnownTypes, NoMeaningIsListedTwice) {
  for (uint32_t number = 0; number < 1000; ++number) {
    const std::vector<std::string> names = Names(number);
    EXPECT_EQ(std::set(names.begin(), names.end()).size(), names.size()) << number;
  }
}

TEST(KnownTypes, SizesCountRowsAndTensors) {
  const TypeMeaning iq2_bn = MeaningsOf(static_cast<TensorType>(135)).front();
  EXPECT_EQ(BytesOf(iq2_bn, 3, 256), 3u * (4 * 16 + 4));
  EXPECT_EQ(BytesOf(iq2_bn, 3, 100), std::nullopt) << "no whole number of blocks";
  EXPECT_EQ(BytesOf(iq2_bn, std::numeric_limits<uint64_t>::max(), 64), std::nullopt);
  EXPECT_EQ(BytesOf(MeaningsOf(static_cast<TensorType>(38)).front(), 3, 256), std::nullopt) << "TL1: not known";
  EXPECT_EQ(BytesOf(MeaningsOf(TensorType::kI2_S).front(), 2, 256), 2u * 64 + 32);
}

}  // namespace
}  // namespace bitnet
