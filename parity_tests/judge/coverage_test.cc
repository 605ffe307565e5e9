// Captures of engines that show little: what can be judged is, and what cannot is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CoverageTest : public testing::Test {
 protected:
  CoverageTest() {
    candidate_.backend.name = "candidate";
    candidate_.request = reference_.request;
    candidate_.shown = kNothingShown;
    reference_.generated_pieces = {" and", " God", " said", ","};
  }

  // " and God said,"
  void ShowText(const std::string& text) {
    candidate_.shown.text = true;
    candidate_.text = text;
  }
  void ShowLogits(const std::vector<int>& positions) {
    candidate_.shown.logits = true;
    candidate_.positions = positions;
    candidate_.logits = {static_cast<int64_t>(positions.size()), 64, {}};
    for (const int p : positions) {
      const float* row = reference_.logits.row(p < 0 ? p + 6 : p);
      candidate_.logits.data.insert(candidate_.logits.data.end(), row, row + 64);
    }
  }
  // The five likeliest tokens of each step, as the reference has them.
  void ShowLogprobs() {
    for (int64_t i = 0; i < 4; ++i) {
      const std::span<const float> row(reference_.decode_logits.row(i), 64);
      double sum = 0;
      for (const float x : row) sum += std::exp(static_cast<double>(x));
      std::vector<TokenLogprob>& top = candidate_.top_logprobs.emplace_back();
      for (const int32_t id : TopK(row, 5)) top.push_back({id, "", row[static_cast<size_t>(id)] - std::log(sum)});
    }
  }
  void ShowIds() {
    candidate_.shown.text = candidate_.shown.generated = true;
    candidate_.generated = reference_.generated;
    candidate_.generated_pieces = reference_.generated_pieces;
  }

  Verdict Climb(const std::vector<Rung>& required = {}) {
    return parity::Climb(candidate_, reference_,
                         {.profile = LoadProfile("", "strict"),
                          .piece_of =
                              [this](int32_t id) {
                                for (size_t i = 0; i < reference_.generated.size(); ++i) {
                                  if (reference_.generated[i] == id) return reference_.generated_pieces[i];
                                }
                                return id == 1 ? std::string(" but") : fmt::format("<{}>", id);
                              },
                          .required = required});
  }
  RungResult Decode() { return Climb().rung(Rung::kDecode); }

  Capture reference_ = CaptureForTest("reference"), candidate_;
};

TEST_F(CoverageTest, TextAloneIsJudgedByDecodeAlone) {
  ShowText(" and God said,");
  const Verdict verdict = Climb();
  EXPECT_EQ(verdict.outcome(), Outcome::kLimitedParity);
  EXPECT_EQ(OutcomeName(verdict.outcome()), "parity, limited coverage");
  EXPECT_EQ(ExitCode(verdict), 0);
  for (const Rung rung : {Rung::kTokens, Rung::kShapes, Rung::kFirstLogit, Rung::kPositions}) {
    EXPECT_EQ(verdict.rung(rung).status, Status::kNotJudged);
    EXPECT_THAT(verdict.rung(rung).message, HasSubstr("the candidate shows no "));
  }
  EXPECT_EQ(verdict.rung(Rung::kDecode).compared, "text of 4 greedy tokens, 14 bytes");
  EXPECT_THAT(verdict.candidate_shows, ElementsAre("text"));
  EXPECT_EQ(verdict.model.architecture, "bitnet") << "the reference knows it";
}

TEST_F(CoverageTest, ARequiredStageThatIsNotJudgedIsAnError) {
  ShowText(" and God said,");
  EXPECT_EQ(ExitCode(Climb({Rung::kDecode})), 0);
  const Verdict verdict = Climb({Rung::kDecode, Rung::kTokens, Rung::kPositions});
  EXPECT_EQ(verdict.outcome(), Outcome::kError);
  EXPECT_EQ(ExitCode(verdict), 2);
  EXPECT_THAT(verdict.not_covered(), ElementsAre(Rung::kTokens, Rung::kPositions));
  // A divergence stays one.
  ShowText(" and not");
  EXPECT_EQ(ExitCode(Climb({Rung::kTokens})), 1);
}

TEST_F(CoverageTest, NothingToJudgeIsNoParity) {
  EXPECT_EQ(ExitCode(Climb()), 2);
  candidate_ = reference_;
  reference_.shown = kNothingShown;
  EXPECT_EQ(ExitCode(Climb()), 2);
}

TEST_F(CoverageTest, AWholeCaptureIsNotLimited) {
  candidate_ = reference_;
  const Verdict verdict = Climb({Rung::kTokens, Rung::kShapes, Rung::kFirstLogit, Rung::kPositions, Rung::kDecode});
  EXPECT_EQ(verdict.outcome(), Outcome::kParity);
}

