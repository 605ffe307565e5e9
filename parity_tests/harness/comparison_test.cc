#include "parity_tests/harness/comparison.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "parity_tests/harness/native_backend.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const ProfileChoice kShipped = {.file = PARITY_SOURCE_DIR "/fixtures/thresholds.json"};

Request Hello() {
  Request request;
  request.model = PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf";
  request.prompt = request.text = "In the beginning";
  request.max_tokens = 2;
  request.threads = 1;
  return request;
}

TEST(Comparison, ReportsWhatIsMissing) {
  Comparison missing("native", "recorded:/nonexistent/captures");
  const std::optional<RungResult> problem = missing.Probe();
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->status, Status::kFail);
  EXPECT_THAT(problem->message, HasSubstr("/nonexistent/captures"));
  EXPECT_FALSE(Comparison("native", "native").Probe().has_value());
  EXPECT_THROW(Comparison("native", "gguf.cpp"), std::runtime_error);
}

TEST(Comparison, TheFairProfileDependsOnTheReferencesBuild) {
  const Comparison native("native", "native"), other("exec:/bin/true", "native");
  const ClimbOptions options = {.profile = kShipped};
  std::string note;
  Captures captures;
  captures.reference.backend.name = "llama.cpp";
  captures.reference.backend.simd = "zen4";
  captures.candidate.backend.build = "arithmetic of llama.cpp-avx512-bf16";
  EXPECT_EQ(native.Limits(captures, options, &note).profile.name, "strict");
  EXPECT_EQ(note, "");
  captures.reference.backend.simd = "sse42";
  EXPECT_EQ(other.Limits(captures, options, &note).profile.name, "strict");
  EXPECT_EQ(note, "");
  EXPECT_EQ(native.Limits(captures, options, &note).profile.name, "cosine");
  EXPECT_THAT(note, HasSubstr("\"sse42\" build"));
  // A build that the engine follows, and did not: it does not with these weights.
  captures.reference.backend.simd = "armv8.2_1";
  EXPECT_EQ(native.Limits(captures, options, &note).profile.name, "cosine");
  EXPECT_THAT(note, HasSubstr("does not follow with weights of all types of this model"));
  // What a user names counts.
  EXPECT_EQ(native.Limits(captures, {.profile = {.file = kShipped.file, .name = "exact"}}, &note).profile.name,
            "exact");
}

TEST(Comparison, EqualEnginesReachTheTopAndNeedNoExplanation) {
  Comparison comparison("native", "native");
  std::vector<std::string> said;
  comparison.progress = [&said](const std::string& what) { said.push_back(what); };
  const Climbed climbed = comparison.Climb(Hello(), {.profile = kShipped, .explain = true});
  EXPECT_TRUE(climbed.verdict.parity());
  ASSERT_TRUE(climbed.captures.has_value());
  EXPECT_EQ(climbed.captures->candidate.generated.size(), 2u);
  EXPECT_FALSE(climbed.explanation.has_value());
  EXPECT_THAT(said, ElementsAre("running native ...", "running native ..."));
}

// An engine that reads the prompt without its first token.
class Forgetful : public Backend {
 public:
  std::string name() const override { return "forgetful"; }
  ProbeResult Probe() override { return {}; }
  std::string Identity(const FileHasher&) override { return "forgetful"; }
  Capture Run(const Request& request) override {
    Request shorter = request;
    shorter.add_special = false;
    Capture capture = MakeNativeBackend()->Run(shorter);
    capture.request = request;
    return capture;
  }
};

TEST(Comparison, WhereAStageFailsItIsExplained) {
  std::vector<std::string> known;
  Comparison comparison(
      [&known](const BackendInfo& reference) {
        known.push_back(reference.name);
        return std::make_unique<Forgetful>();
      },
      "native");
  const Climbed climbed = comparison.Climb(Hello(), {.profile = kShipped, .explain = true});
  EXPECT_THAT(known, ElementsAre("", "native"));
  EXPECT_EQ(climbed.verdict.failed_rung(), Rung::kTokens);
  ASSERT_TRUE(climbed.explanation.has_value());
  ASSERT_FALSE(climbed.explanation->diagnosis.causes.empty());
  EXPECT_EQ(climbed.explanation->diagnosis.causes[0].id, "bos_missing");
  EXPECT_FALSE(comparison.Climb(Hello(), {.profile = kShipped}).explanation.has_value());
}

