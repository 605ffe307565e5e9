#include "parity_tests/judge/ladder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/rungs.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

class LadderTest : public testing::Test {
 protected:
  LadderOptions Options(const std::string& profile = "strict") {
    LadderOptions options;
    options.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", profile);
    return options;
  }
  Verdict Climb(const std::string& profile = "strict") { return parity::Climb(candidate, reference, Options(profile)); }

  // Climbs, expects the first failure at `stage` and nothing above it reached, and returns that stage.
  RungResult ExpectFailureAt(Rung rung, const std::string& profile = "strict") {
    const Verdict verdict = Climb(profile);
    EXPECT_EQ(verdict.failed_rung(), rung);
    EXPECT_FALSE(verdict.parity());
    EXPECT_EQ(ExitCode(verdict), rung == Rung::kPreflight ? 2 : 1);
    for (const RungResult& result : verdict.rungs) {
      const Status expected = result.rung < rung    ? Status::kPass
                              : result.rung == rung ? Status::kFail
                                                    : Status::kNotReached;
      EXPECT_EQ(result.status, expected) << RungName(result.rung) << ": " << result.message;
    }
    return verdict.rung(rung);
  }

  Capture candidate = CaptureForTest("native");
  Capture reference = CaptureForTest("llama.cpp");
};

TEST_F(LadderTest, EqualCapturesPassEveryStageInEveryProfile) {
  for (const char* profile : {"strict", "cosine", "exact"}) {
    const Verdict verdict = Climb(profile);
    for (const RungResult& result : verdict.rungs) {
      EXPECT_EQ(result.status, Status::kPass) << profile << RungName(result.rung) << result.message;
      EXPECT_THAT(result.notes, IsEmpty()) << RungName(result.rung);
    }
    EXPECT_TRUE(verdict.parity());
    EXPECT_EQ(ExitCode(verdict), 0);
    EXPECT_EQ(Figures(verdict).identical_share(), 1.0);
    EXPECT_EQ(Figures(verdict).rows(), 6);
    EXPECT_EQ(verdict.rung(Rung::kDecode).compared, "4 of 4 greedy tokens equal");
  }
}

// Preflight.

TEST_F(LadderTest, CapturesOfTwoModelFilesAreAnError) {
  candidate.model.blake3[3] = 'b';
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("two model files"));
}

TEST_F(LadderTest, CapturesOfTwoRequestsAreAnError) {
  candidate.request.schedule = Schedule::kTokenByToken;
  EXPECT_EQ(ExpectFailureAt(Rung::kPreflight).message, "request.schedule: candidate token, reference batch");
  candidate.request = reference.request;
  candidate.request.text = "In the end";
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("\"In the end\", reference \"In the beginning\""));
  candidate.request = reference.request;
  candidate.request.max_tokens = 5;
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("max_tokens: candidate 5, reference 4"));
  candidate.request = reference.request;
  candidate.request.add_special = false;
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("add_special"));
  candidate.request = reference.request;
  candidate.request.token_ids = {1, 2};
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("token_ids given"));
  reference.request.token_ids = {1, 3};
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("two lists of ids"));
}

TEST_F(LadderTest, AModelWithoutAHashIsSaidAloud) {
  candidate.model.blake3.clear();
  EXPECT_THAT(Climb().rung(Rung::kPreflight).notes, Contains(HasSubstr("does not say by hash")));
}

// Tokens.

TEST_F(LadderTest, DuplicateBosStopsAtTokens) {
  candidate.tokens.insert(candidate.tokens.begin(), 60);
  candidate.pieces.insert(candidate.pieces.begin(), "<|begin_of_text|>");
  const RungResult result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 1);
  EXPECT_EQ(result.token, 11);
  EXPECT_EQ(result.token_text, "In");
  EXPECT_THAT(result.message, HasSubstr("candidate 60 \"<|begin_of_text|>\", reference 11 \"In\" (7 and 6 tokens)"));
  EXPECT_THAT(result.hints, ElementsAre(AllOf(HasSubstr("the candidate starts with"), HasSubstr("twice"))));
}

