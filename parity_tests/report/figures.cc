#include "parity_tests/report/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace parity {
namespace {

// `value` up to 1 with `digits` decimals; where that would round to 1, what is missing: "1-1.1e-15".
std::string UpToOne(double value, int digits) {
  if (value == 1) return "1";
  const std::string text = fmt::format("{:.{}f}", value, digits);
  return text.starts_with("1") ? fmt::format("1-{:.2g}", 1 - value) : text;
}

}  // namespace

std::string FormatMetric(Metric metric, double value) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  if (metric == Metric::kBitIdentical) return FormatShare(value);
  if (metric == Metric::kMaxUlp) return fmt::format("{:.0f}", value);
  if (!HigherIsBetter(metric)) return value == 0 ? "0" : fmt::format("{:.2e}", value);
  return UpToOne(value, metric == Metric::kCosine ? 6 : 2);
}

std::string FormatShare(double share) {
  if (share == 1) return "100 %";
  const std::string text = fmt::format("{:.2f}", share * 100);
  return (text == "100.00" ? "99.99" : text) + " %";
}

std::string FormatLimit(const Check& check) {
  return fmt::format("{} {:g}", HigherIsBetter(check.metric) ? ">=" : "<=", check.limit);
}

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
    return all ? "PARITY" : fmt::format("PARITY up to {}", RungName(last->rung));
  }
  const RungResult& preflight = verdict.rung(Rung::kPreflight);
  if (preflight.status == Status::kSkip) return "SKIPPED";
  if (preflight.status == Status::kFail) return "ERROR at preflight";
  return fmt::format("DIVERGENCE at {}", RungName(*verdict.failed_rung()));
}

std::string DescribeProfile(const Profile& profile) {
  if (profile.overrides.empty()) return profile.name;
  return fmt::format("{} with {}", profile.name, fmt::join(profile.overrides, ", "));
}

}  // namespace parity
