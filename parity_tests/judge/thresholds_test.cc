#include "parity_tests/judge/thresholds.h"
#include "reference/capture/error_for_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace parity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

const char* const kFile = PARITY_SOURCE_DIR "/fixtures/thresholds.json";

std::string ErrorOfFile(const std::string& text, const std::string& profile) {
  const std::string path = testing::TempDir() + "/thresholds_test.json";
  std::ofstream(path) << text;
  return ErrorOf([&] { LoadProfile(path, profile); });
}

TEST(Thresholds, StrictIsThePlaybooksTableAndTheDefault) {
  Profile profile = LoadProfile(kFile, "");
  EXPECT_EQ(profile.name, "strict");
  EXPECT_THAT(profile.limits[Rung::kFirstLogit],
              UnorderedElementsAre(Pair(Metric::kMse, 1e-6), Pair(Metric::kMaxAbs, 5e-4)));
  EXPECT_THAT(profile.limits[Rung::kPositions],
              UnorderedElementsAre(Pair(Metric::kMse, 2e-6), Pair(Metric::kKl, 5e-4), Pair(Metric::kTop5Overlap, 0.95),
                                   Pair(Metric::kMaxAbs, 1e-3), Pair(Metric::kCosine, 0.999)));
  EXPECT_THAT(profile.limits[Rung::kDecode], testing::IsEmpty());
  EXPECT_EQ(profile.decode_tie, 1e-6);
}

TEST(Thresholds, CosineIsTheSeedsWorkingValues) {
  Profile profile = LoadProfile(kFile, "cosine");
  EXPECT_THAT(profile.limits[Rung::kFirstLogit], ElementsAre(Pair(Metric::kCosine, 0.9999)));
  EXPECT_THAT(profile.limits[Rung::kPositions], ElementsAre(Pair(Metric::kCosine, 0.999)));
}

TEST(Thresholds, EveryProfileOfTheFileLoads) {
  EXPECT_THAT(ProfileNames(kFile), UnorderedElementsAre("strict", "cosine", "exact"));
  for (const std::string& name : ProfileNames(kFile)) EXPECT_NO_THROW(LoadProfile(kFile, name)) << name;
}

TEST(Thresholds, TheFileIsPartOfTheProgram) {
  EXPECT_EQ(ProfileNames(""), ProfileNames(kFile));
  for (const std::string& name : ProfileNames(kFile)) {
    EXPECT_EQ(LoadProfile("", name).limits, LoadProfile(kFile, name).limits) << name;
    EXPECT_EQ(LoadProfile("", name).decode_tie, LoadProfile(kFile, name).decode_tie) << name;
  }
  EXPECT_THAT(ErrorOf([] { LoadProfile("", "lax"); }), HasSubstr("built-in thresholds.json: no profile \"lax\""));
}

TEST(Thresholds, OverridesReplaceAndAdd) {
  Profile profile = LoadProfile(kFile, "strict");
  Override(profile, "positions.mse=1e-5");
  Override(profile, "decode.max_abs=0.25");
  Override(profile, "decode.tie=0");
  EXPECT_EQ(profile.limits[Rung::kPositions].at(Metric::kMse), 1e-5);
  EXPECT_EQ(profile.limits[Rung::kDecode].at(Metric::kMaxAbs), 0.25);
  EXPECT_EQ(profile.decode_tie, 0);
  OverrideCosine(profile, 0.99);
  EXPECT_EQ(profile.limits[Rung::kFirstLogit].at(Metric::kCosine), 0.99);
  EXPECT_EQ(profile.limits[Rung::kPositions].at(Metric::kCosine), 0.99);
  EXPECT_THAT(profile.overrides, ElementsAre("positions.mse=1e-5", "decode.max_abs=0.25", "decode.tie=0",
                                             "first-logit.cosine=0.99", "positions.cosine=0.99"));
}

TEST(Thresholds, OverridesThatCannotBeMeant) {
  Profile profile = LoadProfile(kFile, "strict");
  const std::pair<const char*, const char*> cases[] = {
      {"positions.mse", "expected stage.metric=number"},
      {"mse=1", "expected stage.metric=number"},
      {"positions.mse=", "is not a number"},
      {"positions.mse=1e-5x", "is not a number"},
      {"positions.mse=-1", "at least 0"},
      {"positions.mse=nan", "at least 0"},
      {"positions.mse=inf", "finite"},
      {"positions.cosine=1.5", "from -1 to 1"},
      {"positions.top5_overlap=95", "from 0 to 1"},
      {"positions.rmse=1", "known are mse"},
      {"positions.tie=1", "known are mse"},
      {"tokens.mse=1", "has no thresholds"},
      {"decode.tie=-1", "at least 0"},
  };
  for (const auto& [assignment, expected] : cases) {
    const std::string message = ErrorOf([&] { Override(profile, assignment); });
    EXPECT_THAT(message, HasSubstr(expected)) << assignment;
    EXPECT_THAT(message, HasSubstr(assignment));
  }
  EXPECT_THAT(ErrorOf([&] { OverrideCosine(profile, 2); }), HasSubstr("from -1 to 1"));
}

