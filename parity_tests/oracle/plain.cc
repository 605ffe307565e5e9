#include "parity_tests/oracle/plain.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "engine/formats/half.h"
#include "parity_tests/oracle/quantize.h"

namespace parity::plain {
namespace {

using bitnet::ActivationKind;

float RoundedToF16(float x) { return bitnet::F32FromF16(bitnet::F16FromF32(x)); }

// As they meet the weights. `q`: what was rounded to int8, if anything was.
Values RoundedActivations(const ProductParameters& p, const Values& x, size_t cols, ActivationKind kind, Int8Rows* q) {
  if (p.quantizing.none) return x;
  if (p.quantizing.to_f16) kind = ActivationKind::kF16;
  const bool as_asked = p.quantizing == Quantizing() || p.quantizing.to_f16;
  if (!IsInt8(kind) && !as_asked) kind = ActivationKind::kI8Row;  // an engine's own int8
  if (!IsInt8(kind)) {
    Values rounded = x;
    for (float& v : rounded) {
      if (kind == ActivationKind::kF16) v = RoundedToF16(v);
      if (kind == ActivationKind::kBF16) v = bitnet::F32FromBf16(bitnet::Bf16FromF32(v));
    }
    return rounded;
  }
  *q = QuantizeWrongly(kind, x, cols, p.quantizing);
  return Dequantized(kind, *q, x.size());
}

// Rows of a matrix that are multiplied side by side, each with a sum of its own, which is added up in the order of one
// row alone.
constexpr size_t kLanes = 8;
using Lanes = std::array<double, kLanes>;

void ReadRow(const ProductParameters& p, size_t r, float* row) {
  if (p.read_row) {
    p.read_row(r, row);
  } else {
    bitnet::WeightRow(p.w, r, row);
  }
}

// Rounding stays the same on every machine: the lanes are independent, and products are rounded before they are added.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PARITY_WIDEST_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define PARITY_WIDEST_VECTORS
#endif

// w: [cols, kLanes]; a: [cols].
PARITY_WIDEST_VECTORS
Lanes Sums(const double* w, const float* a, size_t cols, size_t group) {
  Lanes sum = {};
  for (size_t at = 0; at < cols; at += group) {
    Lanes part = {};
    for (size_t c = at; c < at + group; ++c) {
      const double x = a[c];
      for (size_t lane = 0; lane < kLanes; ++lane) part[lane] += w[c * kLanes + lane] * x;
    }
    for (size_t lane = 0; lane < kLanes; ++lane) sum[lane] += part[lane];
  }
  return sum;
}

// Of weights that share a scale: the sum of code times q, some of it in 16 bits.
int64_t WrappedSum(const NarrowSums& narrow, const double* w, const int8_t* q, size_t n) {
  std::vector<int16_t> sums(narrow.sums, 0);
  const size_t widened = narrow.weights == 0 ? n : narrow.weights;
  int64_t total = 0;
  for (size_t i = 0; i < n; ++i) {
    const double weight = w[i * kLanes];
    const int code = (weight > 0 ? 1 : weight < 0 ? -1 : 0) + (narrow.codes ? 1 : 0);
    int16_t& sum = sums[i / narrow.neighbours % narrow.sums];
    sum = static_cast<int16_t>(sum + code * q[i]);
    if ((i + 1) % widened != 0 && i + 1 != n) continue;
    total = std::accumulate(sums.begin(), sums.end(), total);
    std::fill(sums.begin(), sums.end(), int16_t{0});
  }
  return narrow.codes ? total - std::accumulate(q, q + n, int64_t{0}) : total;
}

// The same where sums of the codes times q, int8, wrap at 16 bits.
Lanes SumsThatWrap(const NarrowSums& narrow, const double* w, const float* a, const int8_t* q, size_t cols,
                   size_t group) {
  Lanes sum = {};
  for (size_t at = 0; at < cols; at += group) {
    double unit = 0;  // what one of q stands for
    for (size_t c = at; c < at + group && unit == 0; ++c) unit = q[c] == 0 ? 0 : static_cast<double>(a[c]) / q[c];
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double* weights = w + at * kLanes + lane;
      double scale = 0;
      for (size_t i = 0; i < group; ++i) scale = std::max(scale, std::fabs(weights[i * kLanes]));
      sum[lane] += unit * scale * static_cast<double>(WrappedSum(narrow, weights, q + at, group));
    }
  }
  return sum;
}

}  // namespace

void NormRow(const NormParameters& p, const float* x, float* y) {
  const size_t cols = p.gamma.size();
  const auto counted = static_cast<size_t>(static_cast<float>(cols) * p.share);
  double sum = 0;
  for (size_t i = 0; i < counted; ++i) sum += static_cast<double>(x[i]) * x[i];
  const double mean = sum / (p.divisor != 0 ? static_cast<double>(p.divisor) : static_cast<double>(counted));
  const double eps = p.eps;
  const double scale = p.eps_outside ? 1 / (std::sqrt(mean) + eps) : 1 / std::sqrt(mean + eps);
  for (size_t i = 0; i < cols; ++i) y[i] = static_cast<float>(x[i] * scale * static_cast<double>(p.gamma[i]));
}

Values Activations(const ProductParameters& p, const Values& x, ActivationKind kind) {
  Int8Rows q;
  return RoundedActivations(p, x, p.w.cols, kind, &q);
}

