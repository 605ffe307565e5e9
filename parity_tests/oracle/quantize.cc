#include "parity_tests/oracle/quantize.h"

#include <algorithm>
#include <cmath>

#include "engine/formats/half.h"

namespace parity {

using bitnet::ActivationKind;

namespace {

using Group = Quantizing::Group;
using Largest = Quantizing::Largest;
using Rounding = Quantizing::Rounding;

// What a group whose value of largest magnitude is m is multiplied with, and the scale that is kept.
struct Scale {
  float factor = 0;
  float kept = 0;
};
Scale ScaleFor(ActivationKind kind, float m, const Quantizing& rule) {
  const float levels = rule.levels;
  // Who writes such a rule takes the magnitude, where ggml's factor has the sign of the largest value.
  const bool lopsided = rule.wraps || rule.rounding == Rounding::kUp || rule.rounding == Rounding::kFloor;
  if (kind == ActivationKind::kQ8K && lopsided) {
    return m == 0 ? Scale() : Scale{levels / std::fabs(m), std::fabs(m) / levels};
  }
  if (kind == ActivationKind::kQ8K) {
    const float factor = m == 0 ? 0.0f : -levels / m;
    return {factor, factor == 0 ? 0.0f : 1.0f / factor};
  }
  if (kind == ActivationKind::kQ80 || kind == ActivationKind::kQ80Inverted || kind == ActivationKind::kQ81) {
    const float largest = std::fabs(m), kept = largest / levels;
    const bool none = largest == 0 || std::isinf(levels / largest);
    return {none                                   ? 0.0f
            : kind == ActivationKind::kQ80Inverted ? 1.0f / kept
                                                   : levels / largest,
            kind != ActivationKind::kQ81 ? bitnet::F32FromF16(bitnet::F16FromF32(kept)) : kept};
  }
  const float s =
      static_cast<float>(static_cast<double>(levels) / std::max(0.00001, static_cast<double>(std::fabs(m))));
  return {s, s};
}

// The value of a group that becomes the largest int8.
float LargestOf(const float* x, size_t n, Largest rule) {
  float m = 0;
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const bool larger = rule == Largest::kValue ? x[i] > m : std::fabs(x[i]) > std::fabs(m);
    m = larger ? x[i] : m;
    sum += static_cast<double>(std::fabs(x[i]));
  }
  return rule == Largest::kMeanMagnitude ? static_cast<float>(sum / static_cast<double>(n)) : m;
}

float Rounded(float x, const Quantizing& rule) {
  switch (rule.rounding) {
    case Rounding::kTruncating:
      return std::trunc(x);
    case Rounding::kAway:
      return std::round(x);
    case Rounding::kFloor:
      return std::floor(x);
    case Rounding::kUp:
      return std::floor(x + 1 - rule.nearest_from);
    case Rounding::kNearest:
      break;
  }
  if (rule.nearest_from == 0.5f) return std::nearbyint(x);
  const float whole = std::trunc(x);
  return std::fabs(x - whole) >= rule.nearest_from ? whole + std::copysign(1.0f, x) : whole;
}

}  // namespace

Int8Rows QuantizeWrongly(ActivationKind kind, const Values& x, size_t cols, const Quantizing& rule) {
  const size_t own = ScaleGroup(kind, cols);
  const size_t group = rule.group == Group::kBatch   ? x.size()
                       : rule.group == Group::kRow   ? cols
                       : rule.group == Group::kBlock ? std::min(rule.block, cols)
                                                     : own;
  const size_t kept = std::min(own, group);
  const bool once =
      kind == ActivationKind::kI8RowRoundedOnce && rule.rounding == Rounding::kNearest && rule.nearest_from == 0.5f;
  Int8Rows rows{std::vector<int8_t>(x.size()), Values(x.size() / kept)};
  for (size_t at = 0; at < x.size(); at += group) {
    const Scale scale = ScaleFor(kind, LargestOf(x.data() + at, group, rule.largest), rule);
    for (size_t i = at; i < at + group; ++i) {
      const float rounded = once ? static_cast<float>(std::nearbyint(static_cast<double>(x[i]) * scale.factor))
                                 : Rounded(x[i] * scale.factor, rule);
      // What is no number is 0, as by the definition.
      rows.q[i] = std::isnan(rounded) ? int8_t{0}
                  : rule.wraps        ? static_cast<int8_t>(static_cast<int>(std::clamp(rounded, -1e6f, 1e6f)))
                                      : static_cast<int8_t>(std::clamp(rounded, rule.lowest, 127.0f));
    }
    for (size_t i = at; i < at + group; i += kept) rows.d[i / kept] = scale.kept;
  }
  return rows;
}

Values Dequantized(ActivationKind kind, const Int8Rows& rows, size_t n) {
  const bool divides = kind == ActivationKind::kI8Row || kind == ActivationKind::kI8RowRoundedOnce;
  const size_t group = n / rows.d.size();
  Values x(n);
  for (size_t i = 0; i < n; ++i) {
    const float d = rows.d[i / group], q = rows.q[i];
    x[i] = divides ? (d == 0 ? 0 : q / d) : q * d;
  }
  return x;
}

}  // namespace parity