TEST(Thresholds, GradesOfARow) {
  const Limits limits = {{Metric::kMaxAbs, 1e-3}, {Metric::kCosine, 0.99}};
  const auto grade = [&limits](double max_abs, double cosine) {
    RowMetrics row;
    row.max_abs = max_abs;
    row.cosine = cosine;
    return GradeRow(row, limits);
  };
  EXPECT_EQ(grade(0, 1), Grade::kOk);
  EXPECT_EQ(grade(5e-4, 1), Grade::kOk);
  EXPECT_EQ(grade(6e-4, 1), Grade::kWarn);  // more than half of the limit
  EXPECT_EQ(grade(0, 0.994), Grade::kWarn);
  EXPECT_EQ(grade(2e-3, 1), Grade::kFail);
  EXPECT_EQ(grade(6e-4, 0.98), Grade::kFail);
  EXPECT_EQ(GradeRow(RowMetrics(), ExactProfile().limits.at(Rung::kPositions)), Grade::kOk);
  RowMetrics nan;
  nan.non_finite = 1;
  EXPECT_EQ(GradeRow(nan, {}), Grade::kFail);
  EXPECT_EQ(GradeName(Grade::kWarn), "WARN");
}

TEST(Thresholds, BrokenFilesNameFileAndKey) {
  EXPECT_THAT(ErrorOf([] { LoadProfile("/nonexistent/t.json", ""); }), HasSubstr("/nonexistent/t.json: cannot open"));
  EXPECT_THAT(ErrorOf([] { LoadProfile(kFile, "lax"); }),
              HasSubstr("no profile \"lax\"; there are cosine, exact, strict"));
  EXPECT_THAT(ErrorOfFile("{", ""), HasSubstr("not valid JSON"));
  EXPECT_THAT(ErrorOfFile("[]", ""), HasSubstr("found array, expected an object"));
  EXPECT_THAT(ErrorOfFile(R"({"schema": "other/1"})", ""), HasSubstr("schema: found 'other/1'"));
  const std::string head = R"({"schema": "bitnet-parity/thresholds/1", "default": "p", "profiles": )";
  EXPECT_THAT(ErrorOfFile(R"({"schema": "bitnet-parity/thresholds/1", "default": "p"})", ""),
              HasSubstr("profiles: missing key"));
  EXPECT_THAT(ErrorOfFile(R"({"schema": "bitnet-parity/thresholds/1", "profiles": {}, "default": 3})", ""),
              HasSubstr("default: found number"));
  EXPECT_THAT(ErrorOfFile(head + "[]}", ""), HasSubstr("profiles: found array"));
  EXPECT_THAT(ErrorOfFile(head + R"({"p": 1}})", ""), HasSubstr("profiles.p: found number"));
  EXPECT_THAT(ErrorOfFile(head + R"({"p": {"positions": 1}}})", ""), HasSubstr("profiles.p.positions: found number"));
  EXPECT_THAT(ErrorOfFile(head + R"({"p": {"positions": {"mse": "1"}}}})", ""),
              HasSubstr("profiles.p.positions.mse: found string"));
  EXPECT_THAT(ErrorOfFile(head + R"({"p": {"layers": {"mse": 1}}}})", ""),
              HasSubstr("stage \"layers\" has no thresholds"));
  EXPECT_THAT(ErrorOfFile(head + R"({"p": {"positions": {"mse": 1}}}})", ""),
              HasSubstr("first-logit: no limit at all"));
}

// What is masked says nothing of how large the other logits are.
TEST(Thresholds, AMaskedLogitMakesNoTie) {
  Profile profile = LoadProfile("", "cosine");
  EXPECT_EQ(profile.decode_tie_cosine, 0.999);
  std::vector<float> row(200, 2.0f);
  EXPECT_NEAR(TieWithin(profile, row), 2 * std::sqrt(0.002), 1e-9);
  for (const float mask : {-1e30f, -std::numeric_limits<float>::infinity()}) {
    row[7] = mask;
    EXPECT_NEAR(TieWithin(profile, row), 2 * std::sqrt(0.002), 1e-9) << mask;
  }
  for (size_t i = 0; i < 20; ++i) row[i] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(TieWithin(profile, row), 1e-6);
  row.assign(200, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(TieWithin(profile, row), 1e-6);
  Override(profile, "decode.tie_cosine=1");
  row.assign(200, 2.0f);
  EXPECT_EQ(TieWithin(profile, row), 1e-6);
  EXPECT_THROW(Override(profile, "decode.tie_cosine=1.5"), std::runtime_error);
}

}  // namespace
}  // namespace parity
