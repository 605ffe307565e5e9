#include "parity_tests/report/insight_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "parity_tests/judge/metrics.h"
#include "parity_tests/judge/quote.h"
#include "parity_tests/report/color.h"
#include "parity_tests/report/figures.h"

namespace parity {
namespace {

nlohmann::json Number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

std::string Operation(const ReplayResult& r) {
  const std::string name(bitnet::PointName(r.place.point));
  return r.place.layer < 0 ? name : fmt::format("layer {} {}", r.place.layer, name);
}

// Results of one operation in all its layers.
struct OverLayers {
  bitnet::Point point = bitnet::Point::kEmbeddings;
  std::vector<const ReplayResult*> results;

  const ReplayResult& worst() const {
    return **std::max_element(results.begin(), results.end(),
                              [](const ReplayResult* a, const ReplayResult* b) { return a->max_error < b->max_error; });
  }
  int64_t sum(int64_t ReplayResult::*member) const {
    int64_t sum = 0;
    for (const ReplayResult* r : results) sum += r->*member;
    return sum;
  }
};

std::vector<OverLayers> ByOperation(const ReplayReport& report) {
  std::vector<OverLayers> rows;
  for (const ReplayResult& r : report.results) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const OverLayers& o) { return o.point == r.place.point; });
    if (row == rows.end()) row = rows.insert(rows.end(), {r.place.point, {}});
    row->results.push_back(&r);
  }
  std::sort(rows.begin(), rows.end(), [](const OverLayers& a, const OverLayers& b) { return a.point < b.point; });
  return rows;
}

nlohmann::json ReplayJson(const ReplayResult& r) {
  nlohmann::json json = {{"stage", bitnet::PointName(r.place.point)},
                         {"layer", r.place.layer},
                         {"verdict", ReplayVerdictName(r.verdict)},
                         {"elements", r.elements},
                         {"differing", r.differing},
                         {"max_abs", Number(r.max_abs)},
                         {"error_over_tolerance", Number(r.max_error)},
                         {"tolerance_units", r.tolerance_units}};
  if (r.index >= 0) {
    json["worst"] = {{"position", r.place.position},
                     {"index", r.index},
                     {"ours", Number(r.ours)},
                     {"reference", Number(r.reference)}};
  }
  if (!r.missing.empty()) json["missing"] = r.missing;
  return json;
}

std::string Describe(const std::string& side, const ReplayResult& r) {
  if (r.verdict == ReplayVerdict::kNotTraced) return fmt::format("  {:<10} not replayed\n", side);
  if (r.verdict == ReplayVerdict::kExact) return fmt::format("  {:<10} exact: {} elements\n", side, r.elements);
  return fmt::format("  {:<10} {}: {} of {} elements differ, max abs {:.3g}, {:.3g} of the tolerance\n", side,
                     ReplayVerdictName(r.verdict), r.differing, r.elements, r.max_abs, r.max_error);
}

}  // namespace

bool ReplayFails(const ReplayReport& report, const ReplayResult& result) {
  return result.verdict == ReplayVerdict::kGuilty || result.verdict == ReplayVerdict::kNotTraced ||
         (report.order_is_known && result.verdict != ReplayVerdict::kExact);
}