TEST_F(LadderTest, MissingAndWrongBosStopAtTokens) {
  candidate.tokens.erase(candidate.tokens.begin());
  candidate.pieces.erase(candidate.pieces.begin());
  EXPECT_THAT(ExpectFailureAt(Rung::kTokens).hints,
              ElementsAre(HasSubstr("the reference has one token more in front")));
  candidate = CaptureForTest("native");
  candidate.tokens[0] = 1;
  EXPECT_THAT(ExpectFailureAt(Rung::kTokens).hints, ElementsAre(HasSubstr("different ids for BOS")));
}

TEST_F(LadderTest, ShiftedIdsAreSeen) {
  for (int32_t& id : candidate.tokens) id += 3;
  const RungResult result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 0);
  EXPECT_THAT(result.hints, ElementsAre(HasSubstr("all 6 ids that differ are shifted by +3")));
}

TEST_F(LadderTest, OneTokenInTheMiddleGetsNoHint) {
  candidate.tokens[4] = 31;
  const RungResult result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 4);
  EXPECT_THAT(result.hints, IsEmpty());
}

TEST_F(LadderTest, ATokenMoreOrLessAtTheEnd) {
  candidate.tokens.push_back(61);
  candidate.pieces.push_back("<|end_of_text|>");
  RungResult result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 6);
  EXPECT_EQ(result.token, 61);
  EXPECT_THAT(result.message, HasSubstr("reference no token"));
  EXPECT_THAT(result.hints, ElementsAre(HasSubstr("the candidate goes on after the reference's end")));
  candidate.tokens.clear();
  candidate.pieces.clear();
  result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 0);
  EXPECT_THAT(result.message, HasSubstr("candidate no token"));
}

TEST_F(LadderTest, BosTwiceOnBothSidesIsSaidAloud) {
  for (Capture* capture : {&candidate, &reference}) {
    capture->tokens[1] = capture->tokens[0];
    capture->pieces[1] = capture->pieces[0];
  }
  const Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  EXPECT_THAT(verdict.rung(Rung::kTokens).notes, ElementsAre(HasSubstr("twice; is that meant?")));
}

// The ids are what the model reads, the pieces what a person reads.
TEST_F(LadderTest, OneIdWrittenInTwoWaysIsSaid) {
  candidate.pieces[2] = "Ġ" + candidate.pieces[2];
  candidate.generated_pieces[3].clear();  // says nothing
  Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  EXPECT_THAT(verdict.rung(Rung::kTokens).notes,
              ElementsAre(AllOf(HasSubstr("1 of 6 equal prompt ids"), HasSubstr("the first at 2"))));
  EXPECT_THAT(verdict.rung(Rung::kDecode).notes, IsEmpty());
  candidate.generated_pieces[1] = "other";
  verdict = Climb();
  EXPECT_THAT(verdict.rung(Rung::kDecode).notes, ElementsAre(HasSubstr("1 of 4 equal generated ids")));
}

// Shapes.

TEST_F(LadderTest, AMaskOffByOneStopsAtShapes) {
  candidate.shapes.attends[3] = {{0, 4}};  // sees one key of the future
  RungResult result = ExpectFailureAt(Rung::kShapes);
  EXPECT_EQ(result.message, "position 3 7 \" the\": candidate attends keys 0-4, reference keys 0-3");
  EXPECT_EQ(result.position, 3);
  EXPECT_EQ(result.token, 7);
  candidate.shapes.attends[3] = {{1, 3}};
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr("candidate attends keys 1-3"));
  candidate.shapes.attends[3] = {};
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr("candidate attends no key"));
  candidate.shapes.attends[3] = {{2, 3}, {0, 1}};  // the same keys, said in another way
  EXPECT_TRUE(Climb().parity());
}

TEST_F(LadderTest, MasksThatOneSideDoesNotReportAreSaidAloud) {
  reference.shapes.attends.clear();
  EXPECT_THAT(Climb().rung(Rung::kShapes).notes, ElementsAre(HasSubstr("the reference reports none")));
  candidate.shapes.attends.clear();
  EXPECT_THAT(Climb().rung(Rung::kShapes).notes, ElementsAre(HasSubstr("either side reports none")));
}