TEST(Comparison, WhatAnEngineCannotDoIsAVerdict) {
  Climbed climbed = Comparison("native", "exec:exit 3 #").Climb(Hello(), {.profile = kShipped, .expected = "exact"});
  EXPECT_EQ(climbed.verdict.failed_rung(), Rung::kPreflight);
  EXPECT_EQ(climbed.verdict.profile.name, "exact");
  EXPECT_TRUE(climbed.not_supported);
  EXPECT_FALSE(climbed.captures.has_value());
  climbed = Comparison("exec:exit 4 #", "native").Climb(Hello(), {.profile = kShipped});
  EXPECT_FALSE(climbed.not_supported);
  EXPECT_THAT(climbed.verdict.rung(Rung::kPreflight).message,
              AllOf(StartsWith("candidate exec:exit 4 #: "), HasSubstr("exited with code 4")));
}

// A sound engine that takes the second best of two tokens that nearly tie, and another text from there on; behind the
// tie its logits are off by `error`.
class CoinTosser : public Backend {
 public:
  explicit CoinTosser(float error) : error_(error) {}
  std::string name() const override { return "coin tosser"; }
  ProbeResult Probe() override { return {}; }
  std::string Identity(const FileHasher&) override { return "coin tosser"; }
  Capture Run(const Request& request) override {
    Capture capture = MakeNativeBackend()->Run(request);
    if (request.token_ids) {
      for (float& logit : capture.decode_logits.data) logit += error_;
      return capture;
    }
    float* row = capture.decode_logits.data.data() + capture.decode_logits.cols;
    int32_t& taken = capture.generated[1];
    int32_t second = taken == 0 ? 1 : 0;
    for (int32_t id = 0; id < capture.decode_logits.cols; ++id) {
      if (id != taken && row[id] > row[second]) second = id;
    }
    std::swap(row[taken], row[second]);
    taken = second;
    for (size_t i = 2; i < capture.generated.size(); ++i) capture.generated[i] = 7;
    return capture;
  }

 private:
  float error_;
};

TEST(Comparison, BehindATieBothGoOnWithTheReferencesToken) {
  ClimbOptions options = {.profile = kShipped};
  options.profile.thresholds = {"decode.tie=100"};
  Request request = Hello();
  request.max_tokens = 6;
  Comparison sound([](const BackendInfo&) { return std::make_unique<CoinTosser>(0.0f); }, "native");
  Climbed climbed = sound.Climb(request, options);
  const RungResult* decode = &climbed.verdict.rung(Rung::kDecode);
  EXPECT_EQ(decode->status, Status::kPass) << decode->message;
  EXPECT_EQ(decode->compared, "5 greedy tokens equal, 1 tie at which both went on with the reference's token");
  EXPECT_EQ(decode->rows.size(), 5u);
  EXPECT_EQ(decode->PositionOf(1), 2);  // token 1 is the tie

  Comparison wrong([](const BackendInfo&) { return std::make_unique<CoinTosser>(1.0f); }, "native");
  climbed = wrong.Climb(request, options);
  decode = &climbed.verdict.rung(Rung::kDecode);
  EXPECT_EQ(decode->status, Status::kFail);
  EXPECT_THAT(decode->message, HasSubstr("behind the tie at generated token 1"));
}

// The candidate's own file: other bytes are no reason to stop, other values are named.
TEST(Comparison, TheCandidateMayReadItsOwnFile) {
  const std::string models = PARITY_BINARY_DIR "/fixtures/models/";
  Comparison comparison("native:llama.cpp-avx512", "native:llama.cpp-avx512");
  Request request = Hello();
  comparison.UseCandidateModel(models + "kjv-bitnet.tq1_0.gguf", request.model);
  Climbed climbed = comparison.Climb(request, {});
  EXPECT_TRUE(climbed.verdict.parity());
  EXPECT_EQ(climbed.captures->candidate.model.path, models + "kjv-bitnet.tq1_0.gguf");
  EXPECT_THAT(climbed.verdict.rung(Rung::kPreflight).notes, Contains(HasSubstr("values of all")));

  comparison.UseCandidateModel(models + "kjv-bitnet-b1.58.tq2_0.gguf", request.model);
  climbed = comparison.Climb(request, {});
  EXPECT_EQ(climbed.verdict.failed_rung(), Rung::kPreflight);
  EXPECT_THAT(climbed.verdict.rung(Rung::kPreflight).message,
              HasSubstr("general.architecture: candidate \"bitnet-b1.58\", reference \"bitnet\""));
  EXPECT_THAT(climbed.verdict.rung(Rung::kPreflight).notes, Contains(HasSubstr("First token_embd.weight")));
}

}  // namespace
}  // namespace parity
