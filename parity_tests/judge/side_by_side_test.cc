#include "parity_tests/judge/side_by_side.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/thresholds.h"

namespace parity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SideBySideTest : public testing::Test {
 protected:
  static LadderOptions Limits() { return {.profile = ExactProfile(), .piece_of = {}}; }
  static std::vector<size_t> GroupsOf(const SideBySide& all) {
    std::vector<size_t> groups;
    for (const EngineBeside& e : all.engines) groups.push_back(e.group);
    return groups;
  }
  static std::vector<bool> AloneOf(const SideBySide& all) {
    std::vector<bool> alone;
    for (const EngineBeside& e : all.engines) alone.push_back(e.alone);
    return alone;
  }
  static void OnlyText(Capture& c) {
    c.shown = {
        .tokens = false, .shapes = false, .logits = false, .text = true, .generated = false, .decode_logits = false};
    for (const std::string& piece : c.generated_pieces) c.text += piece;
    c.logits = c.decode_logits = {};
  }
  Capture a_ = CaptureForTest("a"), b_ = CaptureForTest("b"), c_ = CaptureForTest("c"), d_ = CaptureForTest("d");
};

TEST_F(SideBySideTest, AllEqual) {
  const SideBySide all = CompareAll({{"a", &a_, ""}, {"b", &b_, ""}, {"c", &c_, ""}}, Limits());
  EXPECT_EQ(all.pairs.size(), 3u);
  EXPECT_THAT(GroupsOf(all), ElementsAre(0, 0, 0));
  EXPECT_THAT(AloneOf(all), ElementsAre(false, false, false));
  EXPECT_EQ(all.exit_code(), 0);
}

TEST_F(SideBySideTest, OneBitStandsAlone) {
  float& logit = At(b_.logits, 3, 10);
  logit = std::nextafter(logit, 100.0f);
  const SideBySide all = CompareAll({{"a", &a_, ""}, {"b", &b_, ""}, {"c", &c_, ""}}, Limits());
  EXPECT_THAT(GroupsOf(all), ElementsAre(0, 1, 0));
  EXPECT_THAT(AloneOf(all), ElementsAre(false, true, false));
  EXPECT_EQ(all.pair(1, 0)->differs, Rung::kPositions);
  EXPECT_TRUE(all.pair(0, 2)->equal);
  EXPECT_EQ(all.exit_code(), 1);
  EXPECT_THAT(all.pair(0, 1)->no_tensor, HasSubstr("left no tensors"));
}

TEST_F(SideBySideTest, NobodyIsAloneWhereNoTwoAgree) {
  At(b_.logits, 3, 10) += 1;
  At(c_.logits, 3, 11) += 1;
  const SideBySide all = CompareAll({{"a", &a_, ""}, {"b", &b_, ""}, {"c", &c_, ""}}, Limits());
  EXPECT_THAT(GroupsOf(all), ElementsAre(0, 1, 2));
  EXPECT_THAT(AloneOf(all), ElementsAre(false, false, false));
}

TEST_F(SideBySideTest, WithinLimitsIsNotAlone) {
  LadderOptions limits = Limits();
  limits.profile = LoadProfile("", "strict");
  float& logit = At(b_.logits, 3, 10);
  logit = std::nextafter(logit, 100.0f);
  const SideBySide all = CompareAll({{"a", &a_, ""}, {"b", &b_, ""}, {"c", &c_, ""}}, limits);
  EXPECT_THAT(GroupsOf(all), ElementsAre(0, 1, 0));
  EXPECT_THAT(AloneOf(all), ElementsAre(false, false, false));
  EXPECT_EQ(all.exit_code(), 0);
}

// Text that agrees with two engines which differ makes them no group.
TEST_F(SideBySideTest, TextAloneJoinsNoGroupThatItDoesNotAgreeWithInFull) {
  At(c_.logits, 3, 10) += 1;
  OnlyText(d_);
  const SideBySide all = CompareAll({{"a", &a_, ""}, {"d", &d_, ""}, {"c", &c_, ""}}, Limits());
  EXPECT_TRUE(all.pair(0, 1)->equal);
  EXPECT_TRUE(all.pair(1, 2)->equal);
  EXPECT_THAT(GroupsOf(all), ElementsAre(0, 0, 1));
}

