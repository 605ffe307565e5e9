#include "parity_tests/report/summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"

namespace parity {
namespace {

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// The share of bit-identical logits, and the largest distance in ULP.
void AddBits(const WorstRows& worst, std::vector<std::string>& line) {
  line.push_back(worst.rows() > 0 ? FormatShare(worst.identical_share()) : "-");
  line.push_back(worst.rows() > 0 ? FormatMetric(Metric::kMaxUlp, worst.value(Metric::kMaxUlp)) : "-");
}

nlohmann::json Figure(const WorstRows& worst, Metric metric) {
  return worst.rows() == 0 ? nlohmann::json() : JsonNumber(worst.value(metric));
}

}  // namespace

void Summary::Add(const SummaryGroup& group, const std::string& prompt, const Verdict& verdict) {
  auto row = std::find_if(rows_.begin(), rows_.end(), [&group](const Row& r) { return r.group == group; });
  if (row == rows_.end()) {
    Row added;
    added.group = group;
    added.profile = DescribeProfile(verdict.profile);
    row = rows_.insert(rows_.end(), std::move(added));
  }
  for (const std::string& note : verdict.notes) {
    if (std::find(row->notes.begin(), row->notes.end(), note) == row->notes.end()) row->notes.push_back(note);
  }
  const RungResult& preflight = verdict.rung(Rung::kPreflight);
  if (preflight.status == Status::kSkip) {
    ++row->skipped;
    const std::string reason = FirstLine(preflight.message);
    if (std::find(row->notes.begin(), row->notes.end(), reason) == row->notes.end()) row->notes.push_back(reason);
    return;
  }
  ++row->climbs;
  row->asked += verdict.request.max_tokens;
  row->prompt.Add(Figures(verdict));
  const RungResult& decode = verdict.rung(Rung::kDecode);
  row->decode.Add(decode.worst);
  if (decode.status == Status::kPass) row->ties += static_cast<int>(decode.notes.size());
  if (verdict.limited()) {
    const std::string coverage = "limited coverage: " + DescribeCoverage(verdict);
    if (std::find(row->notes.begin(), row->notes.end(), coverage) == row->notes.end()) row->notes.push_back(coverage);
  }
  if (parity::ExitCode(verdict) == 0) {
    ++row->passed;
    return;
  }
  if (const std::optional<Rung> failed = verdict.failed_rung()) {
    problems_.push_back({group, prompt, std::string(RungName(*failed)), verdict.rung(*failed).message});
  } else {
    problems_.push_back({group, prompt, "coverage", CoverageProblem(verdict)});
  }
  exit_code_ = std::max(exit_code_, parity::ExitCode(verdict));
}

int Summary::ExitCode() const {
  const bool compared = std::any_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.climbs > 0; });
  return compared ? exit_code_ : 2;
}

std::vector<std::vector<std::string>> Summary::Cells() const {
  std::vector<std::vector<std::string>> cells = {{"model", "reference", "schedule", "passed", "positions", "MSE",
                                                  "max abs", "KL", "top-5", "cosine", "bit-identical", "ULP",
                                                  "greedy tokens", "bit-identical", "ULP"}};
  for (const Row& row : rows_) {
    std::vector<std::string> line = {row.group.model, row.group.reference, row.group.schedule};
    if (row.climbs == 0) {
      line.push_back("skipped");
    } else {
      line.push_back(fmt::format("{}/{}", row.passed, row.climbs));
      line.push_back(fmt::format("{}", row.prompt.rows()));
      for (const Metric metric : {Metric::kMse, Metric::kMaxAbs, Metric::kKl, Metric::kTop5Overlap, Metric::kCosine}) {
        line.push_back(row.prompt.rows() > 0 ? FormatMetric(metric, row.prompt.value(metric)) : "-");
      }
      AddBits(row.prompt, line);
      const std::string ties = row.ties > 0 ? fmt::format(" ({} ties)", row.ties) : "";
      line.push_back(fmt::format("{}/{}{}", row.decode.rows(), row.asked, ties));
      AddBits(row.decode, line);
    }
    line.resize(cells[0].size(), "");
    cells.push_back(std::move(line));
  }
  return cells;
}

