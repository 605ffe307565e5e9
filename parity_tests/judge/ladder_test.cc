#include "parity_tests/judge/ladder_for_test.h"

#include "parity_tests/judge/rungs.h"

namespace parity {
namespace {

using testing::IsEmpty;

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
