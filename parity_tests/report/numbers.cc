#include "parity_tests/report/numbers.h"

#include <fmt/format.h>

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

}  // namespace parity
