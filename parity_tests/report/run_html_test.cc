#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/report/case_report.h"
#include "parity_tests/report/html_for_test.h"
#include "parity_tests/report/run_report.h"
#include "parity_tests/report/trace_report.h"
#include "reference/capture/hash.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class RunReportTest : public testing::Test {
 protected:
  RunReportTest() {
    options_.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", "strict");
    for (int layer = 0; layer < 3; ++layer) {
      for (const char* stage : {"q_proj", "ffn_down"}) {
        Trace(captures_.candidate, layer, stage, 1.0 + layer);
        Trace(captures_.reference, layer, stage, 1.0 + layer);
      }
    }
  }

  static void Trace(Capture& capture, int layer, const std::string& stage, double rms) {
    TraceRecord record;
    record.name = fmt::format("t0/blk{}/{}", layer, stage);
    record.layer = layer;
    record.stage = stage;
    record.point = bitnet::PointFromName(stage);
    record.shape = {64};
    record.num_elements = 64;
    record.rms = rms;
    record.blake3 = HashText(fmt::format("{}", rms));
    capture.traces.push_back(record);
    capture.request.trace = "core";
  }
  // Changes the RMS, and so the hash, of one of them.
  static void Change(Capture& capture, size_t i, double rms) {
    capture.traces[i].rms = rms;
    capture.traces[i].blake3 = HashText(fmt::format("{}", rms));
  }

  void Add(const std::string& prompt, const std::string& schedule) {
    const Verdict verdict = Climb(captures_.candidate, captures_.reference, options_);
    const CaseNames names = {prompt + "." + schedule, "llama.cpp", "tiny", prompt, schedule};
    report_.results.push_back(MakeCaseResult(names, verdict, &captures_, nullptr));
    report_.plan.cases.push_back({.names = names});
    report_.plan.command = "sweep";
  }

  std::string Page() const {
    const std::string page = RunHtml(report_);
    EXPECT_EQ(Malformed(page), "");
    EXPECT_TRUE(Utf8(page) == page) << "no UTF-8, or a control character";
    for (const char* foreign : {"<script", "http:", "https:", "url(", "@import", "src="}) {
      EXPECT_THAT(page, Not(HasSubstr(foreign)));
    }
    return page;
  }

  Captures captures_ = {CaptureForTest("native"), CaptureForTest("llama.cpp")};
  LadderOptions options_;
  RunReport report_;
};

TEST_F(RunReportTest, IdenticalIsNeutralInEveryCell) {
  Add("hello", "batch");
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("<h2 class=\"pass\">PARITY: 1 of 1 climbs passed"));
  EXPECT_EQ(Occurrences(page, "<rect class=\"c "), 6u);  // two stages of three layers
  EXPECT_EQ(Occurrences(page, "<rect class=\"c z\""), 6u);
  EXPECT_EQ(Occurrences(page, "<polyline class=\"line ref\""), 2u);
  EXPECT_EQ(Occurrences(page, "<polyline class=\"line noise\""), 0u);
}

// The reference's other schedule is its own noise: what lies within it has other colours.
TEST_F(RunReportTest, DistancesAreSetBesideTheNoise) {
  Add("hello", "token");
  Change(captures_.reference, 0, 1.001);  // layer 0, q_proj, as a batch
  Change(captures_.candidate, 0, 1.0005);
  Change(captures_.candidate, 3, 2.001);  // layer 1, ffn_down: the reference does not move there
  Change(captures_.candidate, 5, 3.5);    // layer 2, ffn_down: out of all proportion
  Add("hello", "batch");
  const std::string page = Page();
  const auto cell = [&page](const std::string& title) {
    const size_t at = page.rfind(fmt::format("<title>{}\n", title));  // of the second case
    return page.substr(at, page.find("</g>", at) - at);
  };
  EXPECT_THAT(cell("q_proj, layer 0"),
              AllOf(HasSubstr("class=\"c w"), HasSubstr("the reference against itself 0.000999"),
                    HasSubstr("RMS 1.0005, reference 1.001"), HasSubstr("0 of 1 tensors equal")));
  EXPECT_THAT(cell("ffn_down, layer 1"), HasSubstr("class=\"c n3\""));
  EXPECT_THAT(cell("ffn_down, layer 2"), HasSubstr("class=\"c o3\""));
  EXPECT_THAT(cell("q_proj, layer 1"), HasSubstr("class=\"c z\""));
  EXPECT_EQ(Occurrences(page, "<polyline class=\"line noise\""), 4u);
  EXPECT_THAT(page, HasSubstr("t0/blk0/q_proj"));
}

