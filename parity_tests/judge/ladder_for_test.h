// A candidate's and a reference's capture, sound and equal, for a test to break; and the climb.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_FOR_TEST_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_FOR_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/ladder.h"

namespace parity {

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

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_FOR_TEST_H_
