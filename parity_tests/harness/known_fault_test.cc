#include "parity_tests/harness/known_fault.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/kernels/order.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/mistakes/mistake.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/known_faults.h"

namespace parity {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr const char* kNewBuild = "libllama.so, commit 16da220; AVX2 = 1 | REPACK = 1 | ";
constexpr const char* kOldBuild = "libllama.so, commit 6d113cd, clang version 19; AVX2 = 1 | ";
const std::string kModels = PARITY_SOURCE_DIR "/fixtures/models/";

class KnownFaultTest : public testing::Test {
 protected:
  KnownFaultTest() {
    request_.model = kModels + "kjv-bitnet-b1.58.tq2_0.gguf";
    request_.prompt = request_.text = "In the beginning";
    request_.max_tokens = 3;
    request_.threads = 1;
  }
  // What a build of bitnet.cpp that computes with `activation` gives.
  Capture Answer(bitnet::Activation activation, const std::string& build) const {
    const auto change = [=](const bitnet::Model&, Point point, int, Parameters& p) {
      if (point == Point::kFfnAct) p.gate.activation = activation;
    };
    Capture capture = MakeOracleBackend({.kernels = true, .change = change})->Run(request_);
    capture.backend = {.name = "bitnet.cpp", .version = "abcdef0", .build = build, .simd = "avx2", .threads = 1};
    return capture;
  }
  Request request_;
};

TEST_F(KnownFaultTest, IsProvenByWhatTheReferenceGave) {
  const Capture reference = Answer(bitnet::Activation::kSilu, kNewBuild);
  const auto found = FindKnownFault(request_, reference);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->fault.id, "bitnet.cpp#588");
  EXPECT_EQ(found->fault.point, Point::kFfnAct);
  EXPECT_THAT(found->fault.proof, HasSubstr("bit for bit"));
  EXPECT_EQ(found->corrected.logits.data, MakeNativeBackend()->Run(request_).logits.data);
}

TEST_F(KnownFaultTest, IsNotSaidWhereTheOutputsDoNotShowIt) {
  EXPECT_FALSE(FindKnownFault(request_, Answer(bitnet::Activation::kSquaredRelu, kNewBuild)));
  EXPECT_FALSE(FindKnownFault(request_, Answer(bitnet::Activation::kGelu, kNewBuild)));
}

TEST_F(KnownFaultTest, IsNotSaidOfAnotherBuild) {
  EXPECT_FALSE(FindKnownFault(request_, Answer(bitnet::Activation::kSilu, kOldBuild)));
  Capture other = Answer(bitnet::Activation::kSilu, kNewBuild);
  other.backend.name = "llama.cpp";
  EXPECT_FALSE(FindKnownFault(request_, other));
}

TEST_F(KnownFaultTest, TheLadderSaysItAndGoesOnBesideIt) {
  TemporaryDirectory directory;
  WriteCapture(Answer(bitnet::Activation::kSilu, kNewBuild), directory.path() + "/reference");
  Comparison comparison("native:llama.cpp-avx512", "recorded:" + directory.path());
  const Climbed stopped = comparison.Climb(request_, {.profile = {.name = "exact"}});
  EXPECT_EQ(stopped.verdict.failed_rung(), Rung::kFirstLogit);
  EXPECT_EQ(stopped.verdict.at_fault, AtFault::kReference);
  ASSERT_TRUE(stopped.verdict.known_fault.has_value());
  EXPECT_FALSE(stopped.verdict.known_fault->accepted);
  EXPECT_THAT(stopped.verdict.notes, Contains(HasSubstr("issues/588")));
  EXPECT_EQ(ExitCode(stopped.verdict), 1);

  const Climbed accepted = comparison.Climb(request_, {.profile = {.name = "exact"}, .accept_known_faults = true});
  EXPECT_TRUE(accepted.verdict.parity());
  EXPECT_TRUE(accepted.verdict.known_fault->accepted);
  EXPECT_EQ(accepted.verdict.known_fault->without, Rung::kFirstLogit);
  EXPECT_EQ(ExitCode(accepted.verdict), 0);
}

// A candidate that is wrong too is told so.
TEST_F(KnownFaultTest, AcceptingItExcusesNoOtherFault) {
  TemporaryDirectory directory;
  WriteCapture(Answer(bitnet::Activation::kSilu, kNewBuild), directory.path() + "/reference");
  Comparison comparison(
      [](const BackendInfo&) {
        return MakeOracleBackend({.mistake = "rope_base", .layer = OracleSpec::kEveryLayer, .kernels = true});
      },
      "recorded:" + directory.path());
  const Climbed climbed = comparison.Climb(request_, {.explain = true, .accept_known_faults = true});
  EXPECT_EQ(ExitCode(climbed.verdict), 1);
  EXPECT_EQ(climbed.verdict.at_fault, AtFault::kCandidate);
  ASSERT_TRUE(climbed.explanation.has_value());
  const std::vector<Cause>& causes = climbed.explanation->diagnosis.causes;
  ASSERT_FALSE(causes.empty());
  EXPECT_EQ(causes[0].id, "rope_base");  // and nothing of the reference's fault
  EXPECT_TRUE(std::none_of(causes.begin(), causes.end(), [](const Cause& c) { return c.id == "activation_function"; }));
}