TEST_F(LadderTest, EverySizeIsCompared) {
  const std::pair<const char*, void (*)(Capture&)> cases[] = {
      {"n_ctx: candidate 512, reference 256", [](Capture& c) { c.shapes.n_ctx = 512; }},
      {"positions in one batch: candidate 128, reference 256", [](Capture& c) { c.shapes.n_ubatch = 128; }},
      {"KV cells: candidate 32, reference 256", [](Capture& c) { c.shapes.kv_cells = 32; }},
      {"K row (n_embd_k): candidate 256, reference 128", [](Capture& c) { c.shapes.n_embd_k = 256; }},
      {"V row (n_embd_v): candidate 64, reference 128", [](Capture& c) { c.shapes.n_embd_v = 64; }},
      {"logits reported: candidate [6, 65], reference [6, 64]",
       [](Capture& c) {
         c.shapes.logits = {6, 65};
       }},
      {"logits: candidate [5, 64], reference [6, 64]", [](Capture& c) { c.logits.rows = 5; }},
      {"logits: candidate [6, 63], reference [6, 64]", [](Capture& c) { c.logits.cols = 63; }},
      {"columns of decode logits: candidate 63, reference 64", [](Capture& c) { c.decode_logits.cols = 63; }},
      {"architecture: candidate llama, reference bitnet", [](Capture& c) { c.model.architecture = "llama"; }},
      {"positions with a mask: candidate 5, reference 6", [](Capture& c) { c.shapes.attends.pop_back(); }},
      {"n_layer: candidate 5, reference 6", [](Capture& c) { (*c.model.hyperparameters)["n_layer"] = 5; }},
      {"rms_norm_eps: candidate 0.01, reference 1e-05",
       [](Capture& c) { (*c.model.hyperparameters)["rms_norm_eps"] = 1e-2; }},
      {"n_head_kv: not reported by the candidate", [](Capture& c) { c.model.hyperparameters->erase("n_head_kv"); }},
  };
  for (const auto& [message, perturb] : cases) {
    candidate = CaptureForTest("native");
    perturb(candidate);
    EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr(message));
  }
}

TEST_F(LadderTest, NumbersAreEqualAsFloat32) {
  (*candidate.model.hyperparameters)["rms_norm_eps"] = static_cast<double>(1e-5f);
  (*candidate.model.hyperparameters)["rope_freq_base"] = 10000;
  EXPECT_TRUE(Climb().parity());
}

TEST_F(LadderTest, HyperparametersOfOneSideAreSaidAloud) {
  candidate.model.hyperparameters->erase("rms_norm_eps");
  reference.model.hyperparameters->erase("rope_freq_base");
  EXPECT_THAT(Climb().rung(Rung::kShapes).notes,
              ElementsAre(HasSubstr("the candidate does not report rms_norm_eps"),
                          HasSubstr("the reference does not report rope_freq_base")));
}

TEST_F(LadderTest, TheContextIsWhatTheRequestAsksFor) {
  Request request;
  request.max_tokens = 32;
  EXPECT_EQ(RequestedContext(request, 224), 256);
  EXPECT_EQ(RequestedContext(request, 225), 512);
  request.n_ctx = 1000;
  EXPECT_EQ(RequestedContext(request, 224), 1000);
  for (Capture* capture : {&candidate, &reference}) capture->shapes.n_ctx = 512;
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr("both sides took 512, the request asks for 256"));
}

TEST_F(LadderTest, AContextMayBeRoundedUp) {
  for (Capture* capture : {&candidate, &reference}) capture->request.n_ctx = 300;
  candidate.shapes.n_ctx = 300;
  reference.shapes.n_ctx = 512;
  const Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  EXPECT_THAT(verdict.rung(Rung::kShapes).notes, Contains(HasSubstr("300 rounded up")));
  reference.shapes.n_ctx = 556;
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr("n_ctx: candidate 300, reference 556"));
}

