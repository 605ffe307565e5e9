// Two orders of operations of the native engine: a divergence of rounding alone, explained live and from a record.
#include "parity_tests/diagnose/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>

#include "engine/gguf/gguf.h"
#include "fixtures/generate.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/harness/own_model.h"
#include "parity_tests/judge/ladder.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::HasSubstr;

class ExplainTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = new TemporaryDirectory;
    GenerateOptions options;
    options.output = root_->path() + "/tiny.gguf";
    options.n_vocab = 300;
    GenerateModel(options);
  }
  static void TearDownTestSuite() { delete root_; }

  static Request TinyRequest() {
    Request request;
    request.model = root_->path() + "/tiny.gguf";
    request.token_ids = {5, 17, 299, 0, 123};
    request.threads = 1;
    return request;
  }

  static Explanation ExplainBits(Backend& candidate, Backend& reference, const Request& request,
                                 const Captures& captures, const BisectOptions& options = {}) {
    const Verdict verdict = Climb(captures.candidate, captures.reference, {.profile = ExactProfile(), .piece_of = {}});
    const HeldModel held = HoldModel(request, captures.reference.backend);
    return Explain(candidate, reference, request, captures, verdict, held.own, options);
  }

  static inline TemporaryDirectory* root_ = nullptr;
};

TEST_F(ExplainTest, TheFirstBitWithItsElement) {
  const auto candidate = MakeNativeBackend("llama.cpp-avx2"), reference = MakeNativeBackend("llama.cpp-avx512");
  const Request request = TinyRequest();
  const Captures captures = {candidate->Run(request), reference->Run(request)};
  const Explanation e = ExplainBits(*candidate, *reference, request, captures, {.first_bit = true});
  ASSERT_TRUE(e.bisection) << e.not_bisected;
  const Bisection& b = *e.bisection;
  EXPECT_EQ(b.verdict, BisectVerdict::kRounding);
  EXPECT_EQ(b.place.position, 0);
  EXPECT_EQ(b.place.point, Point::kLogits);  // TQ2_0 adds eight lanes either way; the F16 head does not
  ASSERT_TRUE(b.difference && b.difference->raw);
  EXPECT_GT(b.difference->raw->differing, 0);
  EXPECT_NE(b.difference->raw->worst_a, b.difference->raw->worst_b);
  // The ladder's two, the candidate's repetition not among them; outputs of the layers, one layer.
  EXPECT_LE(b.captures, 6);
  ASSERT_FALSE(e.diagnosis.causes.empty());
  EXPECT_EQ(e.diagnosis.causes[0].id, "rounding");
}

// Fewer positions than the prompt has: what lies behind them is neither compared nor taken for another answer.
TEST_F(ExplainTest, TheFirstPositionsAlone) {
  const auto candidate = MakeNativeBackend("llama.cpp-avx2"), reference = MakeNativeBackend("llama.cpp-avx512");
  Request request = TinyRequest();
  request.positions = 2;
  const Captures captures = {candidate->Run(request), reference->Run(request)};
  const Explanation e = ExplainBits(*candidate, *reference, request, captures, {.first_bit = true});
  ASSERT_TRUE(e.bisection) << e.not_bisected;
  EXPECT_EQ(e.bisection->verdict, BisectVerdict::kRounding) << e.bisection->message;
  EXPECT_LT(e.bisection->place.position, 2);
}

TEST_F(ExplainTest, ARecordedReference) {
  const auto candidate = MakeNativeBackend("llama.cpp-avx2"), live = MakeNativeBackend("llama.cpp-avx512");
  Request traced = TinyRequest();
  traced.trace = "full";
  traced.raw_tensors = true;
  live->RunTo(traced, root_->path() + "/recorded");
  const auto reference = MakeEngine("recorded:" + root_->path() + "/recorded");
  EXPECT_FALSE(reference->live());
  const Request request = TinyRequest();
  const Captures captures = {candidate->Run(request), reference->Run(traced)};
  const Explanation e = ExplainBits(*candidate, *reference, request, captures);
  EXPECT_FALSE(e.bisection);
  EXPECT_THAT(e.not_bisected, HasSubstr("recorded"));
  EXPECT_EQ(e.location().position, 0);
  EXPECT_FALSE(e.location().point == Point::kUnknown);
}

// An engine that shows logits and nothing else.
class LogitsAlone : public Backend {
 public:
  explicit LogitsAlone(std::unique_ptr<Backend> engine) : engine_(std::move(engine)) {}
  std::string name() const override { return engine_->name(); }
  ProbeResult Probe() override { return engine_->Probe(); }
  std::string Identity(const FileHasher& hash) override { return engine_->Identity(hash); }
  Capture Run(const Request& request) override {
    Request silent = request;
    silent.trace = "none";
    silent.raw_tensors = false;
    return engine_->Run(silent);
  }

 private:
  std::unique_ptr<Backend> engine_;
};

