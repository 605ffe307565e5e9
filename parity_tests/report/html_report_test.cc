#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/html_for_test.h"
#include "parity_tests/report/report.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class HtmlReportTest : public testing::Test {
 protected:
  HtmlReportTest() { UseProfile("strict"); }
  void UseProfile(const std::string& name) {
    options.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", name);
  }
  Verdict Climb() { return parity::Climb(captures.candidate, captures.reference, options); }
  std::string Page(const Explanation* explanation = nullptr) {
    const Verdict verdict = Climb();
    return Page(HtmlClimb{.verdict = &verdict, .explanation = explanation, .captures = &captures});
  }
  static std::string Page(const HtmlClimb& climb) {
    const std::string page = HtmlReport({&climb, 1});
    EXPECT_EQ(Malformed(page), "");
    EXPECT_TRUE(Utf8(page) == page) << "no UTF-8, or a control character";
    return page;
  }
  // Both sides with `n` prompt positions, all alike.
  void Lengthen(int n) {
    for (Capture* c : {&captures.candidate, &captures.reference}) {
      c->tokens.assign(static_cast<size_t>(n), 7);
      c->pieces.assign(static_cast<size_t>(n), " the");
      c->shapes.attends.resize(static_cast<size_t>(n));
      for (int i = 0; i < n; ++i) c->shapes.attends[static_cast<size_t>(i)] = {{0, i}};
      c->shapes.logits[0] = n;
      c->shapes.n_ctx = c->shapes.kv_cells = (n + 4 + 255) / 256 * 256;
      const std::vector<float> row(c->logits.row(5), c->logits.row(6));
      c->logits = {n, 64, {}};
      for (int i = 0; i < n; ++i) c->logits.data.insert(c->logits.data.end(), row.begin(), row.end());
    }
  }

  Captures captures = {CaptureForTest("native"), CaptureForTest("llama.cpp")};
  LadderOptions options;
};

constexpr char kCell[] = "<rect class=\"c ", kZero[] = "<rect class=\"c z\"", kPlot[] = "<svg class=\"plot\"";

TEST_F(HtmlReportTest, IdenticalIsNeutralInEveryCell) {
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("<h2 class=\"pass\">PARITY</h2>"));
  EXPECT_EQ(Occurrences(page, kCell), 6u * (6 + 4));  // six metrics; prompt positions and generated tokens
  EXPECT_EQ(Occurrences(page, kZero), 6u * (6 + 4));
  EXPECT_EQ(Occurrences(page, kPlot), 6u + 4);
  EXPECT_THAT(page, Not(HasSubstr("What differs")));
  for (const char* foreign : {"<script", "http:", "https:", "url(", "@import", "src="}) {
    EXPECT_THAT(page, Not(HasSubstr(foreign)));
  }
}

TEST_F(HtmlReportTest, ColoursAreStepsFromTheLimit) {
  At(captures.candidate.logits, 4, 5) += 0.5f;   // max_abs: 500 times its limit
  At(captures.candidate.logits, 2, 5) += 5e-5f;  // a twentieth of it
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("<h2 class=\"fail\">DIVERGENCE at positions</h2>"));
  EXPECT_EQ(Occurrences(page, kCell), 36u);
  EXPECT_EQ(Occurrences(page, kZero), 24u);
  const auto column = [&page](int i) {
    const size_t at = page.find(fmt::format("<title>position {}, ", i));
    return page.substr(at, page.find("</g>", at) - at);
  };
  EXPECT_THAT(column(4), AllOf(HasSubstr("position 4, token 30 &quot; begin&quot;"), HasSubstr("c o2"),
                               HasSubstr("max_abs 5.00e-01 (limit &lt;= 0.001)"), HasSubstr("c n4")));
  EXPECT_THAT(column(2), AllOf(HasSubstr("c w3"), Not(HasSubstr("c o"))));
  EXPECT_EQ(Occurrences(column(3), kZero), 6u);
}

TEST_F(HtmlReportTest, ALimitOfZeroIsExceededByAnyBit) {
  UseProfile("exact");
  At(captures.candidate.logits, 4, 5) = std::nextafter(At(captures.candidate.logits, 4, 5), 100.0f);
  EXPECT_THAT(Page(), AllOf(HasSubstr("c o3"), HasSubstr("bit_identical 98.44 % (limit &gt;= 1)")));
}

