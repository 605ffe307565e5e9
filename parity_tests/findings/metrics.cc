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
    if (position_[i] < 0 || !Meets(metric, value, worst_[i])) {
      worst_[i] = value;
      position_[i] = position;
    }
  }
  ++rows_;
  values_ += columns;
  differing_ += row.differing;
  non_finite_ += row.non_finite;
  AddFurthest(row.furthest, row.max_ulp, position);
}

void WorstRows::AddFurthest(const ValuePair& pair, double ulp, int64_t position) {
  if (pair.column < 0 || (furthest_.column >= 0 && ulp <= furthest_ulp_)) return;
  furthest_ = pair;
  furthest_ulp_ = ulp;
  furthest_position_ = position;
}

void WorstRows::Add(const WorstRows& other) {
  if (other.rows_ == 0) return;
  for (const Metric metric : kMetrics) {
    const size_t i = static_cast<size_t>(metric);
    if (position_[i] < 0 || !Meets(metric, other.worst_[i], worst_[i])) {
      worst_[i] = other.worst_[i];
      position_[i] = other.position_[i];
    }
  }
  rows_ += other.rows_;
  values_ += other.values_;
  differing_ += other.differing_;
  non_finite_ += other.non_finite_;
  AddFurthest(other.furthest_, other.furthest_ulp_, other.furthest_position_);
}

double WorstRows::identical_share() const {
  return values_ == 0 ? 1.0 : static_cast<double>(values_ - differing_) / static_cast<double>(values_);
}

}  // namespace parity
