#include "reference/capture/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace parity {
namespace {

TEST(StagesTest, NamesAreOnesOwnAndInOrder) {
  std::set<std::string_view> names;
  for (const TraceStage& stage : AllStages()) names.insert(stage.name);
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
  for (const TraceStage& stage : AllStages()) {
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

// 1 + 3 a layer + 1: 92 records for one token of a model of 30 layers.
TEST(StagesTest, CoreIsFiveStages) {
  int in_layer = 0, outside = 0;
  for (const TraceStage& stage : AllStages()) {
    if (stage.core) ++(stage.in_layer ? in_layer : outside);
  }
  EXPECT_EQ(in_layer, 3);
  EXPECT_EQ(outside, 2);
}

TEST(StagesTest, Filters) {
  const TraceSelection selection(JoinTraceSpec("full", "seq=0-3,9;layer=0,5-7;stage=attn_*,q_*"));
  EXPECT_TRUE(selection.Wants("attn_norm", 0, 3));
  EXPECT_TRUE(selection.Wants("q_rope", 6, 9));
  EXPECT_FALSE(selection.Wants("q_rope", 6, 4));
  EXPECT_FALSE(selection.Wants("q_rope", 4, 0));
  EXPECT_FALSE(selection.Wants("ffn_up", 5, 0));
  EXPECT_FALSE(selection.Wants("logits", -1, 0));
  const TraceSelection outside("layer=-1,2;stage=logits,ffn_up");
  EXPECT_TRUE(outside.Wants("logits", -1));
  EXPECT_TRUE(outside.Wants("ffn_up", 2));
  EXPECT_FALSE(outside.Wants("ffn_up", 1));
  EXPECT_FALSE(TraceSelection("core;stage=ffn_*").Wants("ffn_up", 0));
  EXPECT_TRUE(TraceSelection("core;layer=3").Wants("q_proj", 3, 100));
  EXPECT_TRUE(TraceSelection("core,blk2/ffn_up;seq=1").Wants("ffn_up", 2, 1));
  EXPECT_EQ(JoinTraceSpec("core", ""), "core");
}

TEST(StagesTest, ABadFilterIsAnErrorThatShowsTheSyntax) {
  for (const char* spec : {"seq=", "seq=a", "seq=3-1", "seq=-1", "seq=1-", "seq=1;;layer=2", "layer=-2", "layer=1x",
                           "token=3", "stage=nothing", "core;full", "seq=0,,1", "seq=99999999999"}) {
    try {
      TraceSelection selection(spec);
      ADD_FAILURE() << spec;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("core;seq=0-3;layer=0,5-7;stage=attn_*")) << spec;
      EXPECT_THAT(error.what(), testing::HasSubstr(spec));
    }
  }
}

TEST(StagesTest, AGlobThatMatchesNothingIsAnError) {
  for (const char* spec : {"qproj", "core,ffn", "blk0/nothing", "layer0/q_proj", "blk0/logits"}) {
    EXPECT_THROW(TraceSelection{spec}, std::runtime_error) << spec;
  }
}

}  // namespace
}  // namespace parity