TEST_F(LadderTest, MissingLogitRowsOnBothSidesStopAtShapes) {
  for (Capture* capture : {&candidate, &reference}) {
    capture->logits.rows = 5;
    capture->logits.data.resize(5 * 64);
  }
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message,
              HasSubstr("5 rows, expected one for each of the 6 prompt positions"));
}

TEST_F(LadderTest, PositionsThatWereNotAskedForAreSaidAloud) {
  for (Capture* capture : {&candidate, &reference}) {
    capture->request.positions = 2;
    capture->logits.rows = 2;
    capture->logits.data.resize(2 * 64);
  }
  const Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  EXPECT_THAT(verdict.rung(Rung::kPositions).notes, ElementsAre("2 of 6 prompt positions, as asked"));
}

TEST_F(LadderTest, ManyDifferencesAreCounted) {
  for (auto& ranges : candidate.shapes.attends) ranges = {{7, 9}};
  candidate.shapes.n_ctx = candidate.shapes.kv_cells = candidate.shapes.n_embd_k = 1;
  const std::string message = ExpectFailureAt(Rung::kShapes).message;
  EXPECT_THAT(message, HasSubstr("\nand 1 more"));
}

// First-logit.

TEST_F(LadderTest, OneLogitOffStopsAtFirstLogit) {
  At(candidate.logits, 0, 17) += 6e-4f;
  const RungResult result = ExpectFailureAt(Rung::kFirstLogit);
  EXPECT_EQ(result.position, 0);
  EXPECT_EQ(result.token, 60);
  EXPECT_EQ(result.rows.size(), 1u);
  EXPECT_EQ(result.rows[0].worst_column, 17);
  EXPECT_THAT(result.message, HasSubstr("max_abs 0.0006 at position 0, the limit is 0.0005"));
  EXPECT_EQ(result.top_candidate.size(), 5u);
  EXPECT_EQ(result.top_reference.size(), 5u);
  EXPECT_EQ(result.top_reference[0].id, Argmax({reference.logits.row(0), 64}));
  ASSERT_EQ(result.checks.size(), 2u);
  EXPECT_TRUE(result.checks[0].pass);  // mse: 5.6e-9
  EXPECT_FALSE(result.checks[1].pass);
}

TEST_F(LadderTest, WithinTheLimitsPassesStrictButNotExact) {
  At(candidate.logits, 0, 17) += 4e-4f;
  EXPECT_TRUE(Climb().parity());
  EXPECT_LT(Figures(Climb()).identical_share(), 1.0);
  EXPECT_EQ(ExpectFailureAt(Rung::kFirstLogit, "exact").position, 0);
}

TEST_F(LadderTest, AScaledRowPassesCosineButNotStrict) {
  for (float& x : candidate.logits.data) x *= 1.25f;
  EXPECT_TRUE(Climb("cosine").parity());
  ExpectFailureAt(Rung::kFirstLogit);
}

// Positions.

TEST_F(LadderTest, DriftThatGrowsWithThePositionStopsAtPositions) {
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t j = 0; j < 64; ++j)
      At(candidate.logits, i, j) += 7e-4f * static_cast<float>(i) * (j % 2 ? 1.0f : -1.0f);
  }
  const RungResult result = ExpectFailureAt(Rung::kPositions);
  EXPECT_EQ(result.first_over, 2);  // mse there is (1.4e-3)^2
  EXPECT_EQ(result.position, 5);
  EXPECT_EQ(result.token, 12);
  EXPECT_EQ(result.token_text, "ning");
  EXPECT_THAT(result.message, HasSubstr("the first position over a limit is 2"));
  EXPECT_EQ(result.rows.size(), 6u);
  EXPECT_EQ(result.top_candidate.size(), 5u);
}

TEST_F(LadderTest, LogitsTimesAFactorAreNamedWhetherTheyPassOrNot) {
  for (float& x : candidate.logits.data) x *= 1.5f;
  for (float& x : candidate.decode_logits.data) x *= 1.5f;
  EXPECT_THAT(ExpectFailureAt(Rung::kFirstLogit).hints,
              ElementsAre(HasSubstr("the candidate's logits are 1.5 times the reference's: a factor")));
  const Verdict passes = Climb("cosine");
  EXPECT_TRUE(passes.parity());
  EXPECT_THAT(passes.rung(Rung::kPositions).notes, Contains(HasSubstr("1.5 times the reference's at all 6 positions")));
  // Other factors at other positions are none.
  for (int64_t j = 0; j < 64; ++j) At(candidate.logits, 3, j) *= 2;
  EXPECT_THAT(Climb("cosine").rung(Rung::kPositions).notes, IsEmpty());
}

