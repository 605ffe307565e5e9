// Any number of engines as a user compares them: live ones, a capture, and one with a mistake.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parity_tests/cli/cli_for_test.h"
#include "parity_tests/report/html_for_test.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// `order` gives the bits of the recorded capture.
const std::string kOrder = "native:llama.cpp-avx512-bf16";
const std::string kWrong = "exec:" NOT_EXACT_ENGINE " --fault activation";

ProcessResult Compare(std::vector<std::string> engines, const std::vector<std::string>& more = {}) {
  engines.insert(engines.begin(), "compare");
  for (const char* word : {"--model", kTrainedModel.c_str(), "--prompt", "Hello", "--threads", "1"})
    engines.emplace_back(word);
  engines.insert(engines.end(), more.begin(), more.end());
  return RunParity(engines);
}

TEST(Compare, TheOneWithAMistakeStandsAloneAndIsAtFault) {
  const ProcessResult text = Compare({kOrder, kRecordedHello, kWrong});
  EXPECT_EQ(text.exit_code, 1) << text.last_words;
  EXPECT_THAT(text.output, AllOf(StartsWith("DIVERGENCE: C stands alone; C is at fault; A and B agree in every bit\n"),
                                 HasSubstr("(certain, activation_function)")));
  const nlohmann::json json =
      nlohmann::json::parse(Compare({kOrder, kRecordedHello, kWrong}, {"--format", "json"}).output);
  EXPECT_EQ(json["engines"][2]["alone"], true);
  EXPECT_EQ(json["engines"][2]["at_fault"], "candidate");
  EXPECT_EQ(json["engines"][0]["alone"], false);
  EXPECT_EQ(json["pairs"][0]["equal"], true);
  EXPECT_EQ(json["pairs"][0]["logits"]["max_abs"], 0);
  EXPECT_EQ(json["pairs"][1]["first"]["position"], 0);
  EXPECT_GT(json["pairs"][1]["first"]["max_abs"], 0);  // from the tensors: both engines were asked once more
}

TEST(Compare, PageIsWellFormed) {
  const ProcessResult page = Compare({kOrder, kRecordedHello, kWrong}, {"--format", "html"});
  EXPECT_EQ(Malformed(page.output), "");
  EXPECT_THAT(page.output, AllOf(HasSubstr("C stands alone"), HasSubstr("Each beside each"), HasSubstr(">equal<"),
                                 HasSubstr("activation_function")));
}

TEST(Compare, NativeFollowsTheFirstOfTheOthers) {
  const ProcessResult equal = Compare({"native", kRecordedHello});
  EXPECT_EQ(equal.exit_code, 0) << equal.last_words;
  EXPECT_THAT(equal.output, StartsWith("PARITY: all 2 agree in every bit\n"));
}

TEST(Compare, TwoOrdersPartByRoundingInNamedPlaces) {
  const ProcessResult result = Compare({kOrder, "native:llama.cpp-avx2"}, {"--profile", "cosine", "--no-explanation"});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, AllOf(StartsWith("PARITY: all pairs are within the limits of cosine\n"),
                                   HasSubstr("layer "), HasSubstr("within limits"), Not(HasSubstr("Why"))));
}

TEST(Compare, AnEngineThatFailsCostsItsOwnRow) {
  const ProcessResult result = Compare({kOrder, "exec:false", kRecordedHello});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output,
              AllOf(StartsWith("ERROR: B gave no answer; A and C agree in every bit\n"), HasSubstr("no answer: ")));
}

TEST(Compare, LiveReference) {
  if (!MakeBackend("llama.cpp", ReferenceEngines())->Probe().available) GTEST_SKIP() << "llama.cpp is not here";
  const ProcessResult result = Compare({"llama.cpp", "native", kWrong}, {"--no-explanation"});
  EXPECT_EQ(result.exit_code, 1) << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("C stands alone"));
}

}  // namespace
}  // namespace parity