std::string ReplayText(const ReplayReport& report, bool color) {
  std::vector<const ReplayResult*> failed;
  for (const ReplayResult& r : report.results) {
    if (ReplayFails(report, r)) failed.push_back(&r);
  }
  std::string out = failed.empty() ? Paint("PARITY of every operation", Color::kGreen, color) + "\n"
                                   : Paint(fmt::format("DIVERGENCE: {} of {} operations, the first {}", failed.size(),
                                                       report.results.size(), Operation(*failed.front())),
                                           Color::kRed, color) +
                                         "\n";
  out +=
      fmt::format("  {:<10} {}\n  {:<10} {}\n  {:<10} {}\n  {:<10} {}\n\n", "reference",
                  DescribeBackend(report.reference), "model", report.model.path, "schedule", report.schedule, "order",
                  report.order_is_known
                      ? fmt::format("{}, that of the reference's build: every operation must be exact", report.order)
                      : fmt::format("{}; that of the reference's build is not known: tolerances judge", report.order));
  out += Paint(fmt::format("{:<20} {:>6} {:>10} {:>9} {:>10} {:>12} {:>10}  {}", "operation", "layers", "elements",
                           "differing", "max abs", "of tolerance", "tolerance", "verdict"),
               Color::kBold, color) +
         "\n";
  for (const OverLayers& row : ByOperation(report)) {
    const auto count = [&](ReplayVerdict v) {
      return std::count_if(row.results.begin(), row.results.end(),
                           [=](const ReplayResult* r) { return r->verdict == v; });
    };
    double max_abs = 0;
    for (const ReplayResult* r : row.results) max_abs = std::max(max_abs, r->max_abs);
    std::vector<std::string> verdicts;
    for (const ReplayVerdict v :
         {ReplayVerdict::kExact, ReplayVerdict::kWithin, ReplayVerdict::kGuilty, ReplayVerdict::kNotTraced}) {
      if (const auto n = count(v); n == static_cast<int64_t>(row.results.size())) {
        verdicts.emplace_back(ReplayVerdictName(v));
      } else if (n > 0) {
        verdicts.push_back(fmt::format("{} {}", n, ReplayVerdictName(v)));
      }
    }
    const bool fails = std::any_of(row.results.begin(), row.results.end(),
                                   [&](const ReplayResult* r) { return ReplayFails(report, *r); });
    out += fmt::format("{:<20} {:>6} {:>10} {:>9} {:>10.3g} {:>12.3g} {:>10.3g}  {}\n", bitnet::PointName(row.point),
                       row.results.size(), row.sum(&ReplayResult::elements), row.sum(&ReplayResult::differing), max_abs,
                       row.worst().max_error, row.worst().tolerance_units,
                       Paint(fmt::format("{}", fmt::join(verdicts, ", ")), fails ? Color::kRed : Color::kGreen, color));
  }
  out += "(tolerance: in units of 2^-23 times the largest magnitude of the row)\n";
  for (const ReplayResult* r : failed) {
    if (r->verdict == ReplayVerdict::kNotTraced) {
      out += fmt::format("{}: not traced: {} is missing\n", Operation(*r), r->missing);
    } else {
      out +=
          fmt::format("{}: {}, position {}, element {}: {:.9g} follows from the inputs, the reference has {:.9g}\n",
                      Operation(*r), ReplayVerdictName(r->verdict), r->place.position, r->index, r->ours, r->reference);
    }
  }
  return out;
}

nlohmann::json ReplayJson(const ReplayReport& report) {
  nlohmann::json json = {{"schema", "bitnet-parity/replay/1"},
                         {"reference", DescribeBackend(report.reference)},
                         {"model", report.model.path},
                         {"schedule", report.schedule},
                         {"order", report.order},
                         {"order_is_known", report.order_is_known},
                         {"verdict", "parity"},
                         {"operations", nlohmann::json::array()}};
  for (const ReplayResult& r : report.results) {
    json["operations"].push_back(ReplayJson(r));
    json["operations"].back()["fails"] = ReplayFails(report, r);
    if (ReplayFails(report, r)) json["verdict"] = "divergence";
  }
  return json;
}

std::string BisectionText(const Bisection& b, bool color) {
  std::string out;
  const bool named = b.place.point != Point::kUnknown;
  const std::string place = named ? PlaceText(b.place.layer, b.place.point) : "";
  if (b.verdict == BisectVerdict::kNoDivergence) {
    out += Paint("PARITY: nothing to bisect", Color::kGreen, color) + "\n";
  } else {
    std::string headline = fmt::format("DIVERGENCE ({})", BisectVerdictName(b.verdict));
    if (named && b.verdict == BisectVerdict::kOperation) headline += ": " + place;
    if (b.place.position >= 0) headline += fmt::format(" at position {}", b.place.position);
    out += Paint(headline, Color::kRed, color) + "\n";
  }
  out += fmt::format("  {}\n", b.message);
  const auto line = [&out](std::string_view key, const std::string& value) {
    out += fmt::format("  {:<10} {}\n", key, value);
  };
  if (b.failed_rung) line("ladder", fmt::format("stops at {}", RungName(*b.failed_rung)));
  if (b.prefix_length > 0) {
    line("prefix", fmt::format("{} of {} tokens are the shortest that fails", b.prefix_length, b.prompt_length));
  }
  if (b.place.position >= 0) {
    line("position",
         fmt::format("{}, token {} {}{}", b.place.position, b.token, Quote(b.token_text),
                     b.candidate_token != b.token ? fmt::format(" (the candidate's: {})", b.candidate_token) : ""));
  }
  if (named) line(b.verdict == BisectVerdict::kOperation ? "operation" : "first bit", place);
  if (b.verdict == BisectVerdict::kOperation) {
    out += Describe("candidate", b.replay_candidate) + Describe("reference", b.replay_reference);
  }
  line("captures", fmt::format("{}", b.captures));
  for (const std::string& step : b.steps) out += fmt::format("    - {}\n", step);
  return out;
}

