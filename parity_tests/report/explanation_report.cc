#include "parity_tests/report/explanation_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "parity_tests/judge/metrics.h"
#include "parity_tests/report/color.h"
#include "reference/capture/quote.h"

namespace parity {
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

namespace {

std::vector<std::string> BisectionLines(const Explanation& e) {
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
  if (e.diagnosis.at_fault == AtFault::kReference && e.reference) {
    const Place at = e.location();
    lines.push_back(
        fmt::format("{} at position {}: the first operation of the reference whose output does not follow "
                    "from its inputs",
                    PlaceText(at.layer, at.point), at.position));
    return lines;
  }
  // What the outputs show first may be a habit, or the last to suffer: the operations say where it is wrong.
  if (const Place at = e.location(); e.located_by_survey() && at != b.place) {
    lines.push_back(fmt::format("{} at position {}: the first operation whose output does not follow from its inputs",
                                PlaceText(at.layer, at.point), at.position));
    return lines;
  }
  if (b.place.position >= 0) {
    lines.push_back(
        fmt::format("{}position {}, token {} {}",
                    b.place.point == Point::kUnknown ? "" : PlaceText(b.place.layer, b.place.point) + " at ",
                    b.place.position, b.token, Quote(b.token_text)));
  }
  if (e.habits_alone() && !e.baseline && b.verdict == BisectVerdict::kOperation) {
    lines.back() += ": the two part here by a habit of the candidate";
    return lines;
  }
  lines.push_back(b.message);
  if (b.difference) lines.push_back(DescribeDifference(*b.difference));
  if (b.prefix_length > 0 && b.prefix_length < b.prompt_length) {
    lines.push_back(
        fmt::format("the shortest prompt that fails: the first {} of {} tokens", b.prefix_length, b.prompt_length));
  }
  return lines;
}

// "found 0.31, expected 0.52 (element 3, 4.1e+05 times what rounding can do); estimate".
std::string FindingText(const SurveyFinding& f) {
  std::string text = f.where;
  if (f.element >= 0) {
    text += fmt::format(": found {:.6g}, expected {:.6g} (element {}, {:.3g} times what rounding can do)", f.found,
                        f.expected, f.element, f.times_the_limit);
  }
  if (!f.estimate.empty()) text += fmt::format("; {}", f.estimate);
  if (!f.causes.empty()) text += fmt::format("; {}", f.causes[0].what);
  return text;
}

void AddSurveyLines(const Explanation& e, std::vector<std::string>& lines) {
  const auto habits = [&lines](const Survey& survey, const char* side) {
    for (const Habit& h : survey.habits) {
      lines.push_back(fmt::format("a habit of the {}: {} ({} in every {}); everything is judged beside it", side,
                                  h.what, h.how, fmt::join(h.where, ", ")));
    }
  };
  if (e.candidate) {
    habits(*e.candidate, "candidate");
    const bool told = e.baseline || e.located_by_survey();
    for (const SurveyFinding& f : e.candidate->findings) {
      if (told) lines.push_back((e.baseline ? "wrong since the previous build: " : "wrong: ") + FindingText(f));
    }
    const bool before = e.baseline && e.reference && !e.reference->findings.empty();
    if (e.candidate->findings.empty() && e.candidate->operations > 0 && !before) {
      lines.push_back(fmt::format(
          "each of the candidate's {} operations follows from its inputs, {} of them bit for bit{}",
          e.candidate->operations, e.candidate->exact,
          e.candidate->not_traced == 0 ? ""
                                       : fmt::format("; {} were not traced (the first: {})", e.candidate->not_traced,
                                                     e.candidate->first_not_traced)));
    }
  }
  if (e.reference) {
    if (!e.baseline) habits(*e.reference, "reference");
    for (const SurveyFinding& f : e.reference->findings) {
      lines.push_back((e.baseline ? "wrong in the previous build too: " : "the reference is wrong: ") + FindingText(f));
    }
  }
}

}  // namespace

std::vector<std::string> WhereLines(const Explanation& e) {
  std::vector<std::string> lines = BisectionLines(e);
  AddSurveyLines(e, lines);
  return lines;
}

std::string CausesText(const Diagnosis& d, bool color) {
  std::string out = Paint("Why", Color::kBold, color) + "\n";
  if (d.causes.empty())
    out += fmt::format("  no known mistake gives what the {} computed\n",
                       d.at_fault == AtFault::kReference ? "reference" : "candidate");
  for (size_t i = 0; i < d.causes.size(); ++i) {
    const Cause& cause = d.causes[i];
    out += fmt::format("  {}. {} ({}, {})\n     because {}\n     do: {}\n", i + 1, cause.what,
                       CertaintyName(cause.certainty), cause.id, cause.evidence, cause.remedy);
  }
  return out;
}

std::string ExplanationText(const Explanation& e, bool color) {
  std::string out;
  const std::vector<std::string> where = WhereLines(e);
  if (!where.empty()) out += Paint("Where", Color::kBold, color) + "\n";
  for (const std::string& line : where) out += fmt::format("  {}\n", line);
  if (!e.not_diagnosed.empty()) return out + fmt::format("  no cause is named: {}\n", e.not_diagnosed);
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
  if (!e.not_diagnosed.empty()) return out + fmt::format("No cause is named: {}\n", e.not_diagnosed);
  return e.diagnosis.causes.empty() ? out + "No known mistake gives what the candidate computed.\n" : out;
}

}  // namespace parity