TEST_F(RunReportTest, TwoTracesAreAPage) {
  Change(captures_.candidate, 3, 2.5);
  captures_.candidate.backend.name = "<b>";
  captures_.candidate.request.trace = captures_.reference.request.trace = "full";
  const TraceDiff diff =
      DiffTraces(captures_.candidate, captures_.reference, {.raw = RawTensors::kNo, .check_complete = false});
  const std::string page = TraceDiffHtml(diff);
  EXPECT_EQ(Malformed(page), "");
  EXPECT_THAT(page, AllOf(HasSubstr("<h2 class=\"fail\">DIVERGENCE at t0/blk1/ffn_down</h2>"), HasSubstr("&lt;b&gt;"),
                          HasSubstr("<td class=\"num\">2.5</td>"), Not(HasSubstr("<b>"))));
  EXPECT_EQ(Occurrences(page, "<rect class=\"c z\""), 5u);
  EXPECT_EQ(Occurrences(page, "<rect class=\"c o3\""), 1u);
  EXPECT_EQ(Occurrences(page, "<polyline class=\"line cand\""), 2u);
  const TraceDiff equal =
      DiffTraces(captures_.reference, captures_.reference, {.raw = RawTensors::kNo, .check_complete = false});
  EXPECT_THAT(TraceDiffHtml(equal),
              AllOf(HasSubstr("<h2 class=\"pass\">EQUAL"), Not(HasSubstr("Tensors that differ"))));
}

TEST_F(RunReportTest, ThePagesFiguresAreThoseOfTheJson) {
  At(captures_.candidate.logits, 4, 9) += 2;
  Add("hello", "batch");
  const nlohmann::json json = RunJson(report_);
  EXPECT_EQ(json["cases"][0]["status"], "divergence");
  const double cosine = json["cases"][0]["cosine"];
  EXPECT_LT(cosine, 1);
  EXPECT_THAT(Page(),
              AllOf(HasSubstr(fmt::format("<td class=\"num\" data-label=\"worst cosine\">{:.6f}</td>", cosine)),
                    HasSubstr("<h2 class=\"fail\">DIVERGENCE: 0 of 1"), HasSubstr("excellent (cosine &gt;= 0.99)")));
  EXPECT_EQ(json["cases"][0]["candidate_text"], report_.results[0].candidate.Text());
}

TEST_F(RunReportTest, HostileTextIsText) {
  const std::string hostile = "<script>alert('&')</script>\n\x01]]>|`*\xe4\xbd";
  for (Capture* c : {&captures_.candidate, &captures_.reference}) {
    c->generated_pieces[0] = c->request.prompt = c->backend.version = hostile;
    c->request.model = c->model.path = hostile;
  }
  Trace(captures_.candidate, 0, hostile, 1);
  Trace(captures_.reference, 0, hostile, 2);
  captures_.candidate.generated[1] = 1;
  At(captures_.candidate.logits, 4, 5) += 1;
  Add("hello", "batch");
  EXPECT_THAT(Page(), HasSubstr("&lt;script&gt;alert("));
  const std::string junit = RunJunit(report_);
  EXPECT_THAT(junit, Not(HasSubstr("<script")));
  EXPECT_TRUE(Utf8(junit) == junit);
  const std::string head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  EXPECT_EQ(Malformed("<!DOCTYPE html>" + junit.substr(head.size())), "");
  const std::string markdown = RunMarkdown(report_);
  EXPECT_THAT(markdown, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("]]>|`"))));
  EXPECT_TRUE(IsValidUtf8(RunJson(report_).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)));
}

// What is written is read again, whatever is in it.
TEST_F(RunReportTest, AResultSurvivesItsFile) {
  captures_.candidate.generated_pieces[0] = "\xe4\xbd";
  At(captures_.candidate.logits, 4, 5) = std::nanf("");
  At(captures_.candidate.logits, 3, 5) += 1e-3f;
  Add("hello", "batch");
  const std::string file = fmt::format("{}/case_result.{}.json", testing::TempDir(), getpid());
  WriteJsonFile(file, ToJson(report_.results[0]));
  const CaseResult again = ReadCaseResult(file);
  EXPECT_EQ(ToJson(again), ToJson(report_.results[0]));
  RunReport read = report_;
  read.results = {again};
  EXPECT_EQ(RunMarkdown(read), RunMarkdown(report_));
  EXPECT_EQ(RunHtml(read), RunHtml(report_));
  EXPECT_EQ(RunJunit(read), RunJunit(report_));
  std::remove(file.c_str());
}

TEST_F(RunReportTest, WhatIsNotRunYetIsSaid) {
  Add("hello", "batch");
  report_.plan.cases.push_back({.names = {.id = "sum.batch"}});
  EXPECT_THAT(RunMarkdown(report_),
              AllOf(HasSubstr("; 1 not run yet**"), HasSubstr("- [ ] every case was run: 1 of 2")));
  EXPECT_EQ(RunJson(report_)["missing"], 1);
}

}  // namespace
}  // namespace parity