TEST_F(ExplainTest, TheMistakeOfAnEngineThatShowsNoTensors) {
  LogitsAlone candidate(
      MakeOracleBackend({.mistake = "sub_norm_skipped", .layer = 1, .order = "llama.cpp-avx512", .kernels = true}));
  const auto reference = MakeNativeBackend("llama.cpp-avx512");
  const Request request = TinyRequest();
  const Captures captures = {candidate.Run(request), reference->Run(request)};
  const Explanation e = ExplainBits(candidate, *reference, request, captures);
  ASSERT_FALSE(e.diagnosis.causes.empty()) << e.not_diagnosed;
  EXPECT_EQ(e.diagnosis.causes[0].id, "sub_norm_skipped");
  EXPECT_EQ(e.diagnosis.causes[0].certainty, Certainty::kCertain);
  EXPECT_THAT(e.diagnosis.causes[0].evidence, HasSubstr("in layer 1"));
}

// A NaN in the file is no mistake of an engine, and no rounding.
TEST_F(ExplainTest, ANaNOfTheFileIsFollowedToItsTensor) {
  const std::string broken = root_->path() + "/nan.gguf";
  const bitnet::GgufFile file = bitnet::GgufFile::Open(root_->path() + "/tiny.gguf");
  bitnet::GgufWriter writer(broken);
  for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
  for (const bitnet::TensorInfo& t : file.tensors()) writer.DeclareTensor(t.name, t.type, t.shape);
  writer.WriteHeader();
  for (const bitnet::TensorInfo& t : file.tensors()) {
    std::vector<std::byte> data(file.Data(t).begin(), file.Data(t).end());
    const float nan = std::numeric_limits<float>::quiet_NaN();
    if (t.name == "blk.1.ffn_norm.weight") std::memcpy(data.data() + 7 * sizeof(float), &nan, sizeof(nan));
    writer.WriteTensor(data);
  }
  writer.Finish();
  const auto candidate = MakeNativeBackend("llama.cpp-avx2"), reference = MakeNativeBackend("llama.cpp-avx512");
  Request request = TinyRequest();
  request.model = broken;
  const Captures captures = {candidate->Run(request), reference->Run(request)};
  const Explanation e = ExplainBits(*candidate, *reference, request, captures);
  ASSERT_EQ(e.diagnosis.causes.size(), 1u);
  EXPECT_EQ(e.diagnosis.causes[0].id, "weights_not_finite");
  EXPECT_THAT(e.diagnosis.causes[0].evidence, HasSubstr("blk.1.ffn_norm.weight"));
  EXPECT_EQ(e.diagnosis.at_fault, AtFault::kUnknown);
}

// Candidate, reference, and our own computation of the model: two against one say who is wrong.
TEST_F(ExplainTest, WhichSideIsAtFault) {
  const auto sound = MakeNativeBackend("llama.cpp-avx512");
  const auto wrong =
      MakeOracleBackend({.mistake = "activation_function", .layer = 1, .order = "llama.cpp-avx512", .kernels = true});
  const Request request = TinyRequest();
  for (const bool reference_is_wrong : {true, false}) {
    Backend &candidate = reference_is_wrong ? *sound : *wrong, &reference = reference_is_wrong ? *wrong : *sound;
    const Captures captures = {candidate.Run(request), reference.Run(request)};
    const Explanation e = ExplainBits(candidate, reference, request, captures);
    EXPECT_EQ(e.diagnosis.at_fault, reference_is_wrong ? AtFault::kReference : AtFault::kCandidate);
    ASSERT_EQ(e.diagnosis.causes.size(), 1u);
    EXPECT_EQ(e.diagnosis.causes[0].id, "activation_function");
    EXPECT_EQ(e.location().point, Point::kFfnAct);
    EXPECT_EQ(e.location().layer, 1);
  }
  // Two orders of rounding: neither.
  const auto other = MakeNativeBackend("llama.cpp-avx2");
  const Captures captures = {other->Run(request), sound->Run(request)};
  EXPECT_EQ(ExplainBits(*other, *sound, request, captures).diagnosis.at_fault, AtFault::kNeither);
  // Unless it takes a token that is not its largest logit: no limit excuses that, whichever rung fails first.
  Request decoding = request;
  decoding.max_tokens = 2;
  Captures not_greedy = {other->Run(decoding), sound->Run(decoding)};
  EXPECT_EQ(ExplainBits(*other, *sound, decoding, not_greedy).diagnosis.at_fault, AtFault::kNeither);
  const auto changed = [&](const std::function<void(Capture&)>& change) {
    Captures other_answer = not_greedy;
    change(other_answer.candidate);
    return ExplainBits(*other, *sound, decoding, other_answer).diagnosis.at_fault;
  };
  // Nor where the answer is not what was traced: a factor behind the trace, a row in another's place, another decode.
  EXPECT_NE(changed([](Capture& c) { std::ranges::for_each(c.logits.data, [](float& x) { x *= 1.5f; }); }),
            AtFault::kNeither);
  EXPECT_NE(changed([](Capture& c) { std::copy_n(c.logits.row(1), c.logits.cols, c.logits.data.data()); }),
            AtFault::kNeither);
  EXPECT_NE(changed([](Capture& c) { c.decode_logits.data.back() -= 1e-3f; }), AtFault::kNeither);
  not_greedy.candidate.generated[1] = (not_greedy.candidate.generated[1] + 1) % 64;
  const Explanation e = ExplainBits(*other, *sound, decoding, not_greedy);
  EXPECT_NE(e.diagnosis.at_fault, AtFault::kNeither);
  ASSERT_FALSE(e.diagnosis.causes.empty());
  EXPECT_EQ(e.diagnosis.causes.front().id, "not_greedy");
}

}  // namespace
}  // namespace parity
