#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/metrics.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/html_parts.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/report.h"
#include "parity_tests/report/said_report.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

constexpr size_t kMostPlots = 32;      // of prompt positions
constexpr size_t kMostGenerated = 16;  // generated tokens

std::string_view StatusClass(Status status) {
  constexpr std::string_view kClasses[] = {"pass", "fail", "skip", "none", "skip"};
  return kClasses[static_cast<size_t>(status)];
}

Status Overall(const Verdict& verdict) {
  switch (verdict.outcome()) {
    case Outcome::kParity:
    case Outcome::kLimitedParity:
      return Status::kPass;
    case Outcome::kSkipped:
      return Status::kSkip;
    default:
      return Status::kFail;
  }
}

std::string Facts(const Verdict& verdict) {
  std::string out;
  const auto fact = [&out](std::string_view key, const std::string& value, std::string_view open = "dd") {
    if (!value.empty()) out += Tag("dt", key) + Tag(open, Escape(value));
  };
  const Request& request = verdict.request;
  fact("candidate", DescribeBackend(verdict.candidate));
  fact("reference", DescribeBackend(verdict.reference));
  fact("model", verdict.model.architecture.empty()
                    ? verdict.model.path
                    : fmt::format("{} ({})", verdict.model.path, verdict.model.architecture));
  fact("prompt",
       request.token_ids ? fmt::format("{} token ids", request.token_ids->size())
                         : fmt::format("{} ({})", Quote(request.prompt), request.prompt_template),
       "dd class=\"long\"");
  fact("schedule", std::string(ScheduleName(request.schedule)));
  fact("profile", DescribeProfile(verdict.profile));
  fact("coverage", DescribeCoverage(verdict));
  fact("missing", CoverageProblem(verdict));
  for (const std::string& note : verdict.notes) fact("note", note);
  return Tag("dl", out);
}

std::string StageRow(const RungResult& result) {
  std::string cells =
      Tag("td", Tag("b", RungName(result.rung))) +
      Tag("td", Tag(fmt::format("span class=\"state {}\"", StatusClass(result.status)), StatusName(result.status)));
  if (result.worst.rows() == 0) {
    return Tag("tr", cells + Tag("td colspan=\"6\" class=\"lines\"", Escape(WhatWasCompared(result))));
  }
  const auto figure = [&cells](std::string_view label, const std::string& text) {
    cells += Tag(fmt::format("td class=\"num\" data-label=\"{}\"", label), Escape(text));
  };
  cells += Tag("td class=\"what-compared\"", Escape(WhatWasCompared(result)));
  for (const Metric metric : {Metric::kMse, Metric::kMaxAbs, Metric::kKl, Metric::kCosine}) {
    figure(MetricName(metric), FormatMetric(metric, result.worst.value(metric)));
  }
  figure("bit-identical", FormatShare(result.worst.identical_share()));
  return Tag("tr", cells);
}

std::string Stages(const Verdict& verdict) {
  std::string rows;
  const auto aside = [&rows](const std::string& text) {
    rows += Tag("tr", Tag("td", "") + Tag("td colspan=\"7\" class=\"dim lines\"", Escape(text)));
  };
  for (const RungResult& result : verdict.rungs) {
    rows += StageRow(result) + "\n";
    const std::string differs = DescribeDifference(result.worst, PositionName(result.rung));
    if (!differs.empty()) aside(differs);
    for (const std::string& note : result.notes) aside("note: " + note);
  }
  std::string head = Tag("th", "stage") + Tag("th", "status") + Tag("th", "compared");
  for (const char* name : {"worst mse", "max_abs", "kl", "cosine", "bit-identical"})
    head += Tag("th class=\"num\"", name);
  return Tag("h3", "Stages") + Tag("table class=\"stages\"", Tag("thead", Tag("tr", head)) + Tag("tbody", rows));
}