TEST_F(LadderTest, LogitsThatAreNotTheTracedOnesAreNamed) {
  TraceRecord traced;
  traced.name = "t2/logits";
  traced.position = 2;
  traced.point = Point::kLogits;
  traced.blake3 = HashBytes(candidate.logits.row(2), 64 * sizeof(float));
  candidate.traces = {traced};
  EXPECT_EQ(NotTheTracedLogits(candidate), "");
  EXPECT_TRUE(Climb().parity());
  At(candidate.logits, 2, 5) += 1;
  EXPECT_THAT(ExpectFailureAt(Rung::kPositions).hints,
              ElementsAre("the candidate's logits.npy is not what it traced as logits, from position 2 on"));
}

TEST_F(LadderTest, AnExchangeAmongTheTopFiveStopsAtPositions) {
  // The fifth and the sixth of position 4, near each other, change places: every distance stays small, the overlap
  // falls.
  const std::vector<int32_t> top = TopK({reference.logits.row(4), 64}, 6);
  for (Capture* capture : {&candidate, &reference}) {
    At(capture->logits, 4, top[4]) = 1e-4f + At(capture->logits, 4, top[5]);
  }
  std::swap(At(candidate.logits, 4, top[4]), At(candidate.logits, 4, top[5]));
  const RungResult result = ExpectFailureAt(Rung::kPositions);
  EXPECT_EQ(result.position, 4);
  EXPECT_THAT(result.message, HasSubstr("top5_overlap 0.8 at position 4, the limit is 0.95"));
}

TEST_F(LadderTest, TheWorstPositionIsThatOfTheLimitMostExceeded) {
  At(candidate.logits, 1, 17) += 2.2e-3f;  // max_abs: 2.2 times its limit
  for (int64_t j = 0; j < 64; ++j) At(candidate.logits, 3, j) += j % 2 ? 1.8e-3f : -1.8e-3f;  // mse: 1.6 times
  const RungResult result = ExpectFailureAt(Rung::kPositions);
  EXPECT_EQ(result.position, 1);
  EXPECT_THAT(result.message, HasSubstr("max_abs 0.0022 at position 1"));
}

TEST_F(LadderTest, NotANumberIsDivergenceInEveryProfile) {
  for (const char* profile : {"strict", "cosine", "exact"}) {
    for (const float value : {kNan, kInf, -kInf}) {
      for (const int sides : {1, 2, 3}) {
        candidate = CaptureForTest("native");
        reference = CaptureForTest("llama.cpp");
        if (sides & 1) At(candidate.logits, 3, 5) = value;
        if (sides & 2) At(reference.logits, 3, 5) = value;
        const RungResult result = ExpectFailureAt(Rung::kPositions, profile);
        EXPECT_EQ(result.position, 3);
        EXPECT_EQ(result.message, "position 3: NaN or infinity in " + std::to_string(sides & 1) +
                                      " of the candidate's and " + std::to_string(sides >> 1) +
                                      " of the reference's 64 logits");
      }
    }
  }
  candidate = CaptureForTest("native");
  reference = CaptureForTest("llama.cpp");
  At(candidate.logits, 0, 0) = At(reference.logits, 0, 0) = kNan;
  EXPECT_EQ(ExpectFailureAt(Rung::kFirstLogit).position, 0);
}

TEST_F(LadderTest, NotANumberFailsEvenWhereEveryLimitIsOpen) {
  At(candidate.logits, 2, 0) = kNan;
  LadderOptions options = Options("cosine");
  for (const Rung rung : {Rung::kFirstLogit, Rung::kPositions}) options.profile.limits[rung][Metric::kCosine] = -1;
  const Verdict verdict = parity::Climb(candidate, reference, options);
  EXPECT_EQ(verdict.failed_rung(), Rung::kPositions);
}