std::string Summary::Closing() const {
  int climbs = 0, passed = 0, skipped = 0;
  std::vector<std::string> profiles;
  for (const Row& row : rows_) {
    climbs += row.climbs;
    passed += row.passed;
    skipped += row.skipped;
    if (row.climbs > 0 && std::find(profiles.begin(), profiles.end(), row.profile) == profiles.end())
      profiles.push_back(row.profile);
  }
  const std::string rest = skipped == 0 ? "" : fmt::format("; {} skipped", skipped);
  const std::string by = fmt::format("profile {}", fmt::join(profiles, " and "));
  switch (ExitCode()) {
    case 0:
      return fmt::format("PARITY: {} of {} climbs passed every stage they were asked for, {}{}", passed, climbs, by,
                         rest);
    case 1:
      return fmt::format("DIVERGENCE: {} of {} climbs passed, {}{}", passed, climbs, by, rest);
    default:
      return climbs == 0 ? fmt::format("NOTHING COMPARED{}", rest)
                         : fmt::format("ERROR: {} of {} climbs passed, {}{}", passed, climbs, by, rest);
  }
}

std::vector<std::string> Summary::Notes() const {
  std::vector<std::pair<std::string, std::vector<std::string>>> notes;
  for (const Row& row : rows_) {
    for (const std::string& note : row.notes) {
      auto entry = std::find_if(notes.begin(), notes.end(), [&note](const auto& e) { return e.first == note; });
      if (entry == notes.end()) entry = notes.insert(notes.end(), {note, {}});
      entry->second.push_back(fmt::format("{} {} {}", row.group.model, row.group.reference, row.group.schedule));
    }
  }
  std::vector<std::string> lines;
  for (const auto& [note, groups] : notes) {
    lines.push_back(groups.size() == rows_.size() ? note : fmt::format("{} ({})", note, fmt::join(groups, ", ")));
  }
  return lines;
}

std::string Summary::Text() const {
  const std::vector<std::vector<std::string>> cells = Cells();
  std::vector<size_t> widths(cells[0].size(), 0);
  for (const auto& line : cells) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string out;
  for (const auto& line : cells) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      text += i < 3 ? fmt::format("{:<{}}  ", line[i], widths[i]) : fmt::format("{:>{}}  ", line[i], widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  out +=
      "\nFigures are the worst over all prompts and positions; bit-identical: share of all logits (prompt, then "
      "greedy); "
      "ULP: the largest distance in units in the last place.\n";
  for (const std::string& note : Notes()) out += fmt::format("note: {}\n", note);
  for (const Problem& p : problems_) {
    out += fmt::format("failed at {}: {} {} {} {}\n  {}\n", p.rung, p.group.model, p.group.reference, p.group.schedule,
                       p.prompt, p.message);
  }
  return out + "\n" + Closing() + "\n";
}

std::string Summary::Markdown() const {
  const std::vector<std::vector<std::string>> cells = Cells();
  std::string out;
  for (size_t i = 0; i < cells.size(); ++i) {
    out += fmt::format("| {} |\n", fmt::join(cells[i], " | "));
    if (i > 0) continue;
    for (size_t column = 0; column < cells[0].size(); ++column) out += "| --- ";
    out += "|\n";
  }
  for (const std::string& note : Notes()) out += fmt::format("\nNote: {}\n", note);
  for (const Problem& p : problems_) {
    out += fmt::format("\nFailed at {}: {}, {}, {}, {}: {}\n", p.rung, p.group.model, p.group.reference,
                       p.group.schedule, p.prompt, FirstLine(p.message));
  }
  return out + "\n" + Closing() + "\n";
}

nlohmann::json Summary::Json() const {
  nlohmann::json json = {{"schema", "bitnet-parity/summary/1"}, {"exit_code", ExitCode()}, {"closing", Closing()}};
  json["rows"] = json["problems"] = nlohmann::json::array();
  for (const Row& row : rows_) {
    nlohmann::json entry = {{"model", row.group.model},
                            {"reference", row.group.reference},
                            {"schedule", row.group.schedule},
                            {"profile", row.profile},
                            {"climbs", row.climbs},
                            {"passed", row.passed},
                            {"skipped", row.skipped},
                            {"positions", row.prompt.rows()},
                            {"bit_identical_share", row.prompt.identical_share()},
                            {"greedy_tokens", row.decode.rows()},
                            {"greedy_bit_identical_share", row.decode.identical_share()},
                            {"greedy_max_ulp", Figure(row.decode, Metric::kMaxUlp)},
                            {"ties", row.ties},
                            {"notes", row.notes}};
    for (const Metric metric : kMetrics) entry["worst"][std::string(MetricName(metric))] = Figure(row.prompt, metric);
    json["rows"].push_back(std::move(entry));
  }
  for (const Problem& p : problems_) {
    json["problems"].push_back({{"model", p.group.model},
                                {"reference", p.group.reference},
                                {"schedule", p.group.schedule},
                                {"prompt", p.prompt},
                                {"stage", p.rung},
                                {"message", p.message}});
  }
  return json;
}

}  // namespace parity