std::string Checks(const RungResult& result) {
  if (result.checks.empty()) return "";
  std::string rows =
      Tag("tr", Tag("th", "metric") + Tag("th class=\"num\"", "worst") + Tag("th class=\"num\"", "limit") +
                    Tag("th class=\"num\"", PositionName(result.rung)) + Tag("th", ""));
  for (const Check& check : result.checks) {
    rows += Tag(
        "tr", Tag("td", MetricName(check.metric)) +
                  Tag("td class=\"num\"", Escape(FormatMetric(check.metric, check.worst))) +
                  Tag("td class=\"num\"", Escape(FormatLimit(check))) +
                  Tag("td class=\"num\"", std::to_string(check.position)) +
                  Tag(check.pass ? "td class=\"state pass\"" : "td class=\"state fail\"", check.pass ? "ok" : "over"));
  }
  return Tag("table class=\"narrow\"", rows);
}

// What differs at the rung that failed or was skipped, and what usually causes that unless a cause is named.
std::string Failure(const RungResult& result, bool cause_named) {
  std::string out = Tag("h3", result.rung == Rung::kPreflight ? "Why nothing was compared" : "What differs");
  out += Tag("p class=\"what lines\"", Escape(result.message));
  if (result.position >= 0 && result.token >= 0) out += Tag("p", Escape("At " + DescribePosition(result)));
  for (const std::string& hint : result.hints) out += Tag("p", Escape("Hint: " + hint));
  out += Checks(result);
  if (cause_named || result.explains_itself || result.status != Status::kFail) return out;
  std::string causes;
  for (const std::string_view cause : InfoOf(result.rung).usual_causes()) causes += Tag("li", Escape(cause));
  return out + Tag("h3", "What usually causes that") + Tag("ul", causes) +
         Tag("p", Escape(fmt::format("Next: {}", InfoOf(result.rung).next_step)));
}

std::string WhereAndWhy(const Explanation& e) {
  std::string where, why;
  for (const std::string& line : WhereLines(e)) where += Tag("li", Escape(line));
  for (const Cause& cause : e.diagnosis.causes) {
    why += Tag("li", Tag("b", Escape(cause.what)) +
                         Escape(fmt::format(" ({}, {})", CertaintyName(cause.certainty), cause.id)) +
                         Tag("p", Escape("because " + cause.evidence)) + Tag("p", Escape("do: " + cause.remedy)));
  }
  std::string out = where.empty() ? "" : Tag("h3", "Where") + Tag("ul", where);
  if (!e.not_diagnosed.empty()) return out + Tag("p", Escape("No cause is named: " + e.not_diagnosed));
  out += Tag("h3", "Why");
  return out + (why.empty() ? Tag("p", "No known mistake gives what the candidate computed.") : Tag("ol", why));
}

// The prompt positions, or only the first if the others were not reached.
Positions PromptPositions(const HtmlClimb& climb) {
  const Positions all(climb, Rung::kPositions);
  return all.rows() > 0 ? all : Positions(climb, Rung::kFirstLogit);
}

std::string Heatmaps(const Positions& prompt, const Positions& decode) {
  if (prompt.rows() == 0) return Tag("p class=\"dim\"", "No logits were compared.");
  return Tag("h3", "Distance at each position") +
         Tag("p class=\"dim\"", "The logits behind each token; a pointer on a column shows its figures.") +
         HeatmapKey() + Heatmap(prompt) + Heatmap(decode);
}

// The `most` positions with the largest KL, in their order.
std::vector<size_t> WorstByKl(const Positions& at, size_t most) {
  std::vector<size_t> order(at.rows());
  std::iota(order.begin(), order.end(), 0);
  const auto kl = [&at](size_t i) {
    const double value = at.metrics(i)->kl;
    return std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
  };
  std::stable_sort(order.begin(), order.end(), [&kl](size_t a, size_t b) { return kl(a) > kl(b); });
  order.resize(std::min(order.size(), most));
  std::sort(order.begin(), order.end());
  return order;
}

