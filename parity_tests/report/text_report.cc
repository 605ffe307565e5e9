#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/metrics.h"
#include "parity_tests/judge/thresholds.h"
#include "parity_tests/report/color.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/report.h"
#include "parity_tests/report/said_report.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

Color ColorOf(Status status) {
  switch (status) {
    case Status::kPass:
      return Color::kGreen;
    case Status::kFail:
      return Color::kRed;
    case Status::kSkip:
    case Status::kNotJudged:
      return Color::kYellow;
    case Status::kNotReached:
      return Color::kDim;
  }
  return Color::kNone;
}

std::string Indent(const std::string& text, const std::string& by) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out += fmt::format("{}{}\n", by, line);
  return out;
}

// The worst values on one line: "mse 0, max_abs 0, ..."; and where bits differ, how far.
std::string WorstLine(const RungResult& result) {
  const WorstRows& worst = result.worst;
  std::vector<std::string> parts;
  for (const Metric metric : {Metric::kMse, Metric::kMaxAbs, Metric::kKl, Metric::kTop5Overlap, Metric::kCosine}) {
    parts.push_back(fmt::format("{} {}", MetricName(metric), FormatMetric(metric, worst.value(metric))));
  }
  const std::string furthest = DescribeFurthest(worst, PositionName(result.rung));
  return fmt::format("worst {}; {} of the logits bit-identical{}", fmt::join(parts, ", "),
                     FormatShare(worst.identical_share()), furthest.empty() ? "" : ", largest distance " + furthest);
}

std::string TopCell(const std::vector<TopToken>& top, size_t i) {
  if (i >= top.size()) return "";
  return fmt::format("{:>7} {} {:.6g}", top[i].id, Quote(top[i].text), top[i].logit);
}

std::string TopTable(const RungResult& result, const std::string& candidate, const std::string& reference) {
  size_t width = candidate.size();
  for (size_t i = 0; i < result.top_candidate.size(); ++i) {
    width = std::max(width, TopCell(result.top_candidate, i).size());
  }
  const std::string reference_head = fmt::format("{:8}{}", "", reference),
                    candidate_head = fmt::format("{:8}{}", "", candidate);
  width = std::max(width, candidate_head.size());
  std::string out = fmt::format("top-5   {:<{}}  {}\n", candidate_head, width, reference_head);
  for (size_t i = 0; i < std::max(result.top_candidate.size(), result.top_reference.size()); ++i) {
    out += fmt::format("   {}    {:<{}}  {}\n", i + 1, TopCell(result.top_candidate, i), width,
                       TopCell(result.top_reference, i));
  }
  return out;
}

// Everything about one stage beyond its first line.
std::string Details(const RungResult& result, const std::string& candidate, const std::string& reference) {
  std::string out = result.message.empty() ? "" : result.message + "\n";
  if (result.position >= 0 && result.token >= 0) out += fmt::format("at {}\n", DescribePosition(result));
  for (const Check& check : result.checks) {
    out += fmt::format("{:<14} {:>10}  {:<12} {}\n", MetricName(check.metric), FormatMetric(check.metric, check.worst),
                       FormatLimit(check), check.pass ? "ok" : fmt::format("over, position {}", check.position));
  }
  if (result.worst.rows() > 0) out += WorstLine(result) + "\n";
  if (!result.top_candidate.empty() || !result.top_reference.empty()) out += TopTable(result, candidate, reference);
  for (const std::string& hint : result.hints) out += "hint: " + hint + "\n";
  return out;
}

// What stands at a position: the prompt's token; of generated ones each side's.
std::string TokenOf(const Verdict& verdict, const RungResult& result, size_t row) {
  const auto i = static_cast<size_t>(result.PositionOf(row));
  if (InfoOf(result.rung).positions != PositionKind::kGenerated) {
    return i < verdict.tokens.size() ? fmt::format("token {}", verdict.tokens[i]) : "";
  }
  const auto token = [i](const Said& said) {
    return i < said.ids.size() ? fmt::format("{} {}", said.ids[i], Quote(said.pieces[i])) : std::string("(end)");
  };
  const std::string candidate = token(verdict.said_candidate), reference = token(verdict.said_reference);
  return candidate == reference ? fmt::format("-> {} (both)", candidate)
                                : fmt::format("-> {}, the reference {}", candidate, reference);
}

// Each position with its grade: green ticks, and an arrow at the first one that is over a limit.
std::string EveryPosition(const Verdict& verdict, const RungResult& result, bool color) {
  const Limits limits = LimitsOf(verdict.profile, result.rung);
  std::string out = fmt::format("  {:>8} {:<4}", "position", "");
  for (const Metric metric : kMetrics) out += fmt::format(" {:>13}", MetricName(metric));
  out += "\n";
  for (size_t i = 0; i < result.rows.size(); ++i) {
    const Grade grade = GradeRow(result.rows[i], limits);
    const Color paint = grade == Grade::kOk ? Color::kGreen : grade == Grade::kWarn ? Color::kYellow : Color::kRed;
    out += fmt::format("{} {:>8} {}", result.PositionOf(i) == result.first_over ? ">" : " ", result.PositionOf(i),
                       Paint(fmt::format("{:<4}", GradeName(grade)), paint, color));
    for (const Metric metric : kMetrics)
      out += fmt::format(" {:>13}", FormatMetric(metric, MetricValue(result.rows[i], metric)));
    out += "  " + TokenOf(verdict, result, i) + "\n";
  }
  return out;
}