TEST_F(CoverageTest, TheByteAndTheTokenWhereTextsPart) {
  ShowText(" and God made");
  const RungResult decode = Decode();
  EXPECT_EQ(decode.status, Status::kFail);
  EXPECT_EQ(decode.position, 2);
  EXPECT_EQ(decode.token, reference_.generated[2]);
  EXPECT_THAT(decode.message,
              AllOf(HasSubstr("part at byte 9, in generated token 2"), HasSubstr("candidate: \" and God made\""),
                    HasSubstr("reference: \" and God said,\"")));
  EXPECT_EQ(decode.top_reference.size(), 5u);
}

TEST_F(CoverageTest, WhiteSpaceAtTheEndsIsNoDifference) {
  for (const char* text : {"and God said,", " and God said, \n"}) {
    ShowText(text);
    EXPECT_EQ(Decode().status, Status::kPass) << text;
  }
  ShowText("and God made");
  EXPECT_EQ(Decode().position, 2) << "counted with the byte that is lost in front";
  ShowText(" and  God said,");
  EXPECT_EQ(Decode().status, Status::kFail);
}

TEST_F(CoverageTest, ATextThatEndsTooEarlyFails) {
  ShowText(" and God");
  const RungResult decode = Decode();
  EXPECT_EQ(decode.status, Status::kFail);
  EXPECT_EQ(decode.position, 2);
  EXPECT_THAT(decode.message, HasSubstr("the candidate's text ends at byte 8"));
  ShowText("");
  EXPECT_THAT(Decode().message, HasSubstr("the candidate printed nothing"));
}

TEST_F(CoverageTest, WhatIsPrintedBeyondIsNotCompared) {
  ShowText(" and God said, Let");
  const RungResult decode = Decode();
  EXPECT_EQ(decode.status, Status::kPass);
  EXPECT_THAT(decode.notes, ElementsAre(HasSubstr("prints 4 bytes more")));
}

// The reference ended its text itself: the token for that may be printed or not, and nothing may follow.
TEST_F(CoverageTest, TheEndOfTextMayBePrintedOrNot) {
  reference_.request.ignore_eos = candidate_.request.ignore_eos = false;
  reference_.request.max_tokens = candidate_.request.max_tokens = 9;
  reference_.generated_pieces[3] = "<|eot_id|>";
  for (const auto& [text, status] :
       {std::pair(" and God said", Status::kPass), std::pair(" and God said<|eot_id|>", Status::kPass),
        std::pair(" and God said<|eot_id|> Let", Status::kFail), std::pair(" and God said Let", Status::kFail)}) {
    ShowText(text);
    EXPECT_EQ(Decode().status, status) << text;
  }
}

TEST_F(CoverageTest, BytesThatAreNoTextArePrintedInManyWays) {
  reference_.generated_pieces = {" and", "\xE2\x82", " said", ","};
  ShowText(" and\xEF\xBF\xBD said,");
  EXPECT_EQ(Decode().status, Status::kPass);
  ShowText(" and\xEF\xBF\xBD made");
  EXPECT_EQ(Decode().status, Status::kFail);
  // A server holds them back at the end.
  reference_.generated_pieces = {" and", " God", " said", "\xE2\x82"};
  ShowText(" and God said");
  EXPECT_EQ(Decode().status, Status::kPass);
}

TEST_F(CoverageTest, ATieInTheReferenceIsATie) {
  ShowText(" and but not");
  EXPECT_EQ(Decode().status, Status::kFail);
  At(reference_.decode_logits, 1, 1) = At(reference_.decode_logits, 1, reference_.generated[1]);
  const RungResult decode = Decode();
  EXPECT_EQ(decode.status, Status::kPass);
  EXPECT_EQ(decode.position, 1);
  EXPECT_THAT(decode.notes, ElementsAre(AllOf(HasSubstr("tie at generated token 1"), HasSubstr("\" but\""))));
}

TEST_F(CoverageTest, IdsAreComparedWhereTheyAreShown) {
  ShowIds();
  EXPECT_EQ(Decode().compared, "4 of 4 greedy tokens equal, by their ids");
  candidate_.generated[2] = (candidate_.generated[2] + 1) % 64;
  const RungResult decode = Decode();
  EXPECT_EQ(decode.status, Status::kFail);
  EXPECT_EQ(decode.position, 2);
  EXPECT_THAT(decode.message, HasSubstr("apart in the reference's logits"));
  candidate_.generated.resize(2);
  candidate_.generated_pieces.resize(2);
  EXPECT_THAT(Decode().message, HasSubstr("then the candidate stops (2 and 4 tokens)"));
}

