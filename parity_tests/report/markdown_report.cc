#include <fmt/format.h>

#include <algorithm>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/metrics.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/report.h"
#include "parity_tests/report/said_report.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

std::string TopCell(const std::vector<TopToken>& top, size_t i) {
  if (i >= top.size()) return " | | ";
  return fmt::format("{} | {} | {:.6g}", top[i].id, MarkdownCell(Quote(top[i].text)), top[i].logit);
}

std::string Facts(const Verdict& verdict) {
  std::string out;
  const auto item = [&out](std::string_view key, const std::string& value) {
    if (!value.empty()) out += fmt::format("- {}: {}\n", key, MarkdownCell(value));
  };
  item("candidate", DescribeBackend(verdict.candidate));
  item("reference", DescribeBackend(verdict.reference));
  item("model", verdict.model.path);
  item("prompt", verdict.request.token_ids
                     ? fmt::format("{} token ids", verdict.request.token_ids->size())
                     : fmt::format("{} ({})", Quote(verdict.request.prompt), verdict.request.prompt_template));
  item("schedule", std::string(ScheduleName(verdict.request.schedule)));
  item("profile", DescribeProfile(verdict.profile));
  item("coverage", DescribeCoverage(verdict));
  item("missing", CoverageProblem(verdict));
  for (const std::string& note : verdict.notes) item("note", note);
  return out;
}

std::string Stages(const Verdict& verdict) {
  std::string out = "| stage | status | compared | worst | bit-identical |\n| --- | --- | --- | --- | --- |\n";
  for (const RungResult& result : verdict.rungs) {
    std::string worst, identical;
    if (result.worst.rows() > 0) {
      worst = fmt::format("mse {}, max_abs {}, cosine {}", FormatMetric(Metric::kMse, result.worst.value(Metric::kMse)),
                          FormatMetric(Metric::kMaxAbs, result.worst.value(Metric::kMaxAbs)),
                          FormatMetric(Metric::kCosine, result.worst.value(Metric::kCosine)));
      const std::string furthest = DescribeFurthest(result.worst, PositionName(result.rung));
      identical = FormatShare(result.worst.identical_share()) + (furthest.empty() ? "" : "; " + furthest);
    }
    out += fmt::format("| {} | {} | {} | {} | {} |\n", RungName(result.rung), StatusName(result.status),
                       MarkdownCell(WhatWasCompared(result)), MarkdownCell(worst), MarkdownCell(identical));
  }
  for (const RungResult& result : verdict.rungs) {
    for (const std::string& note : result.notes) {
      out += fmt::format("\nNote on {}: {}\n", RungName(result.rung), MarkdownCell(note));
    }
  }
  return out;
}

std::string Checks(const RungResult& result) {
  if (result.checks.empty()) return "";
  std::string out = "\n| metric | worst | limit | position | |\n| --- | --- | --- | --- | --- |\n";
  for (const Check& check : result.checks) {
    out += fmt::format("| {} | {} | {} | {} | {} |\n", MarkdownCell(std::string(MetricName(check.metric))),
                       FormatMetric(check.metric, check.worst), FormatLimit(check), check.position,
                       check.pass ? "ok" : "over");
  }
  return out;
}

std::string TopTable(const RungResult& result, const Verdict& verdict) {
  const size_t rows = std::max(result.top_candidate.size(), result.top_reference.size());
  if (rows == 0) return "";
  std::string out = fmt::format("\n| | {} | | | {} | | |\n| --- | --- | --- | --- | --- | --- | --- |\n",
                                MarkdownCell(verdict.candidate.name), MarkdownCell(verdict.reference.name));
  for (size_t i = 0; i < rows; ++i) {
    out += fmt::format("| {} | {} | {} |\n", i + 1, TopCell(result.top_candidate, i), TopCell(result.top_reference, i));
  }
  return out;
}

}  // namespace

std::string MarkdownReport(const Verdict& verdict, bool usual_causes) {
  const auto failed = verdict.failed_rung();
  std::string out = fmt::format("## {}\n\n", Headline(verdict));
  out += Facts(verdict) + "\n" + Stages(verdict);
  const std::string said = SaidMarkdown(SaidSidesOf(verdict));
  if (!failed) return out + said;

  const RungResult& result = verdict.rung(*failed);
  out += fmt::format("\n### What differs\n\n{}\n", MarkdownCell(result.message));
  if (result.position >= 0 && result.token >= 0)
    out += fmt::format("\nAt {}\n", MarkdownCell(DescribePosition(result)));
  for (const std::string& hint : result.hints) out += fmt::format("\nHint: {}\n", MarkdownCell(hint));
  out += Checks(result) + TopTable(result, verdict) + said;
  if (!usual_causes || result.explains_itself) return out;
  out += "\n### What usually causes that\n\n";
  for (const std::string_view cause : InfoOf(*failed).usual_causes()) out += fmt::format("- {}\n", cause);
  return out + fmt::format("\nNext: {}\n", InfoOf(*failed).next_step);
}

}  // namespace parity
