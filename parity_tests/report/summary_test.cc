#include "parity_tests/report/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

const SummaryGroup kBatch = {"llama.cpp", "tiny.tq2_0", "batch"};
const SummaryGroup kToken = {"llama.cpp", "tiny.tq2_0", "token"};

class SummaryTest : public testing::Test {
 protected:
  SummaryTest() { options.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", "strict"); }
  Verdict Climb() { return parity::Climb(candidate, reference, options); }
  Verdict Skipped() {
    RungResult preflight;
    preflight.status = Status::kSkip;
    preflight.message = "unknown architecture\nand more";
    return NotClimbed(preflight, reference.request, options.profile);
  }

  Capture candidate = CaptureForTest("native");
  Capture reference = CaptureForTest("llama.cpp");
  LadderOptions options;
  Summary summary;
};

TEST_F(SummaryTest, ParityOverGroups) {
  summary.Add(kBatch, "hello", Climb());
  summary.Add(kBatch, "count", Climb());
  At(candidate.logits, 4, 9) += 2e-4f;  // within the limits
  summary.Add(kToken, "hello", Climb());
  summary.Add({"llama.cpp", "other", "batch"}, "hello", Skipped());
  EXPECT_EQ(summary.ExitCode(), 0);
  const std::string text = summary.Text();
  EXPECT_THAT(
      text, testing::ContainsRegex("tiny.tq2_0  llama.cpp  batch +2/2 +12 +0 +0 +0 +1 +1 +100 % +0 +8/8 +100 % +0\n"));
  EXPECT_THAT(text, testing::ContainsRegex("tiny.tq2_0  llama.cpp  token +1/1 +6 +[0-9.]+e-10 +2.00e-04 "));
  const std::string ulp = std::to_string(static_cast<int>(summary.Json()["rows"][1]["worst"]["max_ulp"]));
  EXPECT_NE(ulp, "0");
  EXPECT_THAT(text, testing::ContainsRegex("token .* 99.74 % +" + ulp + " +4/4 +100 % +0\n"));
  EXPECT_THAT(text, testing::ContainsRegex("other +llama.cpp  batch +skipped\n"));
  EXPECT_THAT(text, HasSubstr("note: unknown architecture (other llama.cpp batch)\n"));
  EXPECT_THAT(text,
              EndsWith("PARITY: 3 of 3 climbs passed every stage they were asked for, profile strict; 1 skipped\n"));
  const nlohmann::json json = summary.Json();
  ASSERT_EQ(json["rows"].size(), 3u);
  EXPECT_EQ(json["rows"][0]["worst"]["mse"], 0);
  EXPECT_EQ(json["rows"][0]["positions"], 12);
  EXPECT_EQ(json["rows"][1]["bit_identical_share"], 383.0 / 384.0);
  EXPECT_TRUE(json["rows"][2]["worst"]["mse"].is_null());
  EXPECT_EQ(json["exit_code"], 0);
  EXPECT_THAT(summary.Markdown(),
              AllOf(HasSubstr("| tiny.tq2_0 | llama.cpp | batch | 2/2 |"), HasSubstr("PARITY: 3 of 3")));
}

// Figures of two builds of one engine are not mixed; a case that nobody answered is of no build.
TEST_F(SummaryTest, MachinesWithOtherBuildsHaveRowsOfTheirOwn) {
  summary.Add(kBatch, "hello", Climb());
  EXPECT_THAT(summary.Text(), testing::Not(HasSubstr("builds")));
  reference.backend.simd = "haswell";
  At(candidate.logits, 4, 9) += 2e-4f;
  summary.Add(kBatch, "count", Climb());
  summary.Add(kBatch, "count", Climb());
  const nlohmann::json rows = summary.Json()["rows"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["climbs"], 1);
  EXPECT_EQ(rows[0]["worst"]["max_abs"], 0);
  EXPECT_EQ(rows[1]["climbs"], 2);
  EXPECT_THAT(rows[1]["builds"].get<std::string>(), HasSubstr("haswell"));
  EXPECT_THAT(summary.Text(), AllOf(HasSubstr("builds"), HasSubstr("haswell")));
  EXPECT_EQ(summary.ExitCode(), 0);
}

TEST_F(SummaryTest, ADivergenceIsNamed) {
  summary.Add(kBatch, "hello", Climb());
  At(candidate.logits, 4, 9) += 2;
  summary.Add(kBatch, "count", Climb());
  EXPECT_EQ(summary.ExitCode(), 1);
  EXPECT_THAT(summary.Text(), AllOf(HasSubstr("failed at positions: tiny.tq2_0 llama.cpp batch count\n"),
                                    HasSubstr("1/2"), EndsWith("DIVERGENCE: 1 of 2 climbs passed, profile strict\n")));
  EXPECT_EQ(summary.Json()["problems"][0]["prompt"], "count");
  EXPECT_THAT(summary.Markdown(), HasSubstr("Failed at positions: tiny.tq2_0, llama.cpp, batch, count:"));
}

TEST_F(SummaryTest, AnErrorOutweighsADivergence) {
  RungResult preflight;
  preflight.status = Status::kFail;
  preflight.message = "crashed";
  summary.Add(kBatch, "hello", NotClimbed(preflight, reference.request, options.profile));
  At(candidate.logits, 4, 9) += 2;
  summary.Add(kBatch, "count", Climb());
  EXPECT_EQ(summary.ExitCode(), 2);
  EXPECT_THAT(summary.Text(), EndsWith("ERROR: 0 of 2 climbs passed, profile strict\n"));
}

TEST_F(SummaryTest, NothingComparedIsNoParity) {
  EXPECT_EQ(summary.ExitCode(), 2);
  summary.Add(kBatch, "hello", Skipped());
  EXPECT_EQ(summary.ExitCode(), 2);
  EXPECT_THAT(summary.Text(), EndsWith("NOTHING COMPARED; 1 skipped\n"));
}

TEST_F(SummaryTest, TiesAreCounted) {
  const int32_t expected = reference.generated[2], other = (expected + 1) % 64;
  for (Capture* capture : {&candidate, &reference})
    At(capture->decode_logits, 2, other) = At(capture->decode_logits, 2, expected);
  candidate.generated[2] = other;
  float& elsewhere = At(candidate.decode_logits, 2, (expected + 2) % 64);
  elsewhere = std::nextafter(elsewhere, -100.0f);  // not the same row: a tie by rounding
  summary.Add(kBatch, "hello", Climb());
  EXPECT_EQ(summary.ExitCode(), 0);
  EXPECT_THAT(summary.Text(), HasSubstr("2/4 (1 ties)"));
}

}  // namespace
}  // namespace parity
