// What the forward pass shows at its tracepoints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <tuple>
#include <vector>

#include "engine/model/model.h"
#include "engine/model/model_for_test.h"

namespace bitnet {
namespace {

struct Kept {
  size_t rows, cols;
  std::vector<float> data;
};

class KeepingSink : public TraceSink {
 public:
  bool Wants(Point point, int layer) const override { return !only || point == *only; }
  void OnTensor(const TracedTensor& t) override {
    sequence.push_back({t.point, t.layer});
    const bool is_new =
        tensors.emplace(std::tuple(t.point, t.layer, t.position), Kept{t.rows, t.cols, {t.data.begin(), t.data.end()}})
            .second;
    EXPECT_TRUE(is_new) << PointName(t.point) << " twice";
  }
  std::optional<Point> only;
  std::vector<std::pair<Point, int>> sequence;
  std::map<std::tuple<Point, int, int>, Kept> tensors;
};

constexpr int32_t kTokens[] = {4, 8, 15, 16, 23};

class Trace : public ::testing::TestWithParam<std::tuple<const char*, bool>> {
 protected:
  Trace()
      : architecture_(std::get<0>(GetParam())),
        one_by_one_(std::get<1>(GetParam())),
        tiny_({.architecture = architecture_}),
        model_(Model::Load(tiny_.Write())) {}

  std::vector<float> LogitsWith(TraceSink* sink) const {
    Context context(model_, {.trace = sink});
    std::vector<float> logits(std::size(kTokens) * tiny_.shape.n_vocab);
    const size_t step = one_by_one_ ? 1 : std::size(kTokens);
    for (size_t i = 0; i < std::size(kTokens); i += step) {
      context.Forward(std::span(kTokens).subspan(i, step), LogitsFor::kAll,
                      std::span(logits).subspan(i * tiny_.shape.n_vocab));
    }
    return logits;
  }

  std::string architecture_;
  bool one_by_one_;
  TinyModel tiny_;
  Model model_;
};

TEST_P(Trace, ChangesNothingAndShowsEveryStageInOrder) {
  KeepingSink sink;
  EXPECT_EQ(LogitsWith(&sink), LogitsWith(nullptr));
  std::vector<std::pair<Point, int>> expected;
  const size_t passes = one_by_one_ ? std::size(kTokens) : 1;
  const size_t n = std::size(kTokens) / passes;
  const auto add = [&](int point, int layer) {
    const Point s = static_cast<Point>(point);
    if (!Exists(InfoOf(s), tiny_.Graph())) return;
    expected.insert(expected.end(), n, {s, layer});
  };
  for (size_t pass = 0; pass < passes; ++pass) {
    add(static_cast<int>(Point::kEmbeddings), -1);
    for (int layer = 0; layer < 2; ++layer) {
      for (int s = static_cast<int>(Point::kAttnNorm); s <= static_cast<int>(Point::kLayerOut); ++s) add(s, layer);
    }
    add(static_cast<int>(Point::kOutputNorm), -1);
    add(static_cast<int>(Point::kLogits), -1);
  }
  EXPECT_EQ(sink.sequence, expected);
}

TEST_P(Trace, TensorsHaveTheirShapesAndFitTogether) {
  KeepingSink sink;
  const std::vector<float> logits = LogitsWith(&sink);
  const auto at = [&](Point point, int layer, int position) { return sink.tensors.at({point, layer, position}); };
  const TinyShape& s = tiny_.shape;
  for (int i = 0; i < static_cast<int>(std::size(kTokens)); ++i) {
    const auto& embedding = tiny_.tensors.at("token_embd.weight").values;
    EXPECT_EQ(at(Point::kEmbeddings, -1, i).data, std::vector<float>(embedding.begin() + kTokens[i] * s.n_embd,
                                                                     embedding.begin() + (kTokens[i] + 1) * s.n_embd));
    EXPECT_EQ(at(Point::kLogits, -1, i).data,
              std::vector<float>(logits.begin() + i * s.n_vocab, logits.begin() + (i + 1) * s.n_vocab));
    for (int layer = 0; layer < 2; ++layer) {
      EXPECT_EQ(at(Point::kKProj, layer, i).cols, s.n_embd / s.n_head * s.n_head_kv);
      EXPECT_EQ(at(Point::kFfnGate, layer, i).cols, s.n_ff);
      EXPECT_EQ(at(Point::kFfnDown, layer, i).cols, s.n_embd);
      const Kept softmax = at(Point::kAttnScoresSoftmax, layer, i);
      const Kept scores = at(Point::kAttnScores, layer, i);
      ASSERT_EQ(scores.rows, s.n_head);
      ASSERT_EQ(softmax.rows, s.n_head);
      ASSERT_EQ(softmax.cols, static_cast<size_t>(i + 1)) << "keys attended";
      for (size_t head = 0; head < s.n_head; ++head) {
        const auto row = softmax.data.begin() + head * softmax.cols;
        EXPECT_NEAR(std::accumulate(row, row + softmax.cols, 0.0), 1.0, 1e-5);
      }
      // layer_out = ffn_inp + ffn_down
      const Kept in = at(Point::kFfnInp, layer, i), down = at(Point::kFfnDown, layer, i);
      const Kept out = at(Point::kLayerOut, layer, i);
      for (size_t k = 0; k < s.n_embd; ++k) ASSERT_EQ(out.data[k], down.data[k] + in.data[k]);
    }
  }
}

TEST_P(Trace, ShowsOnlyWhatIsWanted) {
  KeepingSink all;
  LogitsWith(&all);
  for (int s = 0; s < kPointCount; ++s) {
    KeepingSink sink;
    sink.only = static_cast<Point>(s);
    LogitsWith(&sink);
    for (const auto& [key, kept] : sink.tensors) {
      EXPECT_EQ(std::get<0>(key), static_cast<Point>(s));
      EXPECT_EQ(kept.data, all.tensors.at(key).data) << PointName(static_cast<Point>(s));
    }
    EXPECT_EQ(sink.tensors.empty(), !Exists(InfoOf(*sink.only), tiny_.Graph())) << PointName(*sink.only);
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, Trace, ::testing::Combine(::testing::Values("bitnet", "llama"), ::testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) +
                                  (std::get<1>(info.param) ? "_steps" : "_batch");
                         });

}  // namespace
}  // namespace bitnet