// Whatever order the candidate follows, and whoever the reference says it is: what exceeds all that rounding can do is
// never called rounding.
TEST_F(KnownFaultTest, NoOrderMakesAFaultOfTheReferenceRounding) {
  request_.trace = "full";
  request_.raw_tensors = true;
  const TemporaryDirectory directory;
  const auto silu = [](const bitnet::Model&, Point point, int, Parameters& p) {
    if (point == Point::kFfnAct) p.gate.activation = bitnet::Activation::kSilu;
  };
  MakeOracleBackend({.kernels = true, .change = silu})->RunTo(request_, directory.path() + "/reference");
  request_.trace = "none";
  request_.raw_tensors = false;
  for (const bitnet::ArithmeticOrder& order : bitnet::AllOrders()) {
    SCOPED_TRACE(order.name);
    Comparison comparison(fmt::format("native:{}", order.name), "recorded:" + directory.path());
    const Climbed climbed = comparison.Climb(request_, {.explain = true});
    EXPECT_FALSE(climbed.verdict.known_fault.has_value());  // it is of no engine that is known
    EXPECT_EQ(climbed.verdict.at_fault, AtFault::kReference);
    ASSERT_TRUE(climbed.explanation.has_value());
    const std::vector<Cause>& causes = climbed.explanation->diagnosis.causes;
    ASSERT_FALSE(causes.empty());
    EXPECT_EQ(causes[0].id, "activation_function");
    EXPECT_EQ(causes[0].certainty, Certainty::kCertain);
  }
}

// Whether the way of a fault is one of its mistake, at an operation of a model of its architecture.
bool HasWay(const KnownFault& fault) {
  const std::string architecture(fault.architecture.empty() ? "bitnet-b1.58" : fault.architecture);
  Request request;
  request.model = fmt::format("{}kjv-{}.tq2_0.gguf", kModels, architecture);
  const std::shared_ptr<const LoadedModel> loaded = LoadModel(SourceOf(request));
  const Mistake& mistake = FindMistake(fault.mistake);
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    const bool there = fault.point == Point::kUnknown || fault.point == info.point;
    if (!there || !mistake.points.Has(info.point)) continue;
    for (const Change& change : mistake.changes({loaded->model, info.point, info.in_layer ? 0 : -1, 0})) {
      if (change.how == fault.way) return true;
    }
  }
  return false;
}

TEST(KnownFaults, NameRowsOfTheTableOfMistakes) {
  for (const KnownFault& fault : AllKnownFaults()) {
    EXPECT_NE(fault.what, "") << fault.id;
    if (fault.mistake.empty()) continue;
    ASSERT_NO_THROW(FindMistake(fault.mistake)) << fault.id;
    EXPECT_TRUE(HasWay(fault)) << fault.id << ": '" << fault.way << "' is no way of " << fault.mistake;
  }
  KnownFault misspelt = AllKnownFaults().front();
  misspelt.way = "SiLU in the place of squared ReLU";
  EXPECT_FALSE(HasWay(misspelt));
  const BackendInfo old_build{.name = "bitnet.cpp", .version = "", .build = kOldBuild, .simd = ""};
  ASSERT_EQ(KnownFaultsOf(old_build).size(), 1u);
  EXPECT_EQ(KnownFaultsOf(old_build)[0].id, "bitnet.cpp-narrow-sums");
  const auto id_of = [](const char* build) {
    return KnownFaultsOf({.name = "bitnet.cpp", .version = "", .build = build, .simd = ""}).back().id;
  };
  EXPECT_EQ(id_of("libllama.so; AVX2 = 0 | NEON = 1 | LLAMAFILE = 1"), "bitnet.cpp-arm-batch");
  EXPECT_EQ(id_of("libllama.so; AVX2 = 0 | NEON = 1 | LLAMAFILE = 1 | TL1 = 1"), "bitnet.cpp-tl1-memory");
  EXPECT_EQ(id_of("libllama.so; AVX2 = 1 | NEON = 0 | LLAMAFILE = 1 | TL2 = 1"), "bitnet.cpp-tl2-batch");
  // Nobody has looked at table kernels of a new build.
  EXPECT_NE(id_of("libllama.so; AVX2 = 1 | NEON = 0 | REPACK = 1 | TL2 = 1"), "bitnet.cpp-tl2-batch");
  EXPECT_THAT(Describe(KnownFaultsOf({.name = "bitnet.cpp", .version = "", .build = kNewBuild, .simd = ""})[0]),
              HasSubstr("since July 2026): https://github.com/microsoft/BitNet/issues/588"));
}

}  // namespace
}  // namespace parity