nlohmann::json BisectionJson(const Bisection& b) {
  return {{"schema", "bitnet-parity/bisect/1"},
          {"verdict", BisectVerdictName(b.verdict)},
          {"ladder_stage", b.failed_rung ? nlohmann::json(RungName(*b.failed_rung)) : nlohmann::json()},
          {"message", b.message},
          {"prompt_length", b.prompt_length},
          {"prefix_length", b.prefix_length},
          {"position", b.place.position},
          {"token", b.token},
          {"token_text", b.token_text},
          {"candidate_token", b.candidate_token},
          {"layer", b.place.layer},
          {"stage", PointText(b.place.point)},
          {"inputs_equal", b.inputs_equal},
          {"replay_candidate", ReplayJson(b.replay_candidate)},
          {"replay_reference", ReplayJson(b.replay_reference)},
          {"captures", b.captures},
          {"steps", b.steps}};
}

namespace {

// Of the first tensor that differs: how many elements, and the worst.
std::string DescribeDifference(const TensorDifference& d) {
  if (d.status != TensorStatus::kShape && !d.raw) {
    return fmt::format("rms {:.9g}, the reference has {:.9g}", d.rms_a, d.rms_b);
  }
  if (d.status == TensorStatus::kShape) {
    return fmt::format("shapes [{}] and [{}]", fmt::join(d.shape_a, ", "), fmt::join(d.shape_b, ", "));
  }
  const RawDifference& r = *d.raw;
  const bool finite = std::isfinite(r.worst_a) && std::isfinite(r.worst_b);
  return fmt::format("{} of {} elements differ; the worst is element {}: {:.9g}, the reference has {:.9g}{}",
                     r.differing, d.num_elements, r.worst_index, r.worst_a, r.worst_b,
                     finite ? fmt::format(" ({} ULP)", UlpDistance(r.worst_a, r.worst_b)) : "");
}

}  // namespace

std::vector<std::string> WhereLines(const Explanation& e) {
  if (!e.bisection) {
    std::vector<std::string> lines;
    const Place& at = e.diagnosis.location;
    if (at.point != Point::kUnknown)
      lines.push_back(fmt::format("the first tensor with another bit: {} at position {}", PlaceText(at.layer, at.point),
                                  at.position));
    if (!e.not_bisected.empty()) lines.push_back("not bisected: " + e.not_bisected);
    return lines;
  }
  const Bisection& b = *e.bisection;
  std::vector<std::string> lines;
  if (b.place.position >= 0) {
    lines.push_back(
        fmt::format("{}position {}, token {} {}",
                    b.place.point == Point::kUnknown ? "" : PlaceText(b.place.layer, b.place.point) + " at ",
                    b.place.position, b.token, Quote(b.token_text)));
  }
  lines.push_back(b.message);
  if (b.difference) lines.push_back(DescribeDifference(*b.difference));
  if (b.prefix_length > 0 && b.prefix_length < b.prompt_length) {
    lines.push_back(
        fmt::format("the shortest prompt that fails: the first {} of {} tokens", b.prefix_length, b.prompt_length));
  }
  return lines;
}

std::string CausesText(const Diagnosis& d, bool color) {
  std::string out = Paint("Why", Color::kBold, color) + "\n";
  if (d.causes.empty()) out += "  no known mistake gives what the candidate computed\n";
  for (size_t i = 0; i < d.causes.size(); ++i) {
    const Cause& cause = d.causes[i];
    out += fmt::format("  {}. {} ({}, {})\n     because {}\n     do: {}\n", i + 1, cause.what,
                       CertaintyName(cause.certainty), cause.id, cause.evidence, cause.remedy);
  }
  return out;
}

nlohmann::json CausesJson(const Diagnosis& d) {
  nlohmann::json causes = nlohmann::json::array();
  for (const Cause& cause : d.causes) {
    causes.push_back({{"id", cause.id},
                      {"what", cause.what},
                      {"certainty", CertaintyName(cause.certainty)},
                      {"evidence", cause.evidence},
                      {"remedy", cause.remedy}});
  }
  return causes;
}

std::string ExplanationText(const Explanation& e, bool color) {
  std::string out;
  const std::vector<std::string> where = WhereLines(e);
  if (!where.empty()) out += Paint("Where", Color::kBold, color) + "\n";
  for (const std::string& line : where) out += fmt::format("  {}\n", line);
  if (!e.not_diagnosed.empty()) return out + fmt::format("  no cause was looked for: {}\n", e.not_diagnosed);
  return out + CausesText(e.diagnosis, color);
}

