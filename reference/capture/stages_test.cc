#include "reference/capture/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace parity {
namespace {

TEST(StagesTest, NamesAreOnesOwnAndInOrder) {
  std::set<std::string_view> names;
  for (const Stage& stage : AllStages()) names.insert(stage.name);
  EXPECT_EQ(names.size(), AllStages().size());
  EXPECT_EQ(names.size(), 22u);
  EXPECT_LT(StageIndex("attn_norm"), StageIndex("q_rope"));
  EXPECT_EQ(StageIndex("qq"), -1);
  EXPECT_EQ(TraceName(3, 0, "q_proj"), "t3/blk0/q_proj");
  EXPECT_EQ(TraceName(3, -1, "logits"), "t3/logits");
}

TEST(StagesTest, Selections) {
  EXPECT_TRUE(TraceSelection("none").empty());
  EXPECT_TRUE(TraceSelection("").empty());
  EXPECT_FALSE(TraceSelection("none").Wants("logits", -1));
  for (const Stage& stage : AllStages()) {
    EXPECT_TRUE(TraceSelection("full").Wants(stage.name, stage.in_layer ? 5 : -1));
    EXPECT_EQ(TraceSelection("core").Wants(stage.name, 0), stage.core) << stage.name;
  }
  const TraceSelection mixed("attn_scores*,blk3/ffn_*,logits");
  EXPECT_TRUE(mixed.Wants("attn_scores_softmax", 7));
  EXPECT_TRUE(mixed.Wants("ffn_up", 3));
  EXPECT_FALSE(mixed.Wants("ffn_up", 13));
  EXPECT_FALSE(mixed.Wants("ffn_up", 2));
  EXPECT_TRUE(mixed.Wants("logits", -1));
  EXPECT_FALSE(mixed.Wants("output_norm", -1));
}

TEST(StagesTest, AGlobThatMatchesNothingIsAnError) {
  for (const char* spec : {"qproj", "core,ffn", "blk0/nothing", "layer0/q_proj", "blk0/logits"}) {
    EXPECT_THROW(TraceSelection{spec}, std::runtime_error) << spec;
  }
}

}  // namespace
}  // namespace parity
