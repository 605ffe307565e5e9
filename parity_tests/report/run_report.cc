#include "parity_tests/report/run_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "parity_tests/report/case_report.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

using Test = std::function<bool(const CaseResult&)>;

std::string CosineOf(const CaseResult& r) {
  return r.prompt_rows.rows() > 0 ? FormatMetric(Metric::kCosine, r.prompt_rows.value(Metric::kCosine)) : "-";
}

std::string FirstComponent(const CaseResult& r) {
  if (!r.where.empty()) return r.where.front();
  return r.first_difference.empty() ? "-" : r.first_difference;
}

std::string CasesTable(const RunReport& report) {
  std::string out =
      "| case | status | token match | worst cosine | band | bit-identical | first differing component |\n"
      "| --- | --- | --- | --- | --- | --- | --- |\n";
  for (const CaseResult& r : report.results) {
    const std::string identical = r.prompt_rows.rows() > 0 ? FormatShare(r.prompt_rows.identical_share()) : "-";
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", MarkdownCell(r.names.id),
                       MarkdownCell(std::string(CaseStatusName(r.status))), TokenMatch(r), CosineOf(r),
                       Band(r).empty() ? "-" : Band(r), identical, MarkdownCell(FirstComponent(r)));
  }
  return out;
}

std::string TextsTable(const RunReport& report) {
  std::string out = "| case | prompt | candidate | reference |\n| --- | --- | --- | --- |\n";
  for (const CaseResult& r : report.results) {
    const auto said = [](const CaseSide& side) {
      return side.backend.name.empty() ? std::string("no answer") : MarkdownCell(Quote(side.Text()));
    };
    out += fmt::format("| {} | {} | {} | {} |\n", MarkdownCell(r.names.id), MarkdownCell(Quote(r.prompt)),
                       said(r.candidate), said(r.reference));
  }
  return out;
}

bool Compared(const CaseResult& r) { return r.prompt_rows.rows() > 0; }

// A criterion holds where every case that it is about meets it, and there is one.
std::string Criterion(const RunReport& report, const std::string& what, const Test& about, const Test& meets) {
  size_t all = 0, met = 0;
  for (const CaseResult& r : report.results) {
    if (!about(r)) continue;
    ++all;
    met += meets(r) ? 1 : 0;
  }
  return fmt::format("- [{}] {}: {} of {}\n", all > 0 && met == all ? 'x' : ' ', what, met, all);
}

std::string Checklist(const RunReport& report) {
  const Test every = [](const CaseResult& r) { return r.status != CaseStatus::kSkipped; };
  const size_t planned = report.plan.cases.size(), done = report.results.size();
  return fmt::format("- [{}] every case was run: {} of {}\n", planned == done ? 'x' : ' ', done, planned) +
         Criterion(report, "the candidate answered", every,
                   [](const CaseResult& r) { return !r.candidate.backend.name.empty(); }) +
         Criterion(report, "the reference answered", every,
                   [](const CaseResult& r) { return !r.reference.backend.name.empty(); }) +
         Criterion(report, "the generated tokens are the same", Compared,
                   [](const CaseResult& r) { return TokenMatch(r) == "ok"; }) +
         Criterion(report, "the worst cosine is at least 0.99", Compared,
                   [](const CaseResult& r) { return r.prompt_rows.value(Metric::kCosine) >= 0.99; }) +
         Criterion(report, "every stage is within its limits", every,
                   [](const CaseResult& r) { return r.status == CaseStatus::kParity; });
}

std::string Analysis(const RunReport& report) {
  std::string out;
  for (const CaseResult& r : report.results) {
    if (r.exit_code() == 0) continue;
    out += fmt::format("### {}: {} at {}\n\n{}\n", MarkdownCell(r.names.id), CaseStatusName(r.status), r.failed_stage,
                       MarkdownCell(r.message));
    if (!r.first_difference.empty())
      out += fmt::format("\nFirst trace that differs: {}\n", MarkdownCell(r.first_difference));
    for (const std::string& line : r.where) out += fmt::format("\n- where: {}", MarkdownCell(line));
    for (const std::string& line : r.causes) out += fmt::format("\n- why: {}", MarkdownCell(line));
    out += "\n\n";
  }
  if (!out.empty()) return out;
  for (const CaseResult& r : report.results) {
    if (r.first_difference.empty() || r.status != CaseStatus::kParity) continue;
    out += fmt::format("- {}: within the limits; the first trace with another bit is {}\n", MarkdownCell(r.names.id),
                       MarkdownCell(r.first_difference));
  }
  const bool alone = std::any_of(report.results.begin(), report.results.end(),
                                 [](const CaseResult& r) { return r.status == CaseStatus::kCandidateOnly; });
  return out.empty() ? (alone ? "Nothing was compared.\n\n" : "No divergence.\n\n") : out + "\n";
}