TEST_F(HtmlReportTest, TokenTextsAreText) {
  const std::string script = "<script>alert('&')</script>\n\x01";
  for (Capture* c : {&captures.candidate, &captures.reference}) {
    c->pieces[3] = script;
    c->pieces[4] = "\xe4\xbd";  // part of a character
    c->generated_pieces[0] = script;
    c->request.prompt = c->backend.version = "\x80\x1b<b>";
  }
  At(captures.candidate.logits, 4, 5) += 1;
  const std::string page = Page();
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, HasSubstr("token 7 &quot;&lt;script&gt;alert('&amp;')&lt;/script&gt;\\n\\x01&quot;"));
  EXPECT_THAT(page, HasSubstr("&quot;\\xE4\\xBD&quot;"));
  EXPECT_THAT(page, HasSubstr("native \uFFFD\uFFFD&lt;b&gt;"));
}

TEST_F(HtmlReportTest, NaNAndInfinityAreWords) {
  At(captures.candidate.logits, 3, 7) = std::numeric_limits<float>::quiet_NaN();
  At(captures.candidate.logits, 4, 7) = std::numeric_limits<float>::infinity();
  At(captures.reference.logits, 5, 7) = -std::numeric_limits<float>::infinity();
  const std::string page = Page();
  EXPECT_EQ(Occurrences(page, "<rect class=\"c inf\""), 18u);
  EXPECT_EQ(Occurrences(page, kZero), 18u);
  EXPECT_THAT(page, HasSubstr("NaN or infinity in 1 of the candidate"));
  EXPECT_THAT(page, HasSubstr("<td class=\"num\">nan</td>"));
  EXPECT_FALSE(std::regex_search(page, std::regex("(x|y|width|height)=\"-?(nan|inf)")));
}

TEST_F(HtmlReportTest, TopTenOfBothSidesStandBesideEachOther) {
  const int32_t expected = captures.reference.generated[1], other = (expected + 1) % 64;
  At(captures.candidate.decode_logits, 1, other) = 99;
  captures.candidate.generated[1] = other;
  const Verdict verdict = Climb();
  const std::string page = Page(
      {.verdict = &verdict, .captures = &captures, .piece_of = [](int32_t id) { return fmt::format("<{}>", id); }});
  EXPECT_THAT(page, HasSubstr("DIVERGENCE at decode"));
  EXPECT_EQ(Occurrences(page, kCell), 6u * (6 + 1));  // the tokens up to the difference
  const size_t at = page.find("<div class=\"card worst\"><h4>generated token 1, ");
  ASSERT_NE(at, std::string::npos);
  const std::string card = page.substr(at, page.find("</table>", at) - at);
  EXPECT_EQ(Occurrences(card, "<tr class=\"moved\">"), 11u);  // ten of the reference, and the candidate's own
  EXPECT_THAT(card,
              HasSubstr(fmt::format("<td class=\"num\">{0}</td><td class=\"text\" title=\"&quot;&lt;{0}&gt;&quot;\">"
                                    "&quot;&lt;{0}&gt;&quot;</td><td class=\"num\">1</td><td class=\"num\">99</td>"
                                    "<td class=\"num\">100 %</td><td class=\"num\">–</td>",
                                    other)));
  EXPECT_THAT(card, HasSubstr(fmt::format("{:+.2e}", 99.0 - At(captures.reference.decode_logits, 1, other))));
}

TEST_F(HtmlReportTest, ProbabilitiesAreBarsOfBothSides) {
  for (Capture* c : {&captures.candidate, &captures.reference}) {
    for (int64_t j = 0; j < 64; ++j) At(c->logits, 0, j) = -1e4f;
    At(c->logits, 0, 3) = At(c->logits, 0, 9) = 1000;  // half each
  }
  const std::string page = Page();
  const size_t at = page.find(kPlot);
  const std::string plot = page.substr(at, page.find("</svg>", at) - at);
  EXPECT_EQ(Occurrences(plot, "width=\"55.0\""), 4u);
  EXPECT_EQ(Occurrences(plot, "width=\"0.0\""), 6u);
  EXPECT_EQ(Occurrences(plot, ">50.00 %<"), 4u);
}

