#include "parity_tests/findings/metrics.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

namespace parity {
namespace {

constexpr std::array<std::string_view, kMetrics.size()> kNames = {
    "mse",          "max_abs",       "mean_abs",      "l2",     "kl", "cosine", "top1_overlap",
    "top5_overlap", "top10_overlap", "bit_identical", "max_ulp"};

}  // namespace

std::string_view MetricName(Metric metric) { return kNames[static_cast<size_t>(metric)]; }

Metric MetricFromName(std::string_view name) {
  for (const Metric metric : kMetrics) {
    if (MetricName(metric) == name) return metric;
  }
  throw std::runtime_error(fmt::format("metric \"{}\" is not known; known are {}", name, fmt::join(kNames, ", ")));
}

double MetricValue(const RowMetrics& row, Metric metric) {
  switch (metric) {
    case Metric::kMse:
      return row.mse;
    case Metric::kMaxAbs:
      return row.max_abs;
    case Metric::kMeanAbs:
      return row.mean_abs;
    case Metric::kL2:
      return row.l2;
    case Metric::kKl:
      return row.kl;
    case Metric::kCosine:
      return row.cosine;
    case Metric::kTop1Overlap:
      return row.top1_overlap;
    case Metric::kTop5Overlap:
      return row.top5_overlap;
    case Metric::kTop10Overlap:
      return row.top10_overlap;
    case Metric::kBitIdentical:
      return row.bit_identical;
    case Metric::kMaxUlp:
      return row.max_ulp;
  }
  throw std::runtime_error("metric: a value outside the enumeration");
}

bool IsShare(Metric metric) {
  return metric == Metric::kTop1Overlap || metric == Metric::kTop5Overlap || metric == Metric::kTop10Overlap ||
         metric == Metric::kBitIdentical;
}

bool HigherIsBetter(Metric metric) { return metric == Metric::kCosine || IsShare(metric); }

bool Meets(Metric metric, double value, double limit) {
  return HigherIsBetter(metric) ? value >= limit : value <= limit;
}

void WorstRows::Add(const RowMetrics& row, int64_t position, int64_t columns) {
  for (const Metric metric : kMetrics) {
    const size_t i = static_cast<size_t>(metric);
    const double value = MetricValue(row, metric);
    if (parts_.position[i] < 0 || !Meets(metric, value, parts_.worst[i])) {
      parts_.worst[i] = value;
      parts_.position[i] = position;
    }
  }
  ++parts_.rows;
  parts_.values += columns;
  parts_.differing += row.differing;
  parts_.non_finite += row.non_finite;
  AddFurthest(row.furthest, row.max_ulp, position);
}

void WorstRows::AddFurthest(const ValuePair& pair, double ulp, int64_t position) {
  if (pair.column < 0 || (parts_.furthest.column >= 0 && ulp <= parts_.furthest_ulp)) return;
  parts_.furthest = pair;
  parts_.furthest_ulp = ulp;
  parts_.furthest_position = position;
}

void WorstRows::Add(const WorstRows& other) {
  if (other.parts_.rows == 0) return;
  for (const Metric metric : kMetrics) {
    const size_t i = static_cast<size_t>(metric);
    if (parts_.position[i] < 0 || !Meets(metric, other.parts_.worst[i], parts_.worst[i])) {
      parts_.worst[i] = other.parts_.worst[i];
      parts_.position[i] = other.parts_.position[i];
    }
  }
  parts_.rows += other.parts_.rows;
  parts_.values += other.parts_.values;
  parts_.differing += other.parts_.differing;
  parts_.non_finite += other.parts_.non_finite;
  AddFurthest(other.parts_.furthest, other.parts_.furthest_ulp, other.parts_.furthest_position);
}

double WorstRows::identical_share() const {
  return parts_.values == 0
             ? 1.0
             : static_cast<double>(parts_.values - parts_.differing) / static_cast<double>(parts_.values);
}

}  // namespace parity