Values Product(const ProductParameters& p, const Values& x, size_t n, ActivationKind kind) {
  const bitnet::WeightMatrix& w = p.w;
  Int8Rows q;
  const Values a = RoundedActivations(p, x, w.cols, kind, &q);
  const size_t group = q.q.empty() ? w.cols : x.size() / q.d.size();
  Values y(n * w.rows), row(w.cols);
  std::vector<double> lanes(w.cols * kLanes);
  for (size_t first = 0; first < w.rows; first += kLanes) {
    const size_t rows = std::min(kLanes, w.rows - first);
    for (size_t lane = 0; lane < rows; ++lane) {
      ReadRow(p, first + lane, row.data());
      for (size_t c = 0; c < w.cols; ++c) lanes[c * kLanes + lane] = static_cast<double>(row[c]);
    }
    for (size_t i = 0; i < n; ++i) {
      const size_t at = i * w.cols;
      const Lanes sum = p.narrow && !q.q.empty()
                            ? SumsThatWrap(*p.narrow, lanes.data(), &a[at], &q.q[at], w.cols, group)
                            : Sums(lanes.data(), &a[at], w.cols, group);
      for (size_t lane = 0; lane < rows; ++lane) {
        const size_t r = first + lane;
        y[i * w.rows + r] = static_cast<float>(sum[lane] * w.side_scale + (w.bias != nullptr ? w.bias[r] : 0));
      }
    }
  }
  return y;
}

void RopeRow(const RopeParameters& p, float* x, size_t n_heads, size_t head_dim, size_t n_rot, size_t i,
             const Batch& batch) {
  const double position = p.position ? p.position(i, batch) : static_cast<double>(batch.first + i) + p.shift;
  const size_t turning = p.n_rot != 0 ? p.n_rot : n_rot, half = turning / 2;
  const size_t heads = p.heads != 0 ? std::min(p.heads, n_heads) : n_heads;
  for (size_t pair = 0; pair < (p.pairs != 0 ? std::min(p.pairs, half) : half); ++pair) {
    const double power = -2.0 * static_cast<double>(pair) * p.exponent / static_cast<double>(turning);
    double angle = position * std::pow(static_cast<double>(p.base), power) * p.turns;
    if (pair < p.divisors.size()) angle /= p.divisors[pair];
    angle *= p.scaling.frequency;
    if (p.angle_as) angle = p.angle_as(angle);
    const double cosine = std::cos(angle) * p.scaling.magnitude, sine = std::sin(angle) * p.scaling.magnitude;
    for (size_t head = 0; head < heads; ++head) {
      float* of = x + head * head_dim;
      float& first = of[p.layout == bitnet::RopeLayout::kNeox ? pair : 2 * pair];
      float& second = of[p.layout == bitnet::RopeLayout::kNeox ? pair + half : 2 * pair + 1];
      const double a = first, b = second;
      first = static_cast<float>(a * cosine - b * sine);
      second = static_cast<float>(a * sine + b * cosine);
    }
  }
}

float Kept(CacheType type, float x) {
  switch (type) {
    case CacheType::kF16:
      return RoundedToF16(x);
    case CacheType::kBF16:
      return bitnet::F32FromBf16(bitnet::Bf16FromF32(x));
    case CacheType::kTruncatedF16: {
      const float nearest = RoundedToF16(x);
      if (std::fabs(nearest) <= std::fabs(x)) return nearest;
      return bitnet::F32FromF16(static_cast<uint16_t>(bitnet::F16FromF32(x) - 1));
    }
    case CacheType::kF32:
    case CacheType::kQ80:
      return x;
  }
  return x;
}

void KeepRow(CacheType type, std::span<float> row) {
  if (type != CacheType::kQ80) {
    for (float& v : row) v = Kept(type, v);
    return;
  }
  constexpr size_t kBlock = 32;
  for (size_t at = 0; at + kBlock <= row.size(); at += kBlock) {
    float largest = 0;
    for (size_t i = at; i < at + kBlock; ++i) largest = std::max(largest, std::fabs(row[i]));
    const float d = largest / 127.0f, kept = RoundedToF16(d);
    for (size_t i = at; i < at + kBlock; ++i) row[i] = d == 0 ? 0 : std::round(row[i] / d) * kept;
  }
}

void SoftmaxRow(const AttentionParameters& p, size_t head, size_t position, std::span<float> scores) {
  std::vector<double> x(scores.size());
  double largest = -INFINITY, sum = 0;
  for (size_t key = 0; key < x.size(); ++key) {
    x[key] = static_cast<double>(scores[key]) * p.scale;
    if (p.score_as) x[key] = p.score_as(head, position, key, x[key]);
    largest = std::max(largest, x[key]);
  }
  const double base = p.exp_base == 0 ? 1 : std::log(p.exp_base);
  if (!std::isfinite(largest)) largest = 0;
  for (size_t key = 0; key < x.size(); ++key) {
    x[key] = std::exp((x[key] - largest) * base);
    if (!p.summed || p.summed(key, x.size())) sum += x[key];
  }
  // A sink is a key of its own, of score 0.
  if (p.sink != 0) sum += p.sink * std::exp(-largest * base);
  if (!p.normalized) sum = std::exp(-largest * base);
  for (size_t key = 0; key < x.size(); ++key) scores[key] = static_cast<float>(sum == 0 ? 0 : x[key] / sum);
}

}  // namespace parity::plain
