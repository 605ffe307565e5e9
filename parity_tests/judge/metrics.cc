#include "parity_tests/judge/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

namespace parity {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Finite floats in their order as integers: neighbours differ by 1, and +0 and -0 are both 0.
int64_t Ordered(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const int64_t magnitude = bits & 0x7FFFFFFFu;
  return (bits >> 31) ? -magnitude : magnitude;
}

// 10240 as "10,240".
std::string Grouped(int64_t count) {
  std::string text = std::to_string(count);
  for (size_t i = text.size(); i > 3;) text.insert(i -= 3, ",");
  return text;
}

bool Finite(float value) { return (std::bit_cast<uint32_t>(value) & 0x7F800000u) != 0x7F800000u; }

// log(sum(exp(row))), with the maximum taken out so that nothing overflows.
double LogSumExp(std::span<const float> row) {
  const double max = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(x - max);
  return max + std::log(sum);
}

// sum p * (log p - log q) with p = softmax(reference), q = softmax(candidate). Never negative (Gibbs), so what rounding
// leaves below 0 is 0.
double KlDivergence(std::span<const float> candidate, std::span<const float> reference) {
  const double candidate_lse = LogSumExp(candidate);
  const double reference_lse = LogSumExp(reference);
  double kl = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - reference_lse;
    const double log_q = candidate[i] - candidate_lse;
    kl += std::exp(log_p) * (log_p - log_q);
  }
  return std::max(kl, 0.0);
}

// Share of the first k of `b` that are among the first k of `a`; both are the largest, largest first.
double Overlap(std::span<const int32_t> a, std::span<const int32_t> b, size_t k) {
  a = a.first(std::min(k, a.size()));
  b = b.first(std::min(k, b.size()));
  const auto common = std::count_if(b.begin(), b.end(),
                                    [&a](int32_t column) { return std::find(a.begin(), a.end(), column) != a.end(); });
  return static_cast<double>(common) / static_cast<double>(b.size());
}

}  // namespace

int64_t UlpDistance(float a, float b) { return std::abs(Ordered(a) - Ordered(b)); }

RowMetrics CompareRows(std::span<const float> candidate, std::span<const float> reference) {
  if (candidate.size() != reference.size() || candidate.empty()) {
    throw std::runtime_error(
        fmt::format("logits: the candidate's row has {} values and the reference's {}; two rows of the same length, at "
                    "least 1, can "
                    "be compared",
                    candidate.size(), reference.size()));
  }
  RowMetrics m;
  double sum_squares = 0, sum_abs = 0, dot = 0, candidate_squares = 0, reference_squares = 0;
  int64_t max_ulp = -1;
  for (size_t i = 0; i < candidate.size(); ++i) {
    const float c = candidate[i], r = reference[i];
    if (!Finite(c) || !Finite(r)) {
      if (m.non_finite++ == 0) m.furthest = {static_cast<int64_t>(i), c, r};
      continue;
    }
    const double x = c, y = r, difference = x - y;
    sum_squares += difference * difference;
    sum_abs += std::abs(difference);
    dot += x * y;
    candidate_squares += x * x;
    reference_squares += y * y;
    if (std::abs(difference) > m.max_abs) {
      m.max_abs = std::abs(difference);
      m.worst_column = static_cast<int64_t>(i);
    }
    if (std::bit_cast<uint32_t>(c) == std::bit_cast<uint32_t>(r)) continue;
    ++m.differing;
    if (const int64_t ulp = UlpDistance(c, r); ulp > max_ulp && m.non_finite == 0) {
      max_ulp = ulp;
      m.furthest = {static_cast<int64_t>(i), c, r};
    }
  }
  if (m.non_finite > 0) {
    m.mse = m.max_abs = m.mean_abs = m.l2 = m.kl = m.max_ulp = kInfinity;
    m.cosine = -1;
    m.top1_overlap = m.top5_overlap = m.top10_overlap = m.bit_identical = 0;
    m.worst_column = m.furthest.column;
    m.differing = static_cast<int64_t>(candidate.size());
    return m;
  }
  const double n = static_cast<double>(candidate.size());
  m.mse = sum_squares / n;
  m.mean_abs = sum_abs / n;
  m.l2 = std::sqrt(sum_squares);
  m.bit_identical = (n - static_cast<double>(m.differing)) / n;
  m.max_ulp = static_cast<double>(std::max<int64_t>(max_ulp, 0));
  if (sum_squares == 0) return m;  // equal in value: the rest stands at its best

  if (candidate_squares == 0 || reference_squares == 0) {
    m.cosine = 0;
  } else {
    m.cosine = std::clamp(dot / (std::sqrt(candidate_squares) * std::sqrt(reference_squares)), -1.0, 1.0);
  }
  m.kl = KlDivergence(candidate, reference);
  const std::vector<int32_t> a = TopK(candidate, 10), b = TopK(reference, 10);
  m.top1_overlap = Overlap(a, b, 1);
  m.top5_overlap = Overlap(a, b, 5);
  m.top10_overlap = Overlap(a, b, 10);
  return m;
}

std::vector<int32_t> TopK(std::span<const float> row, int k) {
  const auto before = [row](int32_t a, int32_t b) {
    const float x = row[static_cast<size_t>(a)], y = row[static_cast<size_t>(b)];
    if (std::isnan(x) != std::isnan(y)) return std::isnan(x);
    if (x != y && !std::isnan(x)) return x > y;
    return a < b;
  };
  std::vector<int32_t> top;
  const size_t want = static_cast<size_t>(std::max(k, 0));
  for (size_t i = 0; i < row.size() && want > 0; ++i) {
    const int32_t column = static_cast<int32_t>(i);
    if (top.size() == want && !before(column, top.back())) continue;
    top.insert(std::upper_bound(top.begin(), top.end(), column, before), column);
    if (top.size() > want) top.pop_back();
  }
  return top;
}

int32_t Argmax(std::span<const float> row) {
  if (row.empty()) return -1;
  size_t best = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    if (std::isnan(row[i])) return -1;
    if (row[i] > row[best]) best = i;
  }
  return static_cast<int32_t>(best);
}

std::string DescribeFurthest(const WorstRows& worst, std::string_view where) {
  const ValuePair& pair = worst.furthest();
  if (pair.column < 0) return "";
  return fmt::format("{:.0f} ULP at {} {}, token {} ({:.9g} and {:.9g})", worst.value(Metric::kMaxUlp), where,
                     worst.furthest_position(), pair.column, pair.candidate, pair.reference);
}

std::string DescribeDifference(const WorstRows& worst, std::string_view where) {
  if (worst.differing() == 0) return "";
  return fmt::format("{} of {} logits differ; largest distance {}", Grouped(worst.differing()), Grouped(worst.values()),
                     DescribeFurthest(worst, where));
}

}  // namespace parity
