// JUnit's XML, as CI servers read it.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "parity_tests/report/case_report.h"
#include "parity_tests/report/html_parts.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/run_report.h"

namespace parity {
namespace {

struct Counts {
  size_t tests = 0, failures = 0, errors = 0, skipped = 0;

  void Add(CaseStatus status) {
    ++tests;
    failures += status == CaseStatus::kDivergence ? 1 : 0;
    errors += status == CaseStatus::kError ? 1 : 0;
    skipped += status == CaseStatus::kSkipped || status == CaseStatus::kCandidateOnly ? 1 : 0;
  }
  std::string Attributes() const {
    return fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"", tests, failures, errors, skipped);
  }
};

std::string Property(std::string_view name, const std::string& value) {
  return fmt::format("<property name=\"{}\" value=\"{}\"/>\n", name, Escape(value));
}

// All digits: a program reads these.
std::string Figures(const WorstRows& rows, std::string_view prefix) {
  if (rows.rows() == 0) return "";
  std::string out = Property(fmt::format("{}positions", prefix), std::to_string(rows.rows()));
  for (const Metric metric : kMetrics) {
    out += Property(fmt::format("{}{}", prefix, MetricName(metric)), fmt::format("{}", rows.value(metric)));
  }
  return out + Property(fmt::format("{}identical_share", prefix), fmt::format("{}", rows.identical_share()));
}

// What stands in the way of a pass, "" for one.
std::string Outcome(const CaseResult& r) {
  const std::string first = r.message.substr(0, r.message.find('\n'));
  const auto element = [&](std::string_view name) {
    std::string text = r.message;
    for (const std::string& line : r.where) text += "\nwhere: " + line;
    for (const std::string& line : r.causes) text += "\nwhy: " + line;
    return Tag(fmt::format("{} type=\"{}\" message=\"{}\"", name, r.failed_stage, Escape(first)), Escape(text)) + "\n";
  };
  switch (r.status) {
    case CaseStatus::kParity:
      return "";
    case CaseStatus::kDivergence:
      return element("failure");
    case CaseStatus::kError:
      return element("error");
    case CaseStatus::kSkipped:
      return fmt::format("<skipped message=\"{}\"/>\n", Escape(first));
    case CaseStatus::kCandidateOnly:
      return fmt::format("<skipped message=\"no reference: the candidate ran alone\"/>\n");
  }
  return "";
}

std::string TestCase(const CaseResult& r) {
  std::string properties = Property("token_match", TokenMatch(r)) + Figures(r.prompt_rows, "") +
                           Figures(r.decode_rows, "decode.") + Property("model_blake3", r.model_blake3) +
                           Property("profile", r.profile) +
                           Property("candidate", DescribeBackend(r.candidate.backend)) +
                           Property("reference", DescribeBackend(r.reference.backend));
  if (!r.first_difference.empty()) properties += Property("first_difference", r.first_difference);
  std::string out = fmt::format("candidate: {}\nreference: {}\n", r.candidate.Text(), r.reference.Text());
  // GitLab and Jenkins show what such a line names.
  for (const char* file : {"report.txt", "report.html"}) out += fmt::format("[[ATTACHMENT|{}/{}]]\n", r.names.id, file);
  return Tag(fmt::format("testcase classname=\"{}.{}\" name=\"{}\"", Escape(r.names.reference), Escape(r.names.model),
                         Escape(r.names.prompt + "." + r.names.schedule)),
             "\n" + Tag("properties", "\n" + properties) + "\n" + Outcome(r) + Tag("system-out", Escape(out)) + "\n") +
         "\n";
}

}  // namespace

std::string RunJunit(const RunReport& report) {
  Counts all;
  std::string suites;
  std::vector<std::string> seen;
  for (const CaseResult& first : report.results) {
    const std::string name = first.names.reference + "." + first.names.model;
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
    seen.push_back(name);
    Counts counts;
    std::string cases;
    for (const CaseResult& r : report.results) {
      if (r.names.reference != first.names.reference || r.names.model != first.names.model) continue;
      counts.Add(r.status);
      all.Add(r.status);
      cases += TestCase(r);
    }
    suites += Tag(fmt::format("testsuite name=\"{}\" {}", Escape(name), counts.Attributes()), "\n" + cases) + "\n";
  }
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
         Tag(fmt::format("testsuites name=\"bitnet-parity {}\" {}", Escape(report.plan.command), all.Attributes()),
             "\n" + suites) +
         "\n";
}

}  // namespace parity
