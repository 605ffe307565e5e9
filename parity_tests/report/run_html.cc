// The page of a matrix or a sweep: every case, what the engines said, and where inside the model they differ.
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "parity_tests/report/case_report.h"
#include "parity_tests/report/html_layers.h"
#include "parity_tests/report/html_parts.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/run_report.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

std::string_view StatusClass(CaseStatus status) {
  constexpr std::string_view kClasses[] = {"pass", "fail", "fail", "skip", "none"};
  return kClasses[static_cast<size_t>(status)];
}

// The same prompt in the other schedule, which says how far the reference is from itself; empty where it did not run.
std::span<const TensorFigures> OtherSchedule(const RunReport& report, const CaseResult& of) {
  for (const CaseResult& r : report.results) {
    const CaseNames &a = r.names, &b = of.names;
    if (a.prompt == b.prompt && a.model == b.model && a.reference == b.reference && a.schedule != b.schedule &&
        !r.tensors.empty()) {
      return r.tensors;
    }
  }
  return {};
}

std::string CasesTable(const RunReport& report) {
  constexpr const char* kHead[] = {"case", "status",        "token match",     "worst cosine",
                                   "band", "bit-identical", "first difference"};
  std::string rows, head;
  for (const char* name : kHead) head += Tag("th", name);
  for (const CaseResult& r : report.results) {
    const bool compared = r.prompt_rows.rows() > 0;
    const std::string stage = r.failed_stage.empty() ? "" : " at " + r.failed_stage;
    const std::string link = Tag(fmt::format("a href=\"{}/report.html\"", Escape(r.names.id)), Escape(r.names.id));
    const std::string state = Tag(fmt::format("span class=\"state {}\"", StatusClass(r.status)),
                                  Escape(std::string(CaseStatusName(r.status)) + stage));
    const auto cell = [](const char* label, const char* name, const std::string& text) {
      return Tag(fmt::format("td{}{} data-label=\"{}\"", *name == '\0' ? "" : " ", name, label), Escape(text));
    };
    rows +=
        Tag("tr",
            Tag("td class=\"line-of-its-own\"", link) + Tag("td class=\"line-of-its-own\"", state) +
                cell(kHead[2], "", TokenMatch(r)) +
                cell(kHead[3], "class=\"num\"",
                     compared ? FormatMetric(Metric::kCosine, r.prompt_rows.value(Metric::kCosine)) : "") +
                cell(kHead[4], "", std::string(Band(r))) +
                cell(kHead[5], "class=\"num\"", compared ? FormatShare(r.prompt_rows.identical_share()) : "") +
                cell(kHead[6], "class=\"line-of-its-own\"", r.where.empty() ? r.first_difference : r.where.front())) +
        "\n";
  }
  return Tag("h3", "Cases") +
         Tag("div class=\"wide\"", Tag("table class=\"cases\"", Tag("thead", Tag("tr", head)) + Tag("tbody", rows)));
}

// What an engine said; the tokens from the first that differs on are marked.
std::string Said(std::string_view side, const CaseSide& s, int64_t equal) {
  if (s.backend.name.empty()) return Tag("p", Tag(fmt::format("b class=\"{}\"", side), "no answer"));
  std::string same, rest;
  for (size_t i = 0; i < s.pieces.size(); ++i) (static_cast<int64_t>(i) < equal ? same : rest) += s.pieces[i];
  return Tag("p class=\"lines\"", Tag(fmt::format("b class=\"{}\"", side), Escape(DescribeBackend(s.backend))) + "\n" +
                                      Escape(same) + (rest.empty() ? "" : Tag("mark", Escape(rest))));
}

std::string Texts(const RunReport& report) {
  std::string cards;
  for (const CaseResult& r : report.results) {
    const bool alone = r.status == CaseStatus::kCandidateOnly;
    const auto all = static_cast<int64_t>(r.candidate.pieces.size());
    cards += Tag("div class=\"card\"", Tag("h4", Escape(r.names.id)) + Tag("p class=\"dim\"", Escape(Quote(r.prompt))) +
                                           Said("cand", r.candidate, alone ? all : r.tokens_equal) +
                                           (alone ? "" : Said("ref", r.reference, r.tokens_equal)));
  }
  return Tag("h3", "What each engine said") + Tag("div class=\"cards plots\"", cards) + "\n";
}

std::string Inside(const RunReport& report) {
  std::string out;
  for (const CaseResult& r : report.results) {
    if (r.tensors.empty()) continue;
    out += Tag("h3", Escape(r.names.id)) +
           LayersHtml(
               r.tensors,
               {.noise = OtherSchedule(report, r), .alone = r.status == CaseStatus::kCandidateOnly, .folded = true}) +
           "\n";
  }
  if (out.empty()) return "";
  return Tag("h2 class=\"none\"", "Inside the model") + LayersKey(true) +
         Key({{{"cand"}, "candidate"}, {{"ref"}, "reference"}}) + out;
}

std::string Environment(const RunReport& report) {
  std::string out;
  std::vector<std::string> seen;
  const auto fact = [&](std::string_view key, const std::string& value) {
    std::string entry = Tag("dt", key) + Tag("dd", Escape(value));
    if (value.empty() || std::find(seen.begin(), seen.end(), entry) != seen.end()) return;
    out += entry;
    seen.push_back(std::move(entry));
  };
  for (const CaseResult& r : report.results) {
    fact("candidate", DescribeBackend(r.candidate.backend));
    fact("reference", DescribeBackend(r.reference.backend));
    fact("model", fmt::format("{} (blake3 {})", r.model_path, r.model_blake3));
    fact("machine", fmt::format("{}, {}", r.cpu, r.libc));
    fact("profile", r.profile);
    for (const std::string& note : r.notes) fact("note", note);
  }
  return Tag("dl", out);
}

// What this page has beside the ladder's.
constexpr std::string_view kStyle = R"(
mark { background: color-mix(in srgb, var(--fail) 22%, transparent); color: inherit; }
)";

}  // namespace

std::string RunHtml(const RunReport& report) {
  const Summary summary = report.summary();
  const int code = report.exit_code();
  const bool alone = std::all_of(report.results.begin(), report.results.end(),
                                 [](const CaseResult& r) { return r.status == CaseStatus::kCandidateOnly; });
  const std::string title = "bitnet-parity " + report.plan.command;
  const std::string body = Tag("h1", Escape(title)) +
                           Tag(fmt::format("h2 class=\"{}\"", code != 0 ? "fail"
                                                              : alone   ? "none"
                                                                        : "pass"),
                               Escape(summary.Closing())) +
                           Environment(report) + CasesTable(report) + Texts(report) + Inside(report);
  return Page(title, std::string(kLayersStyle) + std::string(kStyle), body);
}

}  // namespace parity
