// Replay on captures of the native engine: every operation follows from its own inputs, and one number that does not is
// found where it is.
#include "parity_tests/locate/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <span>

#include "fixtures/generate.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/oracle/arithmetic.h"
#include "reference/capture/npy.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

using testing::HasSubstr;

class ReplayTest : public testing::Test {
 protected:
  ReplayTest() {
    GenerateOptions options;
    options.output = directory_.path() + "/tiny.gguf";
    options.n_layer = 2;
    options.n_vocab = 60;
    GenerateModel(options);
    model_.emplace(bitnet::Model::Load(options.output));
    Request request;
    request.model = options.output;
    request.token_ids = {5, 17, 59, 0};
    request.max_tokens = 2;
    request.trace = "full";
    request.raw_tensors = true;
    request.n_ubatch = 3;
    request.threads = 1;
    capture_ = backend_->Run(request);
  }

  const bitnet::ArithmeticOrder& order() const { return bitnet::FindOrder("llama.cpp-avx512"); }

  // Changes one number of a traced tensor.
  void Spoil(Point point, int layer, int position, size_t index, float by) {
    Change(point, layer, position, [=](std::span<float> row) { row[index] += by; });
  }

  void Change(Point point, int layer, int position, const std::function<void(std::span<float>)>& change) {
    for (TraceRecord& r : capture_.traces) {
      if (r.point != point || r.layer != layer || r.position != position) continue;
      std::vector<float> data = ReadTensor(capture_, r);
      change(data);
      WriteNpy(capture_.directory + "/" + r.tensor_file, r.shape, data);
      FillHashAndRms(&r, data);
      return;
    }
    FAIL() << "not traced: " << PointName(point);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Backend> backend_ = MakeNativeBackend("llama.cpp-avx512");
  std::optional<bitnet::Model> model_;
  Capture capture_;
};

TEST_F(ReplayTest, EveryOperationFollowsFromItsInputs) {
  Replay replay(*model_, capture_, order());
  for (int layer = -1; layer < 2; ++layer) {
    for (const ReplayResult& r : replay.Layer(layer)) {
      EXPECT_EQ(r.verdict, ReplayVerdict::kExact) << PlaceText(layer, r.place.point);
      EXPECT_GT(r.elements, 0);
    }
  }
  EXPECT_EQ(replay.Layer(0).size(), 19u);
}

TEST_F(ReplayTest, OneWrongNumberIsGuiltyWhereItIsMadeAndNowhereElse) {
  Spoil(Point::kFfnUp, 1, 2, 7, 0.5f);
  Replay replay(*model_, capture_, order());
  const ReplayResult made = replay.Operation(Point::kFfnUp, 1);
  EXPECT_EQ(made.verdict, ReplayVerdict::kGuilty);
  EXPECT_EQ(made.differing, 1);
  EXPECT_EQ(made.place, (Place{2, 1, Point::kFfnUp}));
  EXPECT_EQ(made.index, 7);
  EXPECT_EQ(made.first_wrong, 2);
  EXPECT_NEAR(made.reference - made.ours, 0.5f, 1e-5f);
  // What reads it no longer follows from it; everything else does.
  EXPECT_EQ(replay.Operation(Point::kFfnAct, 1).verdict, ReplayVerdict::kGuilty);
  EXPECT_EQ(replay.Operation(Point::kFfnGate, 1).verdict, ReplayVerdict::kExact);
  EXPECT_EQ(replay.Operation(Point::kFfnDown, 1).verdict, ReplayVerdict::kExact);
}

// A key of an early position is an input of every later one's scores.
TEST_F(ReplayTest, KeysOfEarlierPositionsAreInputs) {
  Spoil(Point::kKRope, 0, 1, 3, 2.0f);
  Replay replay(*model_, capture_, order());
  EXPECT_EQ(replay.Operation(Point::kAttnScores, 0).first_wrong, 1);
  EXPECT_EQ(replay.Operation(Point::kAttnScoresSoftmax, 0).verdict, ReplayVerdict::kExact);
}

TEST_F(ReplayTest, ALastBitIsWithinTheTolerance) {
  Spoil(Point::kFfnDown, 0, 0, 0, 1e-7f);
  const ReplayResult r = Replay(*model_, capture_, order()).Operation(Point::kFfnDown, 0);
  EXPECT_EQ(r.verdict, ReplayVerdict::kWithin);
  EXPECT_EQ(r.first_guilty, -1);
}

// Activations that are not rounded to int8 are another arithmetic; a row that was made otherwise is wrong, wherever.
TEST_F(ReplayTest, EachRowByItselfIsUnroundedOrWrong) {
  const bitnet::WeightMatrix down = ParametersOf(*model_, Point::kFfnDown, 0).product.w;
  for (int position = 0; position < 4; ++position) {
    std::vector<float> input;
    Change(Point::kFfnSubNorm, 0, position, [&](std::span<float> row) { input.assign(row.begin(), row.end()); });
    Change(Point::kFfnDown, 0, position, [&](std::span<float> row) {
      const Values y = UnroundedProduct(down, input.data());
      std::copy(y.begin(), y.end(), row.begin());
    });
  }
  const auto operation = [this] { return Replay(*model_, capture_, order()).Operation(Point::kFfnDown, 0); };
  EXPECT_EQ(operation().verdict, ReplayVerdict::kGuilty);
  EXPECT_EQ(operation().first_wrong, -1);
  Change(Point::kFfnDown, 0, 2, [](std::span<float> row) {
    for (float& v : row) v *= 2;
  });
  EXPECT_EQ(operation().first_wrong, 2);
}

// A number without end has no rounding.
TEST_F(ReplayTest, WhatIsNotFiniteIsGuilty) {
  for (const float by : {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Spoil(Point::kFfnDown, 0, 1, 5, by);
    const ReplayResult r = Replay(*model_, capture_, order()).Operation(Point::kFfnDown, 0);
    EXPECT_EQ(r.verdict, ReplayVerdict::kGuilty);
    EXPECT_EQ(r.first_wrong, 1);
    EXPECT_EQ(r.index, 5);
  }
}

TEST_F(ReplayTest, NamesTheTensorThatIsMissing) {
  std::erase_if(capture_.traces, [](const TraceRecord& r) { return r.point == Point::kVProj && r.position == 1; });
  Replay replay(*model_, capture_, order());
  const ReplayResult r = replay.Operation(Point::kAttnOut, 1);
  EXPECT_EQ(r.verdict, ReplayVerdict::kNotTraced);
  EXPECT_EQ(r.missing, "t1/blk1/v_proj");
}

TEST_F(ReplayTest, RefusesWhatCannotBeReplayed) {
  const auto refusal = [&](const Capture& capture) -> std::string {
    try {
      Replay replay(*model_, capture, order());
      return "";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  };
  Capture untraced = capture_, hashes = capture_, other = capture_, beyond = capture_;
  untraced.traces.clear();
  for (TraceRecord& r : hashes.traces) r.tensor_file.clear();
  other.model.architecture = "gpt2";
  beyond.traces.front().position = 99;
  EXPECT_THAT(refusal(untraced), HasSubstr("traces: found none"));
  EXPECT_THAT(refusal(hashes), HasSubstr("tensors: found none"));
  EXPECT_THAT(refusal(other), HasSubstr("found gpt2"));
  EXPECT_THAT(refusal(beyond), HasSubstr("found position 99"));
}

}  // namespace
}  // namespace parity
