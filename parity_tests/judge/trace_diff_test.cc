#include "parity_tests/judge/trace_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "parity_tests/judge/capture_for_test.h"
#include "reference/capture/capture_writer.h"
#include "reference/capture/error_for_test.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kLayers = 6;

class TraceDiffTest : public testing::Test {
 protected:
  // Core records of `positions` positions, each tensor eight numbers; `edit` may change them before they are hashed.
  Capture Traced(const std::string& name, bool raw = true,
                 const std::function<void(const std::string&, std::vector<float>&)>& edit = {}, int positions = 3) {
    Capture capture = CaptureForTest(name);
    capture.request.trace = "core";
    CaptureWriter writer(root_.path() + "/" + name);
    for (int position = 0; position < positions; ++position) {
      for (const bitnet::PointInfo& point : bitnet::kGraph) {
        if (!point.core) continue;
        for (int layer = point.in_layer ? 0 : -1; layer < (point.in_layer ? kLayers : 0); ++layer) {
          std::vector<float> data;
          for (int i = 0; i < 8; ++i) data.push_back(static_cast<float>(std::sin(position + 3 * layer + i)) + 1.5f);
          if (edit) edit(TraceName(position, layer, point.name), data);
          writer.AddTensor(position, layer, point.point, {static_cast<int64_t>(data.size())}, data, raw);
        }
      }
    }
    writer.Finish(capture);
    return ReadCapture(root_.path() + "/" + name);
  }
  static void ExpectRefused(const Capture& a, const Capture& b, const testing::Matcher<std::string>& message,
                            RawTensors raw = RawTensors::kIfThere) {
    EXPECT_THAT(ErrorOf([&] { DiffTraces(a, b, {raw, true}); }), message);
  }
  TemporaryDirectory root_;
};

TEST_F(TraceDiffTest, EqualTraces) {
  const TraceDiff diff = DiffTraces(Traced("a"), Traced("b"));
  EXPECT_TRUE(diff.equal());
  EXPECT_EQ(diff.tensors.size(), 3u * (2 + 3 * kLayers));
  EXPECT_EQ(diff.count(TensorStatus::kEqual), 60);
  EXPECT_TRUE(diff.only_a.empty() && diff.only_b.empty());
}

TEST_F(TraceDiffTest, TheFirstInTheOrderOfTheComputation) {
  const Capture b = Traced("b", true, [](const std::string& name, std::vector<float>& data) {
    if (name == "t2/embeddings" || name == "t1/logits" || name == "t1/blk4/q_proj") data[3] += 0.5f;
  });
  const TraceDiff diff = DiffTraces(Traced("a"), b);
  ASSERT_TRUE(diff.first);
  const TensorDifference& first = diff.tensors[*diff.first];
  EXPECT_EQ(first.name, "t1/blk4/q_proj");
  EXPECT_EQ(first.status, TensorStatus::kSuspicious);
  ASSERT_TRUE(first.raw);
  EXPECT_EQ(first.raw->worst_index, 3);
  EXPECT_EQ(first.raw->differing, 1);
  EXPECT_FLOAT_EQ(static_cast<float>(first.raw->max_abs), 0.5f);
  EXPECT_NEAR(first.raw->mse, 0.25 / 8, 1e-7);
  EXPECT_LT(first.raw->cosine, 1);
  EXPECT_FLOAT_EQ(first.raw->worst_b, first.raw->worst_a + 0.5f);
  EXPECT_EQ(diff.count(TensorStatus::kEqual), 57);
}

TEST_F(TraceDiffTest, OnePercentOfTheRmsIsSuspicious) {
  const auto scaled = [](float by) {
    return [by](const std::string& name, std::vector<float>& data) {
      for (float& x : data) x *= name == "t0/blk0/attn_norm" ? by : 1;
    };
  };
  const Capture a = Traced("a", false);
  EXPECT_EQ(DiffTraces(a, Traced("b", false, scaled(1.009f))).count(TensorStatus::kDiffers), 1);
  const TraceDiff diff = DiffTraces(a, Traced("c", false, scaled(1.012f)));
  EXPECT_EQ(diff.count(TensorStatus::kSuspicious), 1);
  EXPECT_FALSE(diff.tensors[*diff.first].raw);
}

TEST_F(TraceDiffTest, NanIsNeverEqual) {
  const auto nan = [](const std::string& name, std::vector<float>& data) {
    if (name == "t0/logits") data[0] = std::numeric_limits<float>::quiet_NaN();
  };
  const TraceDiff diff = DiffTraces(Traced("a", true, nan), Traced("b", true, nan));
  ASSERT_TRUE(diff.first);
  EXPECT_EQ(diff.tensors[*diff.first].name, "t0/logits");
  EXPECT_EQ(diff.tensors[*diff.first].status, TensorStatus::kSuspicious);
}

TEST_F(TraceDiffTest, AnotherShape) {
  const Capture b = Traced("b", true, [](const std::string& name, std::vector<float>& data) {
    if (name == "t0/blk1/attn_scores_softmax") data.push_back(0);
  });
  const TraceDiff diff = DiffTraces(Traced("a"), b);
  EXPECT_EQ(diff.tensors[*diff.first].name, "t0/blk1/attn_scores_softmax");
  EXPECT_EQ(diff.tensors[*diff.first].status, TensorStatus::kShape);
}

TEST_F(TraceDiffTest, WhatOnlyOneSideTraced) {
  Capture a = Traced("a"), b = Traced("b");
  b.request.trace = "core;layer=0-3,-1";
  std::erase_if(b.traces, [](const TraceRecord& r) { return r.layer > 3; });
  const TraceDiff diff = DiffTraces(a, b);
  EXPECT_TRUE(diff.equal());
  EXPECT_EQ(diff.only_a.size(), 3u * 3 * 2);
  std::erase_if(a.traces, [](const TraceRecord& r) { return r.layer <= 3; });
  a.request.trace = "core;layer=4-5";
  ExpectRefused(a, b, HasSubstr("no tensor was traced in both"));
}

TEST_F(TraceDiffTest, WhatCannotBeComparedIsRefused) {
  const Capture a = Traced("a");
  Capture b = Traced("b");
  b.model.blake3 = std::string(64, 'c');
  ExpectRefused(a, b, HasSubstr("different models"));
  b = Traced("b");
  b.tokens[2] = 9;
  ExpectRefused(a, b, HasSubstr("different prompts (token 2 is 7 and 9)"));
  b = Traced("b");
  b.traces.erase(b.traces.begin() + 5);
  ExpectRefused(a, b, AllOf(HasSubstr("no such record"), HasSubstr("capture again")));
  b = Traced("b");
  b.request.trace = "core;layer=0-4,-1";
  ExpectRefused(a, b, AllOf(HasSubstr("blk5/"), HasSubstr("does not ask for")));
  ExpectRefused(a, Traced("c", /*raw=*/false), HasSubstr("no raw tensor was kept"), RawTensors::kRequired);
}

TEST_F(TraceDiffTest, TenThousandRecordsASide) {
  const Capture a = Traced("a", false, {}, 500), b = Traced("b", false, {}, 500);
  ASSERT_EQ(a.traces.size(), 10000u);
  EXPECT_TRUE(DiffTraces(a, b).equal());
}

}  // namespace
}  // namespace parity
