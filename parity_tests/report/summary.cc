#include "parity_tests/report/summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/case_report.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "reference/capture/hash.h"

namespace parity {
namespace {

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// The share of bit-identical logits, and the largest distance in ULP.
void AddBits(const WorstRows& worst, std::vector<std::string>& line) {
  line.push_back(worst.rows() > 0 ? FormatShare(worst.identical_share()) : "-");
  line.push_back(worst.rows() > 0 ? FormatMetric(Metric::kMaxUlp, worst.value(Metric::kMaxUlp)) : "-");
}

// What tells builds of one engine apart. The native candidate's build follows the reference's; that of a reference is
// too long for a table, and stands for itself as a hash.
std::string CandidateBuild(const CaseResult& r) {
  return r.candidate.backend.name.empty() ? "" : DescribeBackend(r.candidate.backend);
}
std::string ReferenceBuild(const CaseResult& r) {
  const BackendInfo& b = r.reference.backend;
  if (b.name.empty()) return "";
  return b.build.empty() || b.name == "native"
             ? DescribeBackend(b)
             : fmt::format("{} [{}]", DescribeBackend(b), HashText(b.build).substr(0, 6));
}

std::string WithoutBars(std::string text) {
  for (size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) text.insert(at, "\\");
  return text;
}

nlohmann::json Figure(const WorstRows& worst, Metric metric) {
  return worst.rows() == 0 ? nlohmann::json() : JsonNumber(worst.value(metric));
}

}  // namespace

void Summary::Add(const CaseResult& result) {
  results_.push_back(result);
  results_.back().tensors.clear();
}

void Summary::Add(const SummaryGroup& group, const std::string& prompt, const Verdict& verdict) {
  CaseResult result = MakeCaseResult(
      {.id = "", .reference = group.reference, .model = group.model, .prompt = prompt, .schedule = group.schedule},
      verdict, nullptr, nullptr);
  result.candidate.backend = verdict.candidate;
  result.reference.backend = verdict.reference;
  Add(result);
}

bool Summary::ManyBuilds() const {
  std::map<std::string, std::string> builds;  // of an engine
  for (const CaseResult& r : results_) {
    for (const auto& [engine, build] :
         {std::pair(std::string("candidate"), CandidateBuild(r)), {r.names.reference, ReferenceBuild(r)}}) {
      if (build.empty()) continue;
      const auto [found, added] = builds.try_emplace(engine, build);
      if (!added && found->second != build) return true;
    }
  }
  return false;
}

std::vector<Summary::Row> Summary::Rows() const {
  const bool many_builds = ManyBuilds();
  std::vector<Row> rows;
  for (const CaseResult& r : results_) {
    const SummaryGroup group = {r.names.reference, r.names.model, r.names.schedule};
    const std::string builds = many_builds ? CandidateBuild(r) + ", " + ReferenceBuild(r) : "";
    auto row =
        std::find_if(rows.begin(), rows.end(), [&](const Row& x) { return x.group == group && x.builds == builds; });
    if (row == rows.end()) {
      Row added;
      added.group = group;
      added.builds = builds;
      added.profile = r.profile;
      row = rows.insert(rows.end(), std::move(added));
    }
    const auto note = [&row](const std::string& text) {
      if (std::find(row->notes.begin(), row->notes.end(), text) == row->notes.end()) row->notes.push_back(text);
    };
    for (const std::string& text : r.notes) note(text);
    if (r.status == CaseStatus::kSkipped) {
      ++row->skipped;
      note(FirstLine(r.message));
    } else if (r.status == CaseStatus::kCandidateOnly) {
      ++row->alone;
    } else {
      ++row->climbs;
      row->asked += r.max_tokens;
      row->prompt.Add(r.prompt_rows);
      row->decode.Add(r.decode_rows);
      row->ties += r.ties;
      row->passed += r.status == CaseStatus::kParity ? 1 : 0;
    }
  }
  return rows;
}

std::vector<const CaseResult*> Summary::Problems() const {
  std::vector<const CaseResult*> problems;
  for (const CaseResult& r : results_) {
    if (r.exit_code() != 0) problems.push_back(&r);
  }
  return problems;
}

int Summary::ExitCode() const {
  int exit_code = 0;
  bool some = false;
  for (const CaseResult& r : results_) {
    exit_code = std::max(exit_code, r.exit_code());
    some = some || r.status != CaseStatus::kSkipped;
  }
  return some ? exit_code : 2;
}

std::vector<std::vector<std::string>> Summary::Cells() const {
  const bool many_builds = ManyBuilds();
  std::vector<std::vector<std::string>> cells = {{"model", "reference", "schedule", "passed", "positions", "MSE",
                                                  "max abs", "KL", "top-5", "cosine", "bit-identical", "ULP",
                                                  "greedy tokens", "bit-identical", "ULP"}};
  if (many_builds) cells[0].insert(cells[0].begin() + 3, "builds");
  for (const Row& row : Rows()) {
    std::vector<std::string> line = {row.group.model, row.group.reference, row.group.schedule};
    if (many_builds) line.push_back(row.builds);
    if (row.climbs == 0) {
      line.push_back(row.alone > 0 ? "candidate only" : "skipped");
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
  int climbs = 0, passed = 0, skipped = 0, alone = 0;
  std::vector<std::string> profiles;
  for (const Row& row : Rows()) {
    climbs += row.climbs;
    passed += row.passed;
    skipped += row.skipped;
    alone += row.alone;
    if (row.climbs > 0 && std::find(profiles.begin(), profiles.end(), row.profile) == profiles.end())
      profiles.push_back(row.profile);
  }
  std::set<std::string> faults;
  for (const CaseResult& r : results_) {
    if (!r.known_fault.empty()) faults.insert(r.known_fault);
  }
  std::string rest =
      faults.empty() ? "" : fmt::format("; beside a known fault of the reference ({})", fmt::join(faults, ", "));
  if (skipped > 0) rest += fmt::format("; {} skipped", skipped);
  if (alone > 0 && climbs > 0) rest += fmt::format("; {} without a reference", alone);
  if (missing_ > 0) rest += fmt::format("; {} not run yet", missing_);
  if (climbs == 0 && alone > 0) {
    return fmt::format("CANDIDATE ONLY: {} cases ran without a reference, and nothing was compared{}", alone, rest);
  }
  if (climbs == 0) return fmt::format("NOTHING COMPARED{}", rest);
  const std::string by = fmt::format("profile {}", fmt::join(profiles, " and "));
  switch (ExitCode()) {
    case 0:
      return fmt::format("PARITY: {} of {} climbs passed every stage they were asked for, {}{}", passed, climbs, by,
                         rest);
    case 1:
      return fmt::format("DIVERGENCE: {} of {} climbs passed, {}{}", passed, climbs, by, rest);
    default:
      return fmt::format("ERROR: {} of {} climbs passed, {}{}", passed, climbs, by, rest);
  }
}

std::vector<std::string> Summary::Notes() const {
  std::vector<std::pair<std::string, std::vector<std::string>>> notes;
  const std::vector<Row> rows = Rows();
  for (const Row& row : rows) {
    for (const std::string& note : row.notes) {
      auto entry = std::find_if(notes.begin(), notes.end(), [&note](const auto& e) { return e.first == note; });
      if (entry == notes.end()) entry = notes.insert(notes.end(), {note, {}});
      entry->second.push_back(fmt::format("{} {} {}", row.group.model, row.group.reference, row.group.schedule));
    }
  }
  std::vector<std::string> lines;
  for (const auto& [note, groups] : notes) {
    lines.push_back(groups.size() == rows.size() ? note : fmt::format("{} ({})", note, fmt::join(groups, ", ")));
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
  for (const CaseResult* p : Problems()) {
    out += fmt::format("failed at {}: {} {} {} {}\n  {}\n", p->failed_stage, p->names.model, p->names.reference,
                       p->names.schedule, p->names.prompt, p->message);
    if (!p->where.empty()) out += fmt::format("  where: {}\n", p->where.front());
    if (!p->causes.empty()) out += fmt::format("  why: {}\n", p->causes.front());
  }
  return out + "\n" + Closing() + "\n";
}

std::string Summary::Table() const {
  const std::vector<std::vector<std::string>> cells = Cells();
  std::string out;
  for (size_t i = 0; i < cells.size(); ++i) {
    out += "|";
    for (const std::string& cell : cells[i]) out += " " + WithoutBars(cell) + " |";
    out += "\n";
    if (i > 0) continue;
    for (size_t column = 0; column < cells[0].size(); ++column) out += "| --- ";
    out += "|\n";
  }
  for (const std::string& note : Notes()) out += fmt::format("\nNote: {}\n", note);
  return out;
}

std::string Summary::Markdown() const {
  std::string out = Table();
  for (const CaseResult* p : Problems()) {
    out += fmt::format("\nFailed at {}: {}, {}, {}, {}: {}\n", p->failed_stage, p->names.model, p->names.reference,
                       p->names.schedule, p->names.prompt, FirstLine(p->message));
  }
  return out + "\n" + Closing() + "\n";
}

nlohmann::json Summary::Json() const {
  nlohmann::json json = {{"schema", "bitnet-parity/summary/1"}, {"exit_code", ExitCode()}, {"closing", Closing()}};
  json["rows"] = json["problems"] = nlohmann::json::array();
  for (const Row& row : Rows()) {
    nlohmann::json entry = {{"model", row.group.model},
                            {"reference", row.group.reference},
                            {"schedule", row.group.schedule},
                            {"profile", row.profile},
                            {"climbs", row.climbs},
                            {"passed", row.passed},
                            {"skipped", row.skipped},
                            {"candidate_only", row.alone},
                            {"positions", row.prompt.rows()},
                            {"bit_identical_share", row.prompt.identical_share()},
                            {"greedy_tokens", row.decode.rows()},
                            {"greedy_bit_identical_share", row.decode.identical_share()},
                            {"greedy_max_ulp", Figure(row.decode, Metric::kMaxUlp)},
                            {"ties", row.ties},
                            {"notes", row.notes}};
    for (const Metric metric : kMetrics) entry["worst"][std::string(MetricName(metric))] = Figure(row.prompt, metric);
    if (!row.builds.empty()) entry["builds"] = row.builds;
    json["rows"].push_back(std::move(entry));
  }
  for (const CaseResult* p : Problems()) {
    json["problems"].push_back({{"model", p->names.model},
                                {"reference", p->names.reference},
                                {"schedule", p->names.schedule},
                                {"prompt", p->names.prompt},
                                {"stage", p->failed_stage},
                                {"message", p->message}});
  }
  json["missing"] = missing_;
  return json;
}

}  // namespace parity