// What was run, a line each.
std::string Facts(const Verdict& verdict) {
  std::string out;
  const auto line = [&out](std::string_view key, const std::string& value) {
    if (!value.empty()) out += fmt::format("  {:<10} {}\n", key, value);
  };
  line("candidate", DescribeBackend(verdict.candidate));
  line("reference", DescribeBackend(verdict.reference));
  line("model", verdict.model.architecture.empty()
                    ? verdict.model.path
                    : fmt::format("{} ({})", verdict.model.path, verdict.model.architecture));
  if (verdict.request.token_ids) {
    line("prompt", fmt::format("{} token ids", verdict.request.token_ids->size()));
  } else {
    std::string prompt = Quote(verdict.request.prompt);
    if (prompt.size() > 96) prompt = Quote(verdict.request.prompt.substr(0, 72)) + "...";
    line("prompt", fmt::format("{} ({})", prompt, verdict.request.prompt_template));
  }
  line("schedule", std::string(ScheduleName(verdict.request.schedule)));
  line("profile", DescribeProfile(verdict.profile));
  line("coverage", DescribeCoverage(verdict));
  line("missing", CoverageProblem(verdict));
  for (const std::string& note : verdict.notes) line("note", note);
  return out;
}

// One rung of the whole ladder.
std::string RungLines(const Verdict& verdict, const RungResult& result, const std::string& candidate,
                      const std::string& reference, const TextOptions& options) {
  const std::string what = WhatWasCompared(result);
  std::string out = fmt::format("  {:<12} {}", RungName(result.rung),
                                Paint(StatusName(result.status), ColorOf(result.status), options.color));
  const size_t padding = 13 - std::min<size_t>(11, StatusName(result.status).size());
  out += what.empty() ? "\n" : fmt::format("{:{}}{}\n", "", padding, what);
  const std::string indent(15, ' ');
  if (result.status == Status::kFail) out += Indent(Details(result, candidate, reference), indent);
  if (result.status == Status::kPass && result.worst.rows() > 0) out += indent + WorstLine(result) + "\n";
  for (const std::string& note : result.notes) out += fmt::format("{}note: {}\n", indent, note);
  if (options.verbose && !result.equal.empty()) {
    out += fmt::format("{}both: {}\n", indent, fmt::join(result.equal, ", "));
  }
  if (options.verbose && !result.rows.empty()) {
    out += Indent(EveryPosition(verdict, result, options.color), indent);
  }
  return out;
}

}  // namespace

std::string RungReport(const RungResult& result, const std::string& candidate, const std::string& reference) {
  std::string out = fmt::format("{}: {}", RungName(result.rung), StatusName(result.status));
  if (!result.compared.empty()) out += ", " + result.compared;
  out += "\n" + Indent(Details(result, candidate, reference), "  ");
  for (const std::string& note : result.notes) out += "  note: " + note + "\n";
  if (result.status == Status::kFail) {
    const RungInfo& rung = InfoOf(result.rung);
    out += "  usual causes:\n";
    for (const std::string_view cause : rung.usual_causes()) out += fmt::format("    - {}\n", cause);
    out += fmt::format("  next: {}\n", rung.next_step);
  }
  return out;
}

std::string TextReport(const Verdict& verdict, const TextOptions& options) {
  const std::string candidate = verdict.candidate.name.empty() ? "candidate" : verdict.candidate.name;
  const std::string reference = verdict.reference.name.empty() ? "reference" : verdict.reference.name;
  const Outcome outcome = verdict.outcome();
  const Color headline = outcome == Outcome::kParity                                          ? Color::kGreen
                         : outcome == Outcome::kLimitedParity || outcome == Outcome::kSkipped ? Color::kYellow
                                                                                              : Color::kRed;
  std::string out = Paint(Headline(verdict), headline, options.color) + "\n";
  out += Facts(verdict) + "\n";
  for (const RungResult& result : verdict.rungs) out += RungLines(verdict, result, candidate, reference, options);
  out += SaidText(SaidSidesOf(verdict), options.color);
  if (const auto failed = verdict.failed_rung();
      failed && options.usual_causes && !verdict.rung(*failed).explains_itself) {
    out += "\n" + Paint("What usually causes that", Color::kBold, options.color) + "\n";
    for (const std::string_view cause : InfoOf(*failed).usual_causes()) out += fmt::format("  - {}\n", cause);
    out += fmt::format("{}\n  {}\n", Paint("Next", Color::kBold, options.color), InfoOf(*failed).next_step);
  }
  return out;
}

}  // namespace parity
