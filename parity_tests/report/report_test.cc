#include "parity_tests/report/report.h"
#include "parity_tests/report/json_report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/numbers.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const nlohmann::json& Stage(const nlohmann::json& verdict, Rung rung) {
  return verdict.at("stages").at(static_cast<size_t>(rung));
}

class ReportTest : public testing::Test {
 protected:
  ReportTest() { options.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", "strict"); }
  Verdict Climb() { return parity::Climb(candidate, reference, options); }

  Capture candidate = CaptureForTest("native");
  Capture reference = CaptureForTest("llama.cpp");
  LadderOptions options;
};

TEST_F(ReportTest, ParityAsText) {
  const std::string text = TextReport(Climb(), {});
  EXPECT_THAT(text, StartsWith(R"(PARITY
  candidate  native v1.2 (zen4)
  reference  llama.cpp v1.2 (zen4)
  model      models/tiny.gguf (bitnet)
  prompt     "In the beginning" (raw)
  schedule   batch
  profile    strict

  preflight    pass         native v1.2 against llama.cpp v1.2
)"));
  for (const char* stage :
       {"tokens       pass         6 token ids\n", "shapes       pass         17 sizes, masks of 6 positions\n",
        "first-logit  pass         64 logits of position 0\n               worst mse 0, max_abs 0, ",
        "positions    pass         6 positions of 64 logits\n               worst mse 0, max_abs 0, "}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n  ") + stage));
  }
  EXPECT_THAT(text, testing::EndsWith(R"(
  decode       pass         4 of 4 greedy tokens equal
               worst mse 0, max_abs 0, kl 0, top5_overlap 1, cosine 1; 100 % of the logits bit-identical

What they said
  "g13g5g21g41"
  both say the same: if it is nonsense, it is the model or its prompt, and not the engine
)"));
}

// Where the texts part, token by token; in every format.
TEST_F(ReportTest, WhatTheyWouldSayIsShownSideBySide) {
  candidate.generated[2] = 7;
  candidate.generated_pieces[2] = "<b>|\xE2\n";  // markup, half a character, a line break
  const Verdict verdict = Climb();
  EXPECT_THAT(TextReport(verdict, {}), HasSubstr(R"(
What they said
  the first 2 tokens are the same, then they part
  both       "g13g5"
  native     "<b>|\xE2\ng41"
  llama.cpp  "g21g41"
)"));
  EXPECT_THAT(TextReport(verdict, {}), HasSubstr("\n>       2        7 \"<b>|\\xE2\\n\"       21 \"g21\"\n"));
  EXPECT_THAT(MarkdownReport(verdict), HasSubstr("```text\nnative     \"g13g5<b>|\\xE2\\ng41\"\n"));
  const nlohmann::json said = JsonReport(verdict)["said"];
  EXPECT_EQ(said["part_at"], 2);
  EXPECT_EQ(said["reference"]["text"], "g13g5g21g41");
  EXPECT_EQ(said["candidate"]["ids"][2], 7);
  EXPECT_EQ(said["candidate"]["pieces"][2]["bytes_hex"], "3c623e7ce20a");
  const HtmlClimb page = {.verdict = &verdict};
  EXPECT_THAT(HtmlReport({&page, 1}), testing::AllOf(HasSubstr("g13g5<mark>&lt;b&gt;|"), HasSubstr("What they said")));
  // Nothing was generated, so nobody said anything; and a stage that fails below leaves the texts.
  for (Capture* c : {&candidate, &reference}) c->generated.clear();
  EXPECT_THAT(TextReport(Climb(), {}), Not(HasSubstr("What they said")));
  EXPECT_TRUE(JsonReport(Climb())["said"].is_null());
  candidate = CaptureForTest("native");
  reference = CaptureForTest("llama.cpp");
  At(candidate.logits, 0, 3) += 1;
  EXPECT_THAT(TextReport(Climb(), {}), HasSubstr("both say the same, although they differ before that: "));
}

// An engine that shows no ids: by its bytes, and white space at the ends parts nobody.
TEST_F(ReportTest, WhatAProgramPrintedIsShownByItsBytes) {
  candidate.shown = {.tokens = false, .shapes = false, .logits = false, .generated = false, .decode_logits = false};
  candidate.generated.clear();
  candidate.generated_pieces.clear();
  candidate.text = "g13g5g21g41\n";
  EXPECT_THAT(TextReport(Climb(), {}), HasSubstr("\n  \"g13g5g21g41\\n\"\n  both say the same: "));
  candidate.text = " g13g5g7";
  const Verdict verdict = Climb();
  EXPECT_THAT(TextReport(verdict, {}), HasSubstr(R"(
  the first 6 bytes are the same, then they part
  both       "g13g5g"
  native     "7"
  llama.cpp  "21g41"
)"));
  EXPECT_THAT(TextReport(verdict, {}), Not(HasSubstr("(end)")));
  EXPECT_THAT(MarkdownReport(verdict), HasSubstr("```text\nnative     \" g13g5g7\"\n"));
  const HtmlClimb page = {.verdict = &verdict};
  EXPECT_THAT(HtmlReport({&page, 1}), HasSubstr("g13g5g<mark>7</mark>"));
  const nlohmann::json said = JsonReport(verdict)["said"];
  EXPECT_TRUE(said["part_at"].is_null());
  EXPECT_EQ(said["part_at_byte"], 6);
  // Two characters that begin with the same byte.
  const std::optional<Parting> part = PartAt({.printed = "a\xC3\xA9"}, {.printed = "a\xC3\xA8."});
  ASSERT_TRUE(part);
  EXPECT_EQ(part->at, 1u);
  EXPECT_EQ(part->rest_b, "\xC3\xA8.");
}

TEST_F(ReportTest, EachStepNamesItsToken) {
  EXPECT_THAT(TextReport(Climb(), {.verbose = true}),
              AllOf(HasSubstr("  token 30\n"), HasSubstr("  -> 13 \"g13\" (both)\n")));
  Verdict tie = Climb();  // behind a tie both go on with the reference's token
  tie.said_candidate.ids[1] = 7;
  tie.said_candidate.pieces[1] = "\xE2";
  EXPECT_THAT(TextReport(tie, {.verbose = true}), HasSubstr("  -> 7 \"\\xE2\", the reference 5 \"g5\"\n"));
}

TEST_F(ReportTest, DivergenceAsText) {
  for (int64_t j = 0; j < 64; ++j) At(candidate.logits, 4, j) = -At(reference.logits, 4, j);
  At(candidate.logits, 2, 5) += 0.01f;
  options.profile.overrides = {"decode.tie=0"};
  const std::string text = TextReport(Climb(), {});
  EXPECT_THAT(text, StartsWith("DIVERGENCE at positions\n"));
  for (const char* expected :
       {"profile    strict with decode.tie=0", "positions    fail", "at position 4, token 30 \" begin\"",
        "the first position over a limit is 2", "<= 2e-06", "over, position 4", ">= 0.95", "top-5",
        "What usually causes that", "a KV row off by one", "Next\n  run with --schedule both",
        "decode       not reached  positions failed"}) {
    EXPECT_THAT(text, HasSubstr(expected));
  }
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(TextReport(Climb(), {.color = true}), StartsWith("\x1b[31mDIVERGENCE"));
  EXPECT_THAT(text, Not(HasSubstr("max_ulp")));
  EXPECT_THAT(TextReport(Climb(), {.verbose = true}), HasSubstr("max_ulp"));
  EXPECT_THAT(TextReport(Climb(), {.verbose = true}), HasSubstr("  token 30\n"));
  EXPECT_THAT(text, Not(HasSubstr("n_layer 6")));
  EXPECT_THAT(TextReport(Climb(), {.verbose = true}), HasSubstr("both: prompt tokens 6, max_tokens 4, "));
  EXPECT_THAT(TextReport(Climb(), {.verbose = true}), HasSubstr(", n_layer 6, "));
}

TEST_F(ReportTest, BitsThatDifferAreNamedInEveryFormat) {
  options.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", "exact");
  float& logit = At(candidate.logits, 4, 12);
  logit = std::nextafter(std::nextafter(logit, 100.0f), 100.0f);
  At(candidate.logits, 2, 5) = std::nextafter(At(candidate.logits, 2, 5), 100.0f);
  const std::string values = fmt::format("({:.9g} and {:.9g})", logit, At(reference.logits, 4, 12));
  const std::string furthest = "2 ULP at position 4, token 12 " + values;
  const std::string text = TextReport(Climb(), {});
  EXPECT_THAT(text, StartsWith("DIVERGENCE at positions\n"));
  EXPECT_THAT(text, HasSubstr("2 of 384 logits differ; largest distance " + furthest +
                              "; the first position over a limit is 2\n"));
  EXPECT_THAT(text, HasSubstr("at position 4, token 30 \" begin\""));
  EXPECT_THAT(text, HasSubstr("99.48 % of the logits bit-identical, largest distance " + furthest + "\n"));
  EXPECT_THAT(MarkdownReport(Climb()), AllOf(HasSubstr("2 of 384 logits differ"), HasSubstr("| 99.48 %; " + furthest)));
  const nlohmann::json json = JsonReport(Climb());
  const nlohmann::json &rung = Stage(json, Rung::kPositions), &furthest_json = rung["furthest"];
  EXPECT_EQ(rung["differing"], 2);
  EXPECT_EQ(rung["logits"], 384);
  EXPECT_EQ(furthest_json["ulp"], 2);
  EXPECT_EQ(furthest_json["position"], 4);
  EXPECT_EQ(furthest_json["token"], 12);
  EXPECT_EQ(furthest_json["candidate"].get<float>(), logit);
  EXPECT_EQ(furthest_json["reference"].get<float>(), At(reference.logits, 4, 12));
  EXPECT_TRUE(Stage(json, Rung::kFirstLogit)["furthest"].is_null());
  EXPECT_EQ(Stage(json, Rung::kFirstLogit)["differing"], 0);

  // The same in a capture that differs in its greedy logits alone, and in one with a NaN.
  candidate = CaptureForTest("native");
  At(candidate.decode_logits, 3, 9) = std::nextafter(At(candidate.decode_logits, 3, 9), -100.0f);
  EXPECT_THAT(TextReport(Climb(), {}), HasSubstr("tokens are equal, their logits are not: 1 of 256 logits differ; "
                                                 "largest distance 1 ULP at generated token 3, token 9 ("));
  candidate = CaptureForTest("native");
  At(candidate.logits, 3, 7) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(TextReport(Climb(), {}), HasSubstr("largest distance inf ULP at position 3, token 7 (nan and "));
}

TEST_F(ReportTest, TopFiveOfBothSidesStandBesideEachOther) {
  const int32_t expected = reference.generated[1], other = (expected + 1) % 64;
  At(candidate.decode_logits, 1, other) = 99;
  candidate.generated[1] = other;
  options.piece_of = [](int32_t id) { return id % 2 ? "odd\n" : "even"; };
  const std::string text = TextReport(Climb(), {});
  EXPECT_THAT(text, StartsWith("DIVERGENCE at decode\n"));
  EXPECT_THAT(text, HasSubstr("native"));
  EXPECT_THAT(text, testing::ContainsRegex("1 +" + std::to_string(other) + " \"(odd\\\\n|even)\" 99 +" +
                                           std::to_string(expected)));
}

TEST_F(ReportTest, HintsAndNotesAreShown) {
  candidate.model.blake3.clear();
  candidate.tokens.insert(candidate.tokens.begin(), 60);
  for (const std::string& text : {TextReport(Climb(), {}), MarkdownReport(Climb())}) {
    EXPECT_THAT(text, AllOf(HasSubstr("does not say by hash"), HasSubstr("twice")));
  }
  EXPECT_EQ(JsonReport(Climb())["stages"][1]["hints"].size(), 1u);
  EXPECT_EQ(JsonReport(Climb())["stages"][0]["notes"].size(), 1u);
}

TEST_F(ReportTest, ErrorAndSkip) {
  RungResult preflight;
  preflight.status = Status::kSkip;
  preflight.message = "llama.cpp is not installed";
  Verdict verdict = NotClimbed(preflight, reference.request, options.profile);
  EXPECT_THAT(TextReport(verdict, {}), AllOf(StartsWith("SKIPPED\n"), HasSubstr("llama.cpp is not installed")));
  EXPECT_EQ(JsonReport(verdict)["verdict"], "skipped");
  EXPECT_THAT(MarkdownReport(verdict), AllOf(StartsWith("## SKIPPED"), HasSubstr("llama.cpp is not installed")));
  preflight.status = Status::kFail;
  verdict = NotClimbed(preflight, reference.request, options.profile);
  EXPECT_THAT(TextReport(verdict, {}),
              AllOf(StartsWith("ERROR at preflight\n"), HasSubstr("llama.cpp is not installed")));
  EXPECT_EQ(JsonReport(verdict)["verdict"], "error");
  EXPECT_EQ(JsonReport(verdict)["exit_code"], 2);
  EXPECT_THAT(MarkdownReport(verdict), StartsWith("## ERROR at preflight"));
}

TEST_F(ReportTest, StoppingEarlyIsNotFullParity) {
  options.last = Rung::kTokens;
  EXPECT_THAT(TextReport(Climb(), {}), StartsWith("PARITY up to tokens\n"));
}

TEST_F(ReportTest, OneStageAlone) {
  At(candidate.logits, 0, 3) += 1;
  const std::string text =
      RungReport(JudgeRung(Rung::kFirstLogit, candidate, reference, options), "native", "llama.cpp");
  EXPECT_THAT(text, AllOf(StartsWith("first-logit: fail, 64 logits of position 0\n"), HasSubstr("top-5"),
                          HasSubstr("native"), HasSubstr("usual causes:"), HasSubstr("next: one token is enough")));
}

TEST_F(ReportTest, Json) {
  At(candidate.logits, 3, 7) = std::numeric_limits<float>::quiet_NaN();
  reference.pieces[3] = "\xe4\xbd";  // part of a character
  const nlohmann::json json = JsonReport(Climb());
  EXPECT_EQ(json["schema"], "bitnet-parity/verdict/1");
  EXPECT_EQ(json["verdict"], "divergence");
  EXPECT_EQ(json["failed_stage"], "positions");
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["profile"]["name"], "strict");
  ASSERT_EQ(json["stages"].size(), Rungs().size());
  const nlohmann::json& rung = Stage(json, Rung::kPositions);
  EXPECT_EQ(rung["status"], "fail");
  EXPECT_EQ(rung["position"], 3);
  EXPECT_EQ(rung["worst"]["mse"]["value"], "inf");
  EXPECT_EQ(rung["worst"]["mse"]["position"], 3);
  EXPECT_EQ(rung["per_position"]["mse"].size(), 6u);
  EXPECT_EQ(rung["per_position"]["mse"][2], 0);
  EXPECT_EQ(rung["checks"].size(), 5u);
  EXPECT_EQ(rung["top5"]["candidate"][0]["logit"], "nan");
  EXPECT_DOUBLE_EQ(rung["bit_identical_share"], 5.0 / 6.0);
  EXPECT_EQ(Stage(json, Rung::kDecode)["status"], "not reached");
  EXPECT_GT(json["usual_causes"].size(), 1u);
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  EXPECT_EQ(nlohmann::json::parse(text)["verdict"], "divergence");

  candidate = CaptureForTest("native");
  const nlohmann::json parity = JsonReport(Climb());
  EXPECT_EQ(parity["verdict"], "parity");
  EXPECT_TRUE(parity["failed_stage"].is_null());
  EXPECT_EQ(parity["exit_code"], 0);
}

TEST_F(ReportTest, MarkdownKeepsItsTables) {
  reference.pieces[3] = candidate.pieces[3] = "|<b>*\n";
  At(candidate.logits, 3, 7) += 1;
  const std::string text = MarkdownReport(Climb());
  EXPECT_THAT(text, StartsWith("## DIVERGENCE at positions\n"));
  EXPECT_THAT(text, HasSubstr(R"(At position 3, token 7 "\|&lt;b>\*\\n")"));
  EXPECT_THAT(text, HasSubstr("| positions | fail | 6 positions of 64 logits |"));
  EXPECT_THAT(text, HasSubstr("| 5 | "));
  candidate = CaptureForTest("native");
  EXPECT_THAT(MarkdownReport(Climb()), StartsWith("## PARITY\n"));
}

TEST(Figures, NothingIsRoundedUpToPerfect) {
  EXPECT_EQ(FormatShare(1), "100 %");
  EXPECT_EQ(FormatShare(0.9999999), "99.99 %");
  EXPECT_EQ(FormatShare(0.12345), "12.35 %");
  EXPECT_EQ(FormatMetric(Metric::kCosine, 1), "1");
  EXPECT_EQ(FormatMetric(Metric::kCosine, 0.999999), "0.999999");
  EXPECT_EQ(FormatMetric(Metric::kCosine, 0.99999999), "1-1e-08");
  EXPECT_EQ(FormatMetric(Metric::kCosine, 1 - 1e-15), "1-1e-15");
  EXPECT_EQ(FormatMetric(Metric::kTop5Overlap, 0.999), "1-0.001");
  EXPECT_EQ(FormatMetric(Metric::kCosine, -1), "-1.000000");
  EXPECT_EQ(FormatMetric(Metric::kTop5Overlap, 0.8), "0.80");
  EXPECT_EQ(FormatMetric(Metric::kMse, 0), "0");
  EXPECT_EQ(FormatMetric(Metric::kMse, 1e-30), "1.00e-30");
  EXPECT_EQ(FormatMetric(Metric::kMaxUlp, 8388608), "8388608");
  EXPECT_EQ(FormatMetric(Metric::kKl, std::numeric_limits<double>::infinity()), "inf");
}

}  // namespace
}  // namespace parity