// Decode.

// Makes `token` the candidate's choice at `step`, `lead` above the reference's choice in the candidate's logits.
void Choose(Capture& capture, int64_t step, int32_t token, float lead) {
  const int32_t before = capture.generated[static_cast<size_t>(step)];
  At(capture.decode_logits, step, token) = At(capture.decode_logits, step, before) + lead;
  capture.generated[static_cast<size_t>(step)] = token;
  capture.generated_pieces[static_cast<size_t>(step)] = "other";
}

TEST_F(LadderTest, ASwappedTokenStopsAtDecode) {
  const int32_t expected = reference.generated[2], other = (expected + 1) % 64;
  Choose(candidate, 2, other, 0.5f);
  const RungResult result = ExpectFailureAt(Rung::kDecode);
  EXPECT_EQ(result.position, 2);
  EXPECT_EQ(result.token, expected);
  EXPECT_EQ(result.compared, "2 of 4 greedy tokens equal");
  EXPECT_THAT(result.message, AllOf(HasSubstr("generated token 2"), HasSubstr("\"other\"")));
  EXPECT_EQ(result.top_candidate[0].id, other);
  EXPECT_EQ(result.top_reference[0].id, expected);
  ExpectFailureAt(Rung::kDecode, "cosine");
}

TEST_F(LadderTest, TheFirstTokenIsTakenFromTheLastPromptRow) {
  for (Capture* capture : {&candidate, &reference}) {
    std::copy_n(capture->logits.row(4), 64, capture->decode_logits.data.begin());
    capture->generated[0] = Argmax({capture->decode_logits.row(0), 64});
  }
  const RungResult result = ExpectFailureAt(Rung::kDecode);
  EXPECT_EQ(result.position, 0);
  EXPECT_THAT(result.message,
              HasSubstr("the candidate's first row of decode logits is not its last row of prompt logits"));
}

TEST_F(LadderTest, ATieIsReportedAsATie) {
  const int32_t expected = reference.generated[2], other = (expected + 1) % 64;
  Choose(candidate, 2, other, 0.0f);
  At(reference.decode_logits, 2, other) = At(reference.decode_logits, 2, expected);
  candidate.generated[3] = (candidate.generated[3] + 1) % 64;  // the texts part after the tie
  // Rows that are equal to the bit would leave nothing that could tie by rounding.
  float& elsewhere = At(candidate.decode_logits, 2, (expected + 2) % 64);
  elsewhere = std::nextafter(elsewhere, -100.0f);
  const Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  const RungResult& result = verdict.rung(Rung::kDecode);
  EXPECT_EQ(result.status, Status::kPass);
  EXPECT_EQ(result.compared, "2 of 4 greedy tokens equal");
  EXPECT_EQ(result.partly, "behind the tie the texts part, and 1 of 4 tokens are not compared");
  EXPECT_TRUE(verdict.limited());
  EXPECT_EQ(result.tie, 2);
  EXPECT_THAT(result.notes, ElementsAre(HasSubstr("tie at generated token 2")));
}

TEST_F(LadderTest, ATieOnOneSideAloneIsNoTie) {
  const int32_t expected = reference.generated[2], other = (expected + 1) % 64;
  Choose(candidate, 2, other, 0.25f);  // a clear choice here, a tie there
  At(reference.decode_logits, 2, other) = At(reference.decode_logits, 2, expected);
  EXPECT_EQ(ExpectFailureAt(Rung::kDecode).position, 2);
}

TEST_F(LadderTest, EqualRowsLeaveNoTie) {
  const int32_t expected = reference.generated[2], other = (expected + 1) % 64;
  for (Capture* capture : {&candidate, &reference}) {
    At(capture->decode_logits, 2, other) = At(capture->decode_logits, 2, expected);
  }
  candidate.generated[2] = other;
  EXPECT_THAT(ExpectFailureAt(Rung::kDecode).message, HasSubstr("one side does not take the first of equals"));
}