// c stands alone beside two that agree in their logits, though a text agrees with all three.
TEST_F(SideBySideTest, TextAloneIsNoCompanyForAnEngineThatShowsLogits) {
  At(c_.logits, 3, 10) += 1;
  OnlyText(d_);
  const SideBySide all = CompareAll({{"d", &d_, ""}, {"a", &a_, ""}, {"b", &b_, ""}, {"c", &c_, ""}}, Limits());
  EXPECT_TRUE(all.pair(0, 3)->equal);
  EXPECT_THAT(AloneOf(all), ElementsAre(false, false, false, true));
  EXPECT_EQ(MostAgreedWith(all), 1u);
}

// Nor does it make an engine the one that others are held against.
TEST_F(SideBySideTest, TextThatAgreesWithEverybodyIsNotWhoTheyAreHeldAgainst) {
  At(c_.logits, 3, 10) += 1;
  OnlyText(d_);
  const SideBySide all = CompareAll({{"d", &d_, ""}, {"a", &a_, ""}, {"c", &c_, ""}}, Limits());
  EXPECT_THAT(AloneOf(all), ElementsAre(false, false, false));
  EXPECT_EQ(MostAgreedWith(all), 1u);
}

// Between texts it is all there is.
TEST_F(SideBySideTest, AmongTextsTextCounts) {
  for (Capture* c : {&a_, &b_, &c_}) OnlyText(*c);
  c_.text = "another";
  const SideBySide all = CompareAll({{"c", &c_, ""}, {"a", &a_, ""}, {"b", &b_, ""}}, Limits());
  EXPECT_THAT(AloneOf(all), ElementsAre(true, false, false));
  EXPECT_EQ(MostAgreedWith(all), 1u);
}

// One shows its ids and shapes alone, the other text alone.
TEST_F(SideBySideTest, NothingInCommonIsNoAgreement) {
  b_.shown = {
      .tokens = false, .shapes = false, .logits = false, .text = true, .generated = false, .decode_logits = false};
  b_.text = " and God";
  b_.logits = b_.decode_logits = {};
  a_.shown = {
      .tokens = true, .shapes = true, .logits = true, .text = false, .generated = false, .decode_logits = false};
  a_.decode_logits = {};
  a_.generated.clear();
  a_.generated_pieces.clear();
  const SideBySide all = CompareAll({{"a", &a_, ""}, {"b", &b_, ""}}, Limits());
  EXPECT_FALSE(all.pair(0, 1)->compared);
  EXPECT_FALSE(all.pair(0, 1)->equal);
  EXPECT_EQ(all.exit_code(), 2);
}

TEST_F(SideBySideTest, AnEngineWithoutAnswerIsInNoPair) {
  const SideBySide all = CompareAll({{"a", &a_, ""}, {"b", nullptr, "it crashed"}, {"c", &c_, ""}}, Limits());
  EXPECT_EQ(all.pairs.size(), 1u);
  EXPECT_EQ(all.pair(0, 1), nullptr);
  EXPECT_THAT(AloneOf(all), ElementsAre(false, false, false));
  EXPECT_EQ(all.exit_code(), 2);
}

TEST_F(SideBySideTest, OtherTokensAreNotMeasuredByTheirLogits) {
  b_.tokens[2] = 8;
  const SideBySide all = CompareAll({{"a", &a_, ""}, {"b", &b_, ""}}, Limits());
  EXPECT_EQ(all.pair(0, 1)->differs, Rung::kTokens);
  EXPECT_EQ(all.pair(0, 1)->figures.rows(), 0);
  EXPECT_EQ(FirstTensors(all), "");
}

TEST(LetterOf, GoesOnBehindZ) {
  EXPECT_EQ(LetterOf(0), "A");
  EXPECT_EQ(LetterOf(25), "Z");
  EXPECT_EQ(LetterOf(26), "AA");
  EXPECT_EQ(LetterOf(27), "AB");
}

}  // namespace
}  // namespace parity