// Each line once, in the order of the cases.
std::vector<std::string> Once(const RunReport& report,
                              const std::function<std::vector<std::string>(const CaseResult&)>& of) {
  std::vector<std::string> lines;
  for (const CaseResult& r : report.results) {
    for (std::string& line : of(r)) {
      if (!line.empty() && std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(std::move(line));
    }
  }
  return lines;
}

std::string List(const std::vector<std::string>& lines, const std::string& none) {
  std::string out;
  for (const std::string& line : lines) out += "- " + MarkdownCell(line) + "\n";
  return out.empty() ? none + "\n" : out;
}

std::string Environment(const RunReport& report) {
  return List(
      Once(report,
           [](const CaseResult& r) -> std::vector<std::string> {
             const auto engine = [](std::string_view side, const CaseSide& s) {
               return s.backend.name.empty() ? std::string()
                                             : fmt::format("{}: {}, {} threads, {}", side, DescribeBackend(s.backend),
                                                           s.backend.threads, s.backend.build);
             };
             return {engine("candidate", r.candidate),
                     engine("reference", r.reference),
                     fmt::format("machine: {}, {}", r.cpu, r.libc),
                     fmt::format("model: {}, blake3 {}", r.model_path, r.model_blake3),
                     r.tokenizer.empty() ? "" : "tokenizer: " + r.tokenizer,
                     fmt::format("greedy decoding, seed {}, {} threads, profile {}", r.seed, r.threads, r.profile)};
           }),
      "nothing ran");
}

std::string FilesTree() {
  return "```\n"
         "run.json                 the cases, in their order\n"
         "summary.md .json .html   this page; for programs; with pictures\n"
         "junit.xml                for CI\n"
         "CASE/report.txt          configuration, exit code, texts, metrics, every stage\n"
         "CASE/report.html         the same with pictures\n"
         "CASE/verdict.json        for programs (docs/verdict-json.md)\n"
         "CASE/case.json           what the summaries are made of\n"
         "CASE/candidate.txt       what the candidate said; reference.txt the same\n"
         "CASE/candidate/          its capture and traces, where they are kept; reference/ the same\n"
         "```\n";
}

}  // namespace

Summary RunReport::summary() const {
  Summary summary;
  for (const CaseResult& r : results) summary.Add(r);
  summary.AddMissing(plan.cases.size() - results.size());
  return summary;
}

int RunReport::exit_code() const { return plan.cases.empty() ? 0 : summary().ExitCode(); }

std::string RunText(const RunReport& report) { return report.summary().Text(); }

std::string RunMarkdown(const RunReport& report) {
  const Summary summary = report.summary();
  const auto advice = [](const CaseResult& r) { return r.advice; };
  return fmt::format(
      "# bitnet-parity {}\n\n**{}**\n\n## Cases\n\n{}\n## Figures\n\n{}\n## What each engine said\n\n{}\n"
      "## Success criteria\n\n{}\n## Divergence\n\n{}## Recommendations\n\n{}\n## Environment\n\n{}\n## Files\n\n{}",
      report.plan.command, MarkdownCell(summary.Closing()), CasesTable(report), summary.Table(), TextsTable(report),
      Checklist(report), Analysis(report), List(Once(report, advice), "none"), Environment(report), FilesTree());
}

nlohmann::json RunJson(const RunReport& report) {
  nlohmann::json json = report.summary().Json();
  json["command"] = report.plan.command;
  json["candidate"] = report.plan.candidate;
  json["cases"] = nlohmann::json::array();
  for (const CaseResult& r : report.results) {
    const bool compared = Compared(r);
    json["cases"].push_back({{"id", r.names.id},
                             {"model", r.names.model},
                             {"reference", r.names.reference},
                             {"prompt", r.names.prompt},
                             {"schedule", r.names.schedule},
                             {"status", CaseStatusName(r.status)},
                             {"exit_code", r.exit_code()},
                             {"token_match", TokenMatch(r)},
                             {"cosine", compared ? JsonNumber(r.prompt_rows.value(Metric::kCosine)) : nlohmann::json()},
                             {"band", Band(r)},
                             {"candidate_text", Utf8(r.candidate.Text())},
                             {"reference_text", Utf8(r.reference.Text())},
                             {"candidate_traces", r.candidate.traces},
                             {"reference_traces", r.reference.traces},
                             {"first_difference", r.first_difference},
                             {"where", r.where}});
  }
  return json;
}

}  // namespace parity
