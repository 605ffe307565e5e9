#include "parity_tests/report/bisection_report.h"

#include <fmt/format.h>

#include "parity_tests/judge/rungs.h"
#include "parity_tests/report/color.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

std::string Describe(const std::string& side, const ReplayResult& r) {
  if (r.verdict == ReplayVerdict::kNotTraced) return fmt::format("  {:<10} not replayed\n", side);
  if (r.verdict == ReplayVerdict::kExact) return fmt::format("  {:<10} exact: {} elements\n", side, r.elements);
  return fmt::format("  {:<10} {}: {} of {} elements differ, max abs {:.3g}, {:.3g} of the tolerance\n", side,
                     ReplayVerdictName(r.verdict), r.differing, r.elements, r.max_abs, r.max_error);
}

}  // namespace

std::string BisectionText(const Bisection& b, bool color) {
  std::string out;
  const bool named = b.place.point != Point::kUnknown;
  const std::string place = named ? PlaceText(b.place.layer, b.place.point) : "";
  if (b.verdict == BisectVerdict::kNoDivergence) {
    out += Paint("PARITY: nothing to bisect", Color::kGreen, color) + "\n";
  } else {
    std::string headline = fmt::format("DIVERGENCE ({})", BisectVerdictName(b.verdict));
    if (named && b.verdict == BisectVerdict::kOperation) headline += ": " + place;
    if (b.place.position >= 0) headline += fmt::format(" at position {}", b.place.position);
    out += Paint(headline, Color::kRed, color) + "\n";
  }
  out += fmt::format("  {}\n", b.message);
  const auto line = [&out](std::string_view key, const std::string& value) {
    out += fmt::format("  {:<10} {}\n", key, value);
  };
  if (b.failed_rung) line("ladder", fmt::format("stops at {}", RungName(*b.failed_rung)));
  if (b.prefix_length > 0) {
    line("prefix", fmt::format("{} of {} tokens are the shortest that fails", b.prefix_length, b.prompt_length));
  }
  if (b.place.position >= 0) {
    line("position",
         fmt::format("{}, token {} {}{}", b.place.position, b.token, Quote(b.token_text),
                     b.candidate_token != b.token ? fmt::format(" (the candidate's: {})", b.candidate_token) : ""));
  }
  if (named) line(b.verdict == BisectVerdict::kOperation ? "operation" : "first bit", place);
  if (b.verdict == BisectVerdict::kOperation) {
    out += Describe("candidate", b.replay_candidate) + Describe("reference", b.replay_reference);
  }
  line("captures", fmt::format("{}", b.captures));
  for (const std::string& step : b.steps) out += fmt::format("    - {}\n", step);
  return out;
}

}  // namespace parity