TEST_F(LadderTest, AGapAboveTheLimitIsNoTie) {
  const int32_t expected = reference.generated[2], other = (expected + 1) % 64;
  for (Capture* capture : {&candidate, &reference}) {
    At(capture->decode_logits, 2, expected) = 16.0f;
    At(capture->decode_logits, 2, other) = 16.0f;
  }
  candidate.generated[2] = other;
  // Rows that are equal to the bit would leave nothing that could tie by rounding.
  float& elsewhere = At(candidate.decode_logits, 2, (expected + 2) % 64);
  elsewhere = std::nextafter(elsewhere, -100.0f);
  EXPECT_TRUE(Climb().parity());
  At(reference.decode_logits, 2, expected) = std::nextafter(16.0f, 17.0f);  // 1.9e-6 apart
  EXPECT_EQ(ExpectFailureAt(Rung::kDecode).position, 2);
}

// Under tie_cosine two logits tie where an engine that keeps to that cosine may take either.
TEST_F(LadderTest, ANearTieIsATieByTheCosine) {
  const std::span<const float> row(reference.decode_logits.row(2), 64);  // as it is before
  const double within = TieWithin(Options("cosine").profile, row);
  std::vector<double> squares;
  for (const float x : row) squares.push_back(static_cast<double>(x) * x);
  std::sort(squares.begin(), squares.end());  // the largest may be a mask
  EXPECT_NEAR(within, std::sqrt(0.002 * std::accumulate(squares.begin(), squares.end() - 1, 0.0) / 63), 1e-9);
  const int32_t expected = reference.generated[2], other = (expected + 1) % 64;
  const float top = At(reference.decode_logits, 2, expected);
  At(reference.decode_logits, 2, other) = At(candidate.decode_logits, 2, expected) =
      top - static_cast<float>(within) * 0.9f;
  At(candidate.decode_logits, 2, other) = top;
  candidate.generated[2] = other;
  candidate.generated[3] = (candidate.generated[3] + 1) % 64;  // the texts part after the tie
  const Verdict verdict = Climb("cosine");
  EXPECT_TRUE(verdict.parity());
  EXPECT_EQ(verdict.rung(Rung::kDecode).tie, 2);
  // Not by a profile that says nothing of it, not in a row over the limits, and not further apart than that.
  EXPECT_EQ(ExpectFailureAt(Rung::kDecode).position, 2);
  const float kept = At(candidate.decode_logits, 2, (expected + 2) % 64);
  At(candidate.decode_logits, 2, (expected + 2) % 64) = -1e3f;
  EXPECT_EQ(ExpectFailureAt(Rung::kDecode, "cosine").position, 2);
  At(candidate.decode_logits, 2, (expected + 2) % 64) = kept;
  At(candidate.decode_logits, 2, expected) = top - static_cast<float>(within) * 2.0f;
  EXPECT_EQ(ExpectFailureAt(Rung::kDecode, "cosine").position, 2);
}

TEST_F(LadderTest, NotANumberWhileDecodingIsDivergence) {
  At(candidate.decode_logits, 1, 3) = At(reference.decode_logits, 1, 3) = kNan;
  const RungResult result = ExpectFailureAt(Rung::kDecode);
  EXPECT_EQ(result.position, 1);
  EXPECT_THAT(result.message, HasSubstr("NaN or infinity in 1 of the candidate's and 1 of the reference's 64 logits"));
}

TEST_F(LadderTest, ATokenThatIsNotTheLargestIsNotGreedy) {
  for (Capture* capture : {&candidate, &reference}) capture->generated[1] = (capture->generated[1] + 1) % 64;
  EXPECT_THAT(ExpectFailureAt(Rung::kDecode).message, HasSubstr("not greedy"));
  reference = CaptureForTest("llama.cpp");
  candidate = CaptureForTest("native");
  candidate.generated[1] = 64;
  EXPECT_THAT(ExpectFailureAt(Rung::kDecode).message, HasSubstr("outside its vocabulary of 64"));
}

