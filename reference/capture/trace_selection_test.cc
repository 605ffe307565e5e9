#include "reference/capture/trace_selection.h"
#include "reference/capture/error_for_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace parity {
namespace {

TEST(TraceSelectionTest, NamesOfTensors) {
  EXPECT_EQ(TraceName(3, 0, "q_proj"), "t3/blk0/q_proj");
  EXPECT_EQ(TraceName(3, -1, "logits"), "t3/logits");
}

TEST(TraceSelectionTest, Selections) {
  EXPECT_TRUE(TraceSelection("none").empty());
  EXPECT_TRUE(TraceSelection("").empty());
  EXPECT_FALSE(TraceSelection("none").Wants(Point::kLogits, -1));
  for (const bitnet::PointInfo& point : bitnet::kGraph) {
    EXPECT_TRUE(TraceSelection("full").Wants(point.point, point.in_layer ? 5 : -1));
    EXPECT_EQ(TraceSelection("core").Wants(point.point, 0), point.core) << point.name;
  }
  const TraceSelection mixed("attn_scores*,blk3/ffn_*,logits");
  EXPECT_TRUE(mixed.Wants(Point::kAttnScoresSoftmax, 7));
  EXPECT_TRUE(mixed.Wants(Point::kFfnUp, 3));
  EXPECT_FALSE(mixed.Wants(Point::kFfnUp, 13));
  EXPECT_FALSE(mixed.Wants(Point::kFfnUp, 2));
  EXPECT_TRUE(mixed.Wants(Point::kLogits, -1));
  EXPECT_FALSE(mixed.Wants(Point::kOutputNorm, -1));
}

// 1 + 3 a layer + 1: 92 records for one token of a model of 30 layers.
TEST(TraceSelectionTest, CoreIsFivePoints) {
  int in_layer = 0, outside = 0;
  for (const bitnet::PointInfo& point : bitnet::kGraph) {
    if (point.core) ++(point.in_layer ? in_layer : outside);
  }
  EXPECT_EQ(in_layer, 3);
  EXPECT_EQ(outside, 2);
}

TEST(TraceSelectionTest, Filters) {
  const TraceSelection selection(JoinTraceSpec("full", "seq=0-3,9;layer=0,5-7;stage=attn_*,q_*"));
  EXPECT_TRUE(selection.Wants(Point::kAttnNorm, 0, 3));
  EXPECT_TRUE(selection.Wants(Point::kQRope, 6, 9));
  EXPECT_FALSE(selection.Wants(Point::kQRope, 6, 4));
  EXPECT_FALSE(selection.Wants(Point::kQRope, 4, 0));
  EXPECT_FALSE(selection.Wants(Point::kFfnUp, 5, 0));
  EXPECT_FALSE(selection.Wants(Point::kLogits, -1, 0));
  const TraceSelection outside("layer=-1,2;stage=logits,ffn_up");
  EXPECT_TRUE(outside.Wants(Point::kLogits, -1));
  EXPECT_TRUE(outside.Wants(Point::kFfnUp, 2));
  EXPECT_FALSE(outside.Wants(Point::kFfnUp, 1));
  EXPECT_FALSE(TraceSelection("core;stage=ffn_*").Wants(Point::kFfnUp, 0));
  EXPECT_TRUE(TraceSelection("core;layer=3").Wants(Point::kQProj, 3, 100));
  EXPECT_TRUE(TraceSelection("core,blk2/ffn_up;seq=1").Wants(Point::kFfnUp, 2, 1));
  EXPECT_EQ(JoinTraceSpec("core", ""), "core");
}

TEST(TraceSelectionTest, ABadFilterIsAnErrorThatShowsTheSyntax) {
  for (const char* spec : {"seq=", "seq=a", "seq=3-1", "seq=-1", "seq=1-", "seq=1;;layer=2", "layer=-2", "layer=1x",
                           "token=3", "stage=nothing", "core;full", "seq=0,,1", "seq=99999999999"}) {
    const std::string error = ErrorOf([&] { TraceSelection selection(spec); });
    EXPECT_THAT(error, testing::HasSubstr("core;seq=0-3;layer=0,5-7;stage=attn_*")) << spec;
    EXPECT_THAT(error, testing::HasSubstr(spec));
  }
}

TEST(TraceSelectionTest, AGlobThatMatchesNothingIsAnError) {
  for (const char* spec : {"qproj", "core,ffn", "blk0/nothing", "layer0/q_proj", "blk0/logits"}) {
    EXPECT_THROW(TraceSelection{spec}, std::runtime_error) << spec;
  }
}

}  // namespace
}  // namespace parity