TEST_F(HtmlReportTest, OfManyPositionsTheWorstArePlotted) {
  Lengthen(1000);
  At(captures.candidate.logits, 777, 5) += 1e-4f;
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("PARITY"));
  EXPECT_EQ(Occurrences(page, kCell), 6u * (1000 + 4));
  EXPECT_EQ(Occurrences(page, kPlot), 32u + 4);
  EXPECT_EQ(Occurrences(page, "<h4>position 777, "), 2u);  // a table and a plot
  EXPECT_THAT(page, Not(HasSubstr("<h4>position 31, ")));
  EXPECT_THAT(page, HasSubstr("Of 1000 positions these are the 32 with the largest KL divergence; the JSON format"));
  EXPECT_EQ(Occurrences(page, "aria-label=\"positions "), 32u);  // 1000 in lines of 32
}

TEST_F(HtmlReportTest, OnePositionIsEnough) {
  Lengthen(1);
  options.last = Rung::kFirstLogit;
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("PARITY up to first-logit"));
  EXPECT_THAT(page, HasSubstr("<h4>1 position</h4>"));
  EXPECT_EQ(Occurrences(page, kCell), 6u);
}

TEST_F(HtmlReportTest, WhereAndWhyStandAboveTheStages) {
  At(captures.candidate.logits, 4, 5) += 1;
  Explanation explanation;
  explanation.not_bisected = "a recording <answers> nothing else";
  explanation.diagnosis.location = {.position = 4, .layer = 2, .point = Point::kFfnDown};
  EXPECT_THAT(Page(&explanation), HasSubstr("No known mistake gives"));
  explanation.diagnosis.causes.push_back(
      {"rope_layout", Certainty::kLikely, "a < b", "RoPE pairs others", "bitnet: element i"});
  const std::string page = Page(&explanation);
  for (const char* expected : {"ffn_down at position 4", "a recording &lt;answers&gt;", "(likely, rope_layout)",
                               "because a &lt; b", "do: bitnet: element i"}) {
    EXPECT_THAT(page.substr(0, page.find("<h3>Stages")), HasSubstr(expected));
  }
  EXPECT_THAT(page, Not(HasSubstr("What usually causes that")));
  EXPECT_THAT(Page(), HasSubstr("What usually causes that"));
}

TEST_F(HtmlReportTest, TwoClimbsAreOnePage) {
  const Verdict passed = Climb();
  At(captures.candidate.logits, 4, 5) += 1;
  const Verdict failed = Climb();
  const HtmlClimb climbs[] = {{.verdict = &passed}, {.verdict = &failed, .ids = {{"candidate prompt ids", {60, 11}}}}};
  const std::string page = HtmlReport(climbs);
  EXPECT_EQ(Malformed(page), "");
  EXPECT_THAT(page, HasSubstr("<title>bitnet-parity: PARITY, DIVERGENCE at positions</title>"));
  EXPECT_EQ(Occurrences(page, "<section class=\"climb\">"), 2u);
  EXPECT_EQ(Occurrences(page, "<h2 "), 2u);
  EXPECT_EQ(Occurrences(page, kPlot), 0u);             // no captures, no logits
  EXPECT_EQ(Occurrences(page, kCell), 6u * (10 + 6));  // the verdict has its rows
  EXPECT_THAT(page, HasSubstr("<h3>candidate prompt ids (2)</h3><p class=\"long\">60, 11</p>"));
}

TEST_F(HtmlReportTest, AClimbThatNeverHappenedSaysWhy) {
  RungResult preflight;
  preflight.status = Status::kFail;
  preflight.message = "no runner in <somewhere>";
  const Verdict error = NotClimbed(preflight, captures.reference.request, options.profile);
  EXPECT_THAT(
      Page({.verdict = &error}),
      AllOf(HasSubstr("<h2 class=\"fail\">ERROR at preflight</h2>"), HasSubstr("no runner in &lt;somewhere&gt;"),
            HasSubstr("No logits were compared."), HasSubstr("preflight failed"), Not(HasSubstr(kCell))));
  preflight.status = Status::kSkip;
  const Verdict skipped = NotClimbed(preflight, captures.reference.request, options.profile);
  EXPECT_THAT(Page({.verdict = &skipped}),
              AllOf(HasSubstr("<h2 class=\"skip\">SKIPPED</h2>"), HasSubstr("Why nothing was compared"),
                    HasSubstr("no runner in &lt;somewhere&gt;"), Not(HasSubstr("What usually causes that"))));

  captures.candidate.tokens.push_back(1);
  EXPECT_THAT(Page(), AllOf(HasSubstr("DIVERGENCE at tokens"), HasSubstr("No logits were compared."),
                            Not(HasSubstr("Logits side by side"))));
}

}  // namespace
}  // namespace parity
