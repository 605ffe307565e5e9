// Bisection of the native engine against itself, where the candidate's capture is changed behind one tensor as a fault
// would change it.
#include "parity_tests/locate/bisect.h"
#include "parity_tests/judge/ladder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fixtures/generate.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/harness/own_model.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/locate/noise.h"
#include "reference/capture/capture_writer.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

using testing::HasSubstr;

constexpr int kLayers = 3;

struct Fault {
  int position = 0;
  int layer = -1;
  Point point = Point::kUnknown;
  bool tokens = false;       // another token id instead
  bool flickers = false;     // logits differ from run to run
  bool logits_only = false;  // no traces
  bool no_tokens = false;    // generates none of the two asked for
  bool padded = false;       // traces attn_scores in twice their size
  std::string order = {};    // of the engine underneath
};

// The native engine, whose tensors at the fault and behind it, and logits, are half as large again.
class FaultyBackend : public Backend {
 public:
  FaultyBackend(Fault fault, std::string directory)
      : fault_(std::move(fault)), directory_(std::move(directory)), native_(MakeNativeBackend(fault_.order)) {}
  std::string name() const override { return "faulty"; }
  ProbeResult Probe() override { return native_->Probe(); }
  std::string Identity(const FileHasher&) override { return "faulty"; }
  Capture Run(const Request& request) override {
    ++runs;
    Capture c = native_->Run(request);
    c.backend.name = "faulty";
    if (fault_.tokens && c.tokens.size() > 2) c.tokens[2] ^= 1;
    if (fault_.no_tokens) {
      c.generated.clear();
      c.generated_pieces.clear();
      c.decode_logits = {0, c.logits.cols, {}};
    }
    const float by = fault_.flickers ? 1.5f + 0.1f * static_cast<float>(runs) : 1.5f;
    for (int64_t row = fault_.position; row < c.logits.rows; ++row) {
      for (int64_t i = 0; i < c.logits.cols; ++i) c.logits.data[static_cast<size_t>(row * c.logits.cols + i)] *= by;
    }
    if (c.traces.empty()) return c;
    if (fault_.logits_only) {
      c.traces.clear();
      return c;
    }
    TraceRecord at;
    at.position = fault_.position;
    at.layer = fault_.layer;
    at.point = fault_.point;
    CaptureWriter writer(directory_ + "/" + std::to_string(runs));
    for (const TraceRecord& r : c.traces) {
      std::vector<float> data;
      TraceRecord key = r;
      key.name.clear();
      const bool changed = ComputationOrder(key) >= ComputationOrder(at) && r.position >= fault_.position;
      if (!r.tensor_file.empty()) {
        data = ReadTensor(c, r);
        if (changed) {
          for (float& x : data) x *= 1.5f;
        }
        std::vector<int64_t> shape = r.shape;
        if (fault_.padded && r.point == Point::kAttnScores) {
          data.resize(2 * data.size());
          shape = {static_cast<int64_t>(data.size())};
        }
        writer.AddTensor(r.position, r.layer, r.point, shape, data, true);
      } else {
        // Without the numbers a hash of something else will do.
        const float other = fault_.flickers ? 2.0f + static_cast<float>(runs) : 2.0f;
        data.assign(static_cast<size_t>(r.num_elements), changed ? other : 1.0f);
        TraceRecord record = r;
        if (changed) record.blake3 = MakeTraceRecord(r.position, r.layer, r.stage, r.shape, data).blake3;
        kept_.push_back(record);
      }
    }
    c.traces = std::exchange(kept_, {});
    const std::string target = directory_ + "/" + std::to_string(runs);
    writer.Finish(c);
    return ReadCapture(target);
  }
  int runs = 0;

 private:
  Fault fault_;
  std::string directory_;
  std::vector<TraceRecord> kept_;
  std::unique_ptr<Backend> native_;
};

class BisectTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = new TemporaryDirectory;
    GenerateOptions options;
    options.output = root_->path() + "/tiny.gguf";
    options.n_vocab = 300;
    options.n_layer = kLayers;
    GenerateModel(options);
  }
  static void TearDownTestSuite() { delete root_; }

  static Request TinyRequest() {
    Request request;
    request.model = root_->path() + "/tiny.gguf";
    request.token_ids = {5, 17, 299, 0, 123, 5, 77, 8};
    request.threads = 1;
    return request;
  }
  static Bisection Find(const Fault& fault, Schedule schedule = Schedule::kBatch) {
    static int counter = 0;
    const std::string directory = root_->path() + "/faulty" + std::to_string(counter++);
    std::filesystem::create_directories(directory + "/reference");
    FaultyBackend candidate(fault, directory);
    FaultyBackend reference({.position = 1000}, directory + "/reference");
    Request request = TinyRequest();
    request.schedule = schedule;
    if (fault.no_tokens) request.max_tokens = 2;
    const Bisection b = BisectIn(fault.padded ? "exact" : "strict", candidate, reference, request);
    EXPECT_EQ(b.captures, candidate.runs + reference.runs);
    return b;
  }
  // Both engines' answers to the whole request, what the ladder says of them in a profile, and the bisection.
  static Bisection BisectIn(const char* profile, Backend& candidate, Backend& reference, const Request& request) {
    Captures whole;
    whole.reference = reference.Run(request);
    whole.candidate = candidate.Run(request);
    const Verdict verdict =
        Climb(whole.candidate, whole.reference,
              {.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", profile), .piece_of = {}});
    const HeldModel held = HoldModel(request, whole.reference.backend);
    return Bisect(candidate, reference, request, whole, verdict, held.own);
  }

  static inline TemporaryDirectory* root_ = nullptr;
};

TEST_F(BisectTest, NamesPositionLayerAndOperation) {
  for (const Fault& fault : {Fault{.position = 0, .layer = 0, .point = Point::kAttnNorm},
                             Fault{.position = 4, .layer = 1, .point = Point::kFfnDown},
                             Fault{.position = 7, .layer = 2, .point = Point::kAttnScoresSoftmax},
                             Fault{.position = 5, .layer = -1, .point = Point::kEmbeddings},
                             Fault{.position = 3, .layer = -1, .point = Point::kOutputNorm},
                             Fault{.position = 2, .layer = -1, .point = Point::kLogits}}) {
    const Bisection b = Find(fault);
    EXPECT_EQ(b.verdict, BisectVerdict::kOperation) << PointName(fault.point) << ": " << b.message;
    EXPECT_EQ(b.prefix_length, fault.position + 1) << PointName(fault.point);
    EXPECT_EQ(b.place.position, fault.position) << PointName(fault.point);
    EXPECT_EQ(b.token, (*TinyRequest().token_ids)[static_cast<size_t>(fault.position)]);
    EXPECT_EQ(b.place.layer, fault.layer) << PointName(fault.point);
    EXPECT_EQ(b.place.point, fault.point);
    EXPECT_TRUE(b.inputs_equal);
    EXPECT_EQ(b.replay_candidate.verdict, ReplayVerdict::kGuilty) << PointName(fault.point);
    EXPECT_EQ(b.replay_reference.verdict, ReplayVerdict::kExact) << PointName(fault.point);
    // The whole, two prefixes at most, outputs of layers, one layer: each from both engines.
    EXPECT_LE(b.captures, 10) << PointName(fault.point);
  }
}

TEST_F(BisectTest, ATokenAtATime) {
  const Bisection b = Find({.position = 6, .layer = 1, .point = Point::kQRope}, Schedule::kTokenByToken);
  EXPECT_EQ(b.verdict, BisectVerdict::kOperation) << b.message;
  EXPECT_EQ(b.place.position, 6);
  EXPECT_EQ(b.place.layer, 1);
  EXPECT_EQ(b.place.point, Point::kQRope);
}

TEST_F(BisectTest, WhatIsNoOperation) {
  EXPECT_EQ(Find({.position = 100, .layer = 0, .point = Point::kLogits}).verdict, BisectVerdict::kNoDivergence);
  const Bisection tokens = Find({.position = 0, .layer = -1, .point = Point::kEmbeddings, .tokens = true});
  EXPECT_EQ(tokens.verdict, BisectVerdict::kTokens);
  EXPECT_EQ(tokens.place.position, 2);
  EXPECT_EQ(tokens.token, 299);
  EXPECT_EQ(tokens.candidate_token, 298);
  EXPECT_EQ(tokens.captures, 2);
  const Bisection flickering = Find({.position = 1, .layer = 0, .point = Point::kQProj, .flickers = true});
  EXPECT_EQ(flickering.verdict, BisectVerdict::kNotReproducible);
  EXPECT_EQ(flickering.place.position, 1);
  EXPECT_EQ(flickering.place.layer, 0);
  EXPECT_EQ(flickering.place.point, Point::kQProj);
  const Bisection blind = Find({.position = 1, .layer = 0, .point = Point::kQProj, .logits_only = true});
  EXPECT_EQ(blind.verdict, BisectVerdict::kNotTraced);
  EXPECT_EQ(blind.prefix_length, 2);
}

// What foreign engines leave behind: no token where two were asked for, tensors of another size.
TEST_F(BisectTest, CapturesThatAreNotWhole) {
  const Bisection none = Find({.position = 1000, .no_tokens = true});
  EXPECT_EQ(none.verdict, BisectVerdict::kNotTraced);
  EXPECT_EQ(none.failed_rung, Rung::kDecode);
  EXPECT_THAT(none.message, HasSubstr("generated"));
  const Bisection padded = Find({.position = 1000, .padded = true, .order = "llama.cpp-avx2"});
  EXPECT_EQ(padded.verdict, BisectVerdict::kRounding) << padded.message;
  EXPECT_THAT(padded.steps.back(), HasSubstr("6 were not traced"));  // scores and softmax of each layer
}

TEST_F(BisectTest, AnotherOrderOfAdditionsIsRounding) {
  const std::unique_ptr<Backend> candidate = MakeNativeBackend("llama.cpp-avx2"), reference = MakeNativeBackend();
  const Bisection b = BisectIn("exact", *candidate, *reference, TinyRequest());
  EXPECT_EQ(b.verdict, BisectVerdict::kRounding) << b.message;
}

TEST_F(BisectTest, TheNoiseFloorOfADeterministicEngine) {
  const std::unique_ptr<Backend> reference = MakeNativeBackend();
  const NoiseFloor floor = MeasureNoise(*reference, TinyRequest(), {});
  EXPECT_EQ(floor.captures, 6);
  ASSERT_EQ(floor.rows.size(), 5u);
  for (const NoiseRow& row : floor.rows) {
    EXPECT_EQ(row.worst.rows(), 8) << row.what;
    if (row.like_schedules) {
      EXPECT_EQ(row.worst.identical_share(), 1) << row.what;
    }
  }
  // A batch adds in another order than a single position.
  EXPECT_LT(floor.All().identical_share(), 1);
  EXPECT_GT(floor.All().value(Metric::kMaxAbs), 0);

  Verdict verdict;
  verdict.profile.limits[Rung::kPositions] = {{Metric::kMaxAbs, floor.All().value(Metric::kMaxAbs) / 2}};
  EXPECT_THAT(NoiseNotes(floor, verdict),
              testing::ElementsAre(HasSubstr("positions limits lie below the noise floor")));
  verdict.profile.limits[Rung::kPositions] = {{Metric::kMaxAbs, floor.All().value(Metric::kMaxAbs) * 2}};
  EXPECT_TRUE(NoiseNotes(floor, verdict).empty());
}

}  // namespace
}  // namespace parity
