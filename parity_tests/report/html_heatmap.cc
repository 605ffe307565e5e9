// The heatmap of the HTML page: metrics down, positions across.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "parity_tests/judge/rungs.h"
#include "parity_tests/report/html_parts.h"
#include "parity_tests/report/numbers.h"

namespace parity {
namespace {

constexpr size_t kCells = 32;  // beside each other
constexpr std::array kHeatMetrics = {Metric::kMse,    Metric::kMaxAbs,       Metric::kKl,
                                     Metric::kCosine, Metric::kBitIdentical, Metric::kMaxUlp};
// The metrics as distances: zero is identical.
constexpr std::array<std::string_view, kHeatMetrics.size()> kHeatNames = {"mse",      "max_abs",     "kl",
                                                                          "1-cosine", "bits differ", "max_ulp"};

const Check* FindCheck(const RungResult& result, Metric metric) {
  const auto check = std::find_if(result.checks.begin(), result.checks.end(),
                                  [metric](const Check& check) { return check.metric == metric; });
  return check == result.checks.end() ? nullptr : &*check;
}

double Distance(Metric metric, double value) { return HigherIsBetter(metric) ? 1 - value : value; }

// The class of a cell: see kHtmlStyle. A step is a factor of ten: below the limit, over it, or, where the limit is zero
// or there is none, below the largest distance of the heatmap.
std::string CellClass(Metric metric, const RowMetrics& row, const Check* check, double largest) {
  const double value = MetricValue(row, metric), distance = Distance(metric, value);
  if (row.non_finite > 0 || !std::isfinite(distance)) return "inf";
  if (distance == 0) return "z";
  const double limit = check == nullptr ? 0 : Distance(metric, check->limit);
  const double decades = std::log10(distance / (limit > 0 ? limit : largest));
  const auto level = [](double step, int last) { return static_cast<int>(std::clamp<double>(step, 0, last)); };
  if (check == nullptr) return fmt::format("n{}", level(4 + std::ceil(decades), 4));
  if (Meets(metric, value, check->limit)) return fmt::format("w{}", level(4 + std::ceil(decades), 4));
  return fmt::format("o{}", level(limit > 0 ? std::floor(decades) : 3 + std::ceil(decades), 3));
}

std::string HeatTitle(const Positions& at, size_t i) {
  std::string title = at.Name(i);
  for (const Metric metric : kMetrics) {
    title += fmt::format("\n{} {}", MetricName(metric), FormatMetric(metric, MetricValue(*at.metrics(i), metric)));
    if (const Check* check = FindCheck(at.result(), metric)) title += fmt::format(" (limit {})", FormatLimit(*check));
  }
  return title;
}

// Positions `first` to `last` - 1 beside each other. `largest`: of each metric over the whole heatmap.
std::string HeatLine(const Positions& at, size_t first, size_t last, const std::vector<double>& largest) {
  constexpr int kLabels = 84, kTop = 16, kHeight = 16;
  const int width = at.rows() > kCells / 2 ? 15 : 28, bottom = kTop + kHeight * static_cast<int>(kHeatMetrics.size());
  size_t longest = 0;  // token text, in bytes: never less than its characters
  std::string out;
  for (size_t m = 0; m < kHeatMetrics.size(); ++m) {
    out += Tag(fmt::format("text class=\"dim\" x=\"{}\" y=\"{}\" text-anchor=\"end\"", kLabels - 6,
                           kTop + kHeight * static_cast<int>(m) + 11),
               kHeatNames[m]);
  }
  for (size_t i = first; i < last; ++i) {
    const int x = kLabels + width * static_cast<int>(i - first);
    std::string column = Tag("title", Escape(HeatTitle(at, i)));
    for (size_t m = 0; m < kHeatMetrics.size(); ++m) {
      const Metric metric = kHeatMetrics[m];
      column += fmt::format("<rect class=\"c {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                            CellClass(metric, *at.metrics(i), FindCheck(at.result(), metric), largest[m]), x,
                            kTop + kHeight * static_cast<int>(m), width - 1, kHeight - 1);
    }
    column += Tag(fmt::format("text transform=\"translate({},{}) rotate(90)\"", x + width / 2 - 3, bottom + 4),
                  Escape(Shorten(at.Token(i).second, 14)));
    longest = std::max(longest, at.Token(i).second.size());
    if ((i - first) % 4 == 0)
      column += Tag(fmt::format("text class=\"dim\" x=\"{}\" y=\"11\"", x), std::to_string(at.result().PositionOf(i)));
    out += Tag("g", column) + "\n";
  }
  const int total = kLabels + std::max(width * static_cast<int>(last - first), 40);
  return Tag(fmt::format("svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
                         "aria-label=\"{2}s {3} to {4}\"",
                         total, bottom + 8 + 6 * static_cast<int>(std::min<size_t>(longest, 15)),
                         PositionName(at.result().rung), first, last - 1),
             out);
}

}  // namespace

std::string Heatmap(const Positions& at) {
  if (at.rows() == 0) return "";
  std::vector<double> largest;
  for (const Metric metric : kHeatMetrics) {
    largest.push_back(0);
    for (const RowMetrics& row : at.result().rows) {
      const double distance = Distance(metric, MetricValue(row, metric));
      if (row.non_finite == 0 && std::isfinite(distance)) largest.back() = std::max(largest.back(), distance);
    }
  }
  std::string lines;
  for (size_t i = 0; i < at.rows(); i += kCells) {
    lines += HeatLine(at, i, std::min(i + kCells, at.rows()), largest);
  }
  return Tag("h4", Count(at.rows(), at.result().rung)) + Tag("div class=\"heat\"", lines);
}

std::string HeatmapKey() {
  return Key({{{"z"}, "0: identical"},
              {{"w0", "w1", "w2", "w3", "w4"}, "within the limit, a factor of ten each"},
              {{"o0", "o1", "o2", "o3"}, "over it, the same"},
              {{"n0", "n1", "n2", "n3", "n4"}, "no limit: up to the largest here"},
              {{"inf"}, "NaN or infinity"}});
}

}  // namespace parity