TEST_F(LadderTest, OneSideStopsEarly) {
  candidate.generated.pop_back();
  candidate.decode_logits.rows = 3;
  EXPECT_THAT(ExpectFailureAt(Rung::kDecode).message, HasSubstr("then the candidate stops (3 and 4 tokens)"));
  candidate.generated.clear();
  candidate.decode_logits.rows = 0;
  EXPECT_THAT(ExpectFailureAt(Rung::kDecode).message, HasSubstr("the candidate generated no token of 4"));
}

TEST_F(LadderTest, DecodeLogitsThatDoNotBelongToTheTokens) {
  candidate.decode_logits.rows = 3;
  EXPECT_THAT(ExpectFailureAt(Rung::kDecode).message,
              HasSubstr("the candidate's decode logits are [3, 64], expected [4, 64]"));
}

TEST_F(LadderTest, DecodeLogitsAreJudgedWhereTheProfileSaysSo) {
  At(candidate.decode_logits, 3, 9) = std::nextafter(At(candidate.decode_logits, 3, 9), 0.0f);
  EXPECT_TRUE(Climb().parity());
  const RungResult result = ExpectFailureAt(Rung::kDecode, "exact");
  EXPECT_EQ(result.position, 3);
  EXPECT_THAT(result.message, HasSubstr("tokens are equal, their logits are not"));
}

TEST_F(LadderTest, NoTokenAskedForSkipsDecode) {
  for (Capture* capture : {&candidate, &reference}) {
    capture->request.max_tokens = 0;
    capture->generated.clear();
    capture->decode_logits = {};
  }
  const Verdict verdict = Climb();
  EXPECT_EQ(verdict.rung(Rung::kDecode).status, Status::kSkip);
  EXPECT_THAT(verdict.rung(Rung::kDecode).message, HasSubstr("no token was asked for"));
  EXPECT_TRUE(verdict.parity());
}

// The ladder itself.

TEST_F(LadderTest, StopsAfterTheStageAskedFor) {
  LadderOptions options = Options();
  options.last = Rung::kShapes;
  At(candidate.logits, 0, 0) += 1;
  const Verdict verdict = parity::Climb(candidate, reference, options);
  EXPECT_TRUE(verdict.parity());
  EXPECT_EQ(verdict.rung(Rung::kFirstLogit).status, Status::kNotReached);
  EXPECT_EQ(verdict.rung(Rung::kFirstLogit).message, "stopped after shapes, as asked");
}

TEST_F(LadderTest, WithoutACaptureNothingIsReached) {
  for (const Status status : {Status::kFail, Status::kSkip}) {
    RungResult preflight;
    preflight.status = status;
    preflight.message = "llama.cpp is not installed";
    const Verdict verdict = NotClimbed(preflight, reference.request, Options().profile);
    ASSERT_EQ(verdict.rungs.size(), Rungs().size());
    EXPECT_FALSE(verdict.parity());
    EXPECT_EQ(ExitCode(verdict), 2);
    EXPECT_EQ(verdict.rung(Rung::kDecode).status, Status::kNotReached);
    EXPECT_EQ(Figures(verdict).rows(), 0);
  }
}

TEST_F(LadderTest, TokenTextsComeFromTheVocabularyWhereThereIsOne) {
  At(candidate.logits, 0, 17) += 100;
  LadderOptions options = Options();
  options.piece_of = [](int32_t id) { return "piece" + std::to_string(id); };
  const Verdict verdict = parity::Climb(candidate, reference, options);
  EXPECT_EQ(verdict.rung(Rung::kFirstLogit).top_candidate[0].text, "piece17");
}

TEST(Rungs, TheTableIsInTheOrderOfTheEnumerationAndComplete) {
  for (const RungInfo& rung : Rungs()) {
    EXPECT_EQ(&InfoOf(rung.rung), &rung) << rung.name;
    EXPECT_EQ(RungFromName(rung.name), rung.rung);
    EXPECT_GE(rung.usual_causes().size(), 3u) << rung.name;
    EXPECT_FALSE(rung.next_step.empty()) << rung.name;
  }
  EXPECT_THROW(RungFromName("logits"), std::runtime_error);
}

}  // namespace
}  // namespace parity
