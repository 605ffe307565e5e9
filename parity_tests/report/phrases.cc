#include "parity_tests/report/phrases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "parity_tests/judge/rungs.h"
#include "reference/capture/quote.h"

namespace parity {

std::string DescribeBackend(const BackendInfo& backend) {
  std::string text = backend.name;
  if (!backend.version.empty()) text += " " + backend.version;
  if (!backend.simd.empty()) text += " (" + backend.simd + ")";
  return text;
}

std::string Headline(const Verdict& verdict) {
  if (!CoverageProblem(verdict).empty()) return "ERROR: coverage";
  if (verdict.parity()) {
    const std::string limited = verdict.limited() ? ", limited coverage" : "";
    const auto last = std::find_if(verdict.rungs.rbegin(), verdict.rungs.rend(),
                                   [](const RungResult& result) { return result.status == Status::kPass; });
    const bool all = std::none_of(verdict.rungs.begin(), verdict.rungs.end(),
                                  [](const RungResult& result) { return result.status == Status::kNotReached; });
    const std::string headline = (all ? "PARITY" : fmt::format("PARITY up to {}", RungName(last->rung))) + limited;
    if (verdict.known_fault && verdict.known_fault->accepted) {
      return fmt::format("{} beside a known fault of the reference ({})", headline, verdict.known_fault->id);
    }
    if (verdict.at_fault == AtFault::kUnknown || verdict.at_fault == AtFault::kNeither) return headline;
    return fmt::format("{} within the limits of {}, and yet the {} is at fault", headline, verdict.profile.name,
                       AtFaultName(verdict.at_fault));
  }
  const RungResult& preflight = verdict.rung(Rung::kPreflight);
  if (preflight.status == Status::kSkip) return "SKIPPED";
  if (preflight.status == Status::kFail) return "ERROR at preflight";
  const std::string headline = fmt::format("DIVERGENCE at {}", RungName(*verdict.failed_rung()));
  if (verdict.at_fault == AtFault::kUnknown) return headline;
  if (verdict.at_fault == AtFault::kNeither) return headline + " by rounding alone: neither is at fault";
  const std::string known = verdict.known_fault ? fmt::format(" (known fault {})", verdict.known_fault->id) : "";
  return fmt::format("{}: the {} is at fault{}", headline, AtFaultName(verdict.at_fault), known);
}

std::string DescribeProfile(const Profile& profile) {
  if (profile.overrides.empty()) return profile.name;
  return fmt::format("{} with {}", profile.name, fmt::join(profile.overrides, ", "));
}

std::string DescribePosition(const RungResult& result) {
  return fmt::format("{} {}, token {} {}", PositionName(result.rung), result.position, result.token,
                     Quote(result.token_text));
}

std::string WhatWasCompared(const RungResult& result) {
  const bool explained =
      result.status == Status::kSkip || result.status == Status::kNotReached || result.status == Status::kNotJudged;
  if (explained) return result.message;
  return result.partly.empty() ? result.compared : fmt::format("{}: {}", result.compared, result.partly);
}

std::string DescribeCoverage(const Verdict& verdict) {
  if (!verdict.limited()) return "";
  std::vector<std::string> judged, not_judged;
  for (const RungResult& r : verdict.rungs) {
    if (r.rung == Rung::kPreflight) continue;
    const std::string name(RungName(r.rung));
    if (r.status == Status::kPass || r.status == Status::kFail)
      judged.push_back(name + (r.partly.empty() ? "" : " in part"));
    if (r.status == Status::kNotJudged) not_judged.push_back(name);
  }
  std::string text = judged.empty() ? "judged: nothing" : fmt::format("judged: {}", fmt::join(judged, ", "));
  if (!not_judged.empty()) text += fmt::format("; not judged: {}", fmt::join(not_judged, ", "));
  return text;
}

std::string CoverageProblem(const Verdict& verdict) {
  if (!verdict.parity() || verdict.outcome() != Outcome::kError) return "";
  std::vector<std::string> missing;
  for (const Rung rung : verdict.not_covered()) {
    missing.push_back(fmt::format("{} ({})", RungName(rung), WhatWasCompared(verdict.rung(rung))));
  }
  if (missing.empty()) return "no stage could be judged: the engines show nothing that both have";
  return fmt::format("required and not judged in full: {}", fmt::join(missing, ", "));
}

std::string MarkdownCell(const std::string& text) {
  std::string out;
  for (const char c : Utf8(text)) {
    if (c == '\n') {
      out += "<br>";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      if (c == '|' || c == '*' || c == '_' || c == '`' || c == '\\' || c == '[') out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace parity
