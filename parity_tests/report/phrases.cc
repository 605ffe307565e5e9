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
  if (verdict.parity()) {
    const auto last = std::find_if(verdict.rungs.rbegin(), verdict.rungs.rend(),
                                   [](const RungResult& result) { return result.status == Status::kPass; });
    const bool all = std::none_of(verdict.rungs.begin(), verdict.rungs.end(),
                                  [](const RungResult& result) { return result.status == Status::kNotReached; });
    std::string headline = all ? "PARITY" : fmt::format("PARITY up to {}", RungName(last->rung));
    if (verdict.at_fault == AtFault::kUnknown) return headline;
    return fmt::format("{} within the limits of {}, and yet the {} is at fault", headline, verdict.profile.name,
                       AtFaultName(verdict.at_fault));
  }
  const RungResult& preflight = verdict.rung(Rung::kPreflight);
  if (preflight.status == Status::kSkip) return "SKIPPED";
  if (preflight.status == Status::kFail) return "ERROR at preflight";
  const std::string headline = fmt::format("DIVERGENCE at {}", RungName(*verdict.failed_rung()));
  if (verdict.at_fault == AtFault::kUnknown) return headline;
  return fmt::format("{}: the {} is at fault", headline, AtFaultName(verdict.at_fault));
}

std::string DescribeProfile(const Profile& profile) {
  if (profile.overrides.empty()) return profile.name;
  return fmt::format("{} with {}", profile.name, fmt::join(profile.overrides, ", "));
}

std::string DescribePosition(const RungResult& result) {
  return fmt::format("{} {}, token {} {}", PositionName(result.rung), result.position, result.token,
                     Quote(result.token_text));
}

const std::string& WhatWasCompared(const RungResult& result) {
  const bool explained = result.status == Status::kSkip || result.status == Status::kNotReached;
  return explained ? result.message : result.compared;
}

}  // namespace parity