std::string ExplanationMarkdown(const Explanation& e) {
  std::string out = "\n### Where\n\n";
  for (const std::string& line : WhereLines(e)) out += fmt::format("- {}\n", line);
  out += "\n### Why\n\n";
  for (const Cause& cause : e.diagnosis.causes) {
    out += fmt::format("1. **{}** ({}, `{}`)  \n   because {}  \n   do: {}\n", cause.what,
                       CertaintyName(cause.certainty), cause.id, cause.evidence, cause.remedy);
  }
  if (!e.not_diagnosed.empty()) return out + fmt::format("No cause was looked for: {}\n", e.not_diagnosed);
  return e.diagnosis.causes.empty() ? out + "No known mistake gives what the candidate computed.\n" : out;
}

nlohmann::json ExplanationJson(const Explanation& e) {
  const Place at = e.location();
  nlohmann::json json = {{"causes", CausesJson(e.diagnosis)},
                         {"position", at.position},
                         {"layer", at.layer},
                         {"stage", PointText(at.point)},
                         {"bisection", e.bisection ? BisectionJson(*e.bisection) : nlohmann::json()}};
  if (!e.not_bisected.empty()) json["not_bisected"] = e.not_bisected;
  if (!e.not_diagnosed.empty()) json["not_diagnosed"] = e.not_diagnosed;
  return json;
}

std::string NoiseText(const NoiseFloor& floor) {
  std::string out =
      fmt::format("Noise floor of {}\n  {:<10} {}\n  {:<10} {}\n  {:<10} {} tokens{}\n\n",
                  DescribeBackend(floor.backend), "model", floor.model.path, "architecture", floor.model.architecture,
                  "prompt", floor.n_tokens, floor.request.prompt.empty() ? "" : ", " + Quote(floor.request.prompt));
  out += fmt::format("{:<36} {:>9} {:>9} {:>12} {:>13} {:>9} {:>10}\n", "two runs", "mse", "max abs", "min cosine",
                     "argmax equal", "identical", "ULP");
  for (const NoiseRow& row : floor.rows) {
    out +=
        fmt::format("{:<36} {:>9} {:>9} {:>12} {:>13} {:>9} {:>10}\n", row.what,
                    FormatMetric(Metric::kMse, row.worst.value(Metric::kMse)),
                    FormatMetric(Metric::kMaxAbs, row.worst.value(Metric::kMaxAbs)),
                    FormatMetric(Metric::kCosine, row.worst.value(Metric::kCosine)),
                    fmt::format("{}/{}", row.argmax_equal, row.worst.rows()), FormatShare(row.worst.identical_share()),
                    FormatMetric(Metric::kMaxUlp, row.worst.value(Metric::kMaxUlp)));
  }
  const WorstRows like = floor.Like(), all = floor.All();
  out += fmt::format(
      "\nFloor: mse {}, max abs {}, cosine {} between schedules; mse {}, max abs {} between like schedules.\n",
      FormatMetric(Metric::kMse, all.value(Metric::kMse)), FormatMetric(Metric::kMaxAbs, all.value(Metric::kMaxAbs)),
      FormatMetric(Metric::kCosine, all.value(Metric::kCosine)), FormatMetric(Metric::kMse, like.value(Metric::kMse)),
      FormatMetric(Metric::kMaxAbs, like.value(Metric::kMaxAbs)));
  out += like.identical_share() == 1
             ? "Like schedules agree bit for bit: a difference between like schedules is no noise of this engine.\n"
             : "Like schedules do not agree with themselves: limits below this floor judge rounding.\n";
  for (const std::string& note : floor.notes) out += "note: " + note + "\n";
  return out + fmt::format("({} captures)\n", floor.captures);
}

nlohmann::json NoiseJson(const NoiseFloor& floor) {
  const auto figures = [](const WorstRows& worst) {
    nlohmann::json json;
    for (const Metric metric : kMetrics) json[std::string(MetricName(metric))] = Number(worst.value(metric));
    json["identical_share"] = worst.identical_share();
    return json;
  };
  nlohmann::json json = {{"schema", "bitnet-parity/noise/1"},
                         {"reference", DescribeBackend(floor.backend)},
                         {"model", floor.model.path},
                         {"tokens", floor.n_tokens},
                         {"captures", floor.captures},
                         {"floor", figures(floor.All())},
                         {"floor_like_schedules", figures(floor.Like())},
                         {"rows", nlohmann::json::array()}};
  for (const NoiseRow& row : floor.rows) {
    nlohmann::json entry = figures(row.worst);
    entry["what"] = row.what;
    entry["like_schedules"] = row.like_schedules;
    entry["positions"] = row.worst.rows();
    entry["argmax_equal"] = row.argmax_equal;
    json["rows"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace parity