// The first generated tokens, and the one that the stage is about.
std::vector<size_t> ShownGenerated(const Positions& decode) {
  std::vector<size_t> shown(std::min(decode.rows(), kMostGenerated));
  std::iota(shown.begin(), shown.end(), 0);
  const int64_t at = decode.result().position;
  if (at >= static_cast<int64_t>(shown.size())) shown.push_back(static_cast<size_t>(at));
  return shown;
}

// A card for each of `shown` that has logits on both sides.
std::string Cards(const Positions& at, const std::vector<size_t>& shown,
                  std::string (*card)(const Positions&, size_t)) {
  std::string out;
  for (const size_t i : shown) {
    if (at.has_logits(static_cast<int64_t>(i))) out += card(at, i);
  }
  return out;
}

// "" if there are at most `most`.
std::string LeftOut(const Positions& at, size_t most, std::string_view which) {
  if (at.rows() <= most) return "";
  return Tag("p class=\"dim\"", fmt::format("Of {} these are {}; the JSON format has the figures of all.",
                                            Count(at.rows(), at.result().rung), which));
}

std::string Logits(const Positions& prompt, const Positions& decode) {
  const std::vector<size_t> plotted = WorstByKl(prompt, kMostPlots), generated = ShownGenerated(decode);
  std::vector<size_t> worst;
  if (prompt.result().position >= 0) worst.push_back(static_cast<size_t>(prompt.result().position));
  const std::string tables = Cards(prompt, worst, TopTable) + Cards(decode, generated, TopTable);
  if (tables.empty()) return "";
  const std::string left_out =
      LeftOut(decode, kMostGenerated, fmt::format("the first {} and the worst", kMostGenerated));
  return Tag("h3", "Logits side by side") +
         Tag("p class=\"dim\"", "The ten largest of either side, at the worst position and at each generated token.") +
         left_out + Tag("div class=\"cards tables\"", tables) + Tag("h3", "Probabilities, token by token") +
         Key({{{"cand"}, "candidate"}, {{"ref"}, "reference"}}) +
         Tag("p class=\"dim\"", "The five likeliest next tokens of either side behind each token.") +
         LeftOut(prompt, kMostPlots, fmt::format("the {} with the largest KL divergence", kMostPlots)) + left_out +
         Tag("div class=\"cards plots\"", Cards(prompt, plotted, TopPlot) + Cards(decode, generated, TopPlot));
}

std::string ClimbSection(const HtmlClimb& climb) {
  const Verdict& verdict = *climb.verdict;
  const Status status = Overall(verdict);
  std::string out =
      Tag(fmt::format("h2 class=\"{}\"", StatusClass(status)), Escape(Headline(verdict))) + Facts(verdict) + "\n";
  const std::string why = climb.explanation == nullptr ? "" : WhereAndWhy(*climb.explanation);
  if (status == Status::kPass || !CoverageProblem(verdict).empty()) {
    out += Stages(verdict) + why;
  } else {
    const bool named = climb.explanation != nullptr && !climb.explanation->diagnosis.causes.empty();
    out += Failure(verdict.rung(verdict.failed_rung().value_or(Rung::kPreflight)), named) + why + Stages(verdict);
  }
  out += SaidHtml(SaidSidesOf(verdict));
  const Positions prompt = PromptPositions(climb), decode(climb, Rung::kDecode);
  out += Heatmaps(prompt, decode) + Logits(prompt, decode);
  for (const auto& [what, ids] : climb.ids) {
    out += Tag("h3", Escape(fmt::format("{} ({})", what, ids.size()))) +
           Tag("p class=\"long\"", fmt::format("{}", fmt::join(ids, ", ")));
  }
  return Tag("section class=\"climb\"", out) + "\n";
}

}  // namespace

std::string HtmlReport(std::span<const HtmlClimb> climbs) {
  std::string title = "bitnet-parity", body = Tag("h1", "bitnet-parity ladder");
  for (const HtmlClimb& climb : climbs) {
    title += (title.find(':') == std::string::npos ? ": " : ", ") + Headline(*climb.verdict);
    body += ClimbSection(climb);
  }
  return Page(title, "", body);
}

}  // namespace parity