TEST_F(CoverageTest, LogprobsAreJudgedByTheLimitsOfThePositions) {
  ShowIds();
  ShowLogprobs();
  const RungResult sound = Decode();
  EXPECT_EQ(sound.status, Status::kPass) << sound.message;
  EXPECT_THAT(sound.notes, Contains(HasSubstr("20 at 4 steps")));
  EXPECT_EQ(sound.checks.size(), 2u);
  candidate_.top_logprobs[1][0].logprob += 1.5e-3;  // the limit of the logits is 1e-3
  EXPECT_EQ(Decode().status, Status::kPass);
  candidate_.top_logprobs[1][0].logprob += 1e-3;
  const RungResult off = Decode();
  EXPECT_EQ(off.status, Status::kFail);
  EXPECT_EQ(off.position, 1);
  EXPECT_THAT(off.message, HasSubstr("the log-probabilities differ by 0.0025 at generated token 1"));
}

TEST_F(CoverageTest, OtherTokensAmongTheLikeliest) {
  ShowIds();
  ShowLogprobs();
  const std::vector<int32_t> all = TopK({reference_.decode_logits.row(2), 64}, 64);
  candidate_.top_logprobs[2][4] = {all.back(), "", 0};
  const RungResult decode = Decode();
  EXPECT_EQ(decode.status, Status::kFail);
  EXPECT_EQ(decode.checks[1].worst, 0.8);
}

TEST_F(CoverageTest, LogprobsByTheirText) {
  ShowText(" and God said,");
  candidate_.top_logprobs.resize(4);
  const float* row = reference_.decode_logits.row(0);
  double sum = 0;
  for (int i = 0; i < 64; ++i) sum += std::exp(static_cast<double>(row[i]));
  candidate_.top_logprobs[0] = {{-1, " and", row[reference_.generated[0]] - std::log(sum)}};
  EXPECT_EQ(Decode().status, Status::kPass);
  candidate_.top_logprobs[0][0].logprob -= 1;
  EXPECT_EQ(Decode().status, Status::kFail);
}

TEST_F(CoverageTest, SomePositions) {
  ShowLogits({-1});
  Verdict verdict = Climb({Rung::kPositions});
  EXPECT_EQ(verdict.rung(Rung::kFirstLogit).status, Status::kNotJudged);
  EXPECT_EQ(verdict.rung(Rung::kPositions).status, Status::kPass);
  EXPECT_EQ(verdict.rung(Rung::kPositions).partly, "1 of 6 positions are shown");
  EXPECT_EQ(ExitCode(verdict), 2) << "required in full";
  EXPECT_EQ(ExitCode(Climb()), 0);

  ShowLogits({0, 3, -1});
  EXPECT_EQ(Climb().rung(Rung::kFirstLogit).status, Status::kPass);
  At(candidate_.logits, 1, 7) += 0.5f;
  verdict = Climb();
  EXPECT_EQ(verdict.failed_rung(), Rung::kPositions);
  const RungResult& positions = verdict.rung(Rung::kPositions);
  EXPECT_EQ(positions.position, 3);
  EXPECT_EQ(positions.first_over, 3);
  EXPECT_EQ(positions.token, reference_.tokens[3]);
  EXPECT_THAT(positions.at, ElementsAre(0, 3, 5));
  EXPECT_EQ(positions.top_candidate.size(), 5u);

  At(candidate_.logits, 1, 7) = std::nanf("");
  EXPECT_THAT(Climb().rung(Rung::kPositions).message, HasSubstr("position 3: NaN"));
}

TEST_F(CoverageTest, RowsThatThePromptDoesNotHave) {
  ShowLogits({0, 5});
  candidate_.positions = {0, 6};
  const Verdict verdict = Climb();
  EXPECT_EQ(verdict.failed_rung(), Rung::kFirstLogit);
  EXPECT_THAT(verdict.rung(Rung::kFirstLogit).message, HasSubstr("is of position 6, and the prompt has 6 tokens"));
}

TEST_F(CoverageTest, APaddedHeadIsHintedAt) {
  ShowLogits({0});
  candidate_.logits.cols = 65;
  candidate_.logits.data.push_back(0);
  const RungResult first = Climb().rung(Rung::kFirstLogit);
  EXPECT_EQ(first.status, Status::kFail);
  EXPECT_THAT(first.hints, ElementsAre(HasSubstr("--cut-padded-head")));
}

// The two sides are alike: a reference that prints is judged the same way.
TEST_F(CoverageTest, AReferenceThatPrints) {
  ShowText(" and God said,");
  std::swap(candidate_, reference_);
  const Verdict verdict = Climb();
  EXPECT_EQ(ExitCode(verdict), 0);
  EXPECT_EQ(verdict.rung(Rung::kTokens).message, "the reference shows no token ids");
  EXPECT_EQ(verdict.rung(Rung::kDecode).compared, "text of 14 bytes");
  reference_.text = " and God made";
  EXPECT_EQ(Climb().failed_rung(), Rung::kDecode);
}

}  // namespace
}  // namespace parity
