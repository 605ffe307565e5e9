#include "parity_tests/judge/ladder_for_test.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace parity {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

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
  // Position 7 is that of the second generated token, and its logits choose the third.
  ASSERT_EQ(candidate.tokens.size(), 6u);
  traced.name = "t7/logits";
  traced.position = 7;
  traced.blake3 = HashBytes(candidate.decode_logits.row(2), 64 * sizeof(float));
  candidate.traces = {traced};
  EXPECT_EQ(NotTheTracedLogits(candidate), "");
  At(candidate.decode_logits, 2, 5) -= 1e-3f;
  EXPECT_EQ(NotTheTracedLogits(candidate),
            "decode_logits.npy is not what it traced as logits, from generated token 2 on");
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
  EXPECT_EQ(FirstNotGreedy(candidate), std::nullopt);
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

}  // namespace
}  // namespace parity
