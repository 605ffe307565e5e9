#include "parity_tests/oracle/quantize.h"

#include <algorithm>
#include <cmath>

#include "engine/formats/half.h"

namespace parity {

using bitnet::ActivationKind;

namespace {

// What a group whose value of largest magnitude is m is multiplied with, and the scale that is kept.
struct Scale {
  float factor = 0;
  float kept = 0;
};
Scale ScaleFor(ActivationKind kind, float m) {
  if (kind == ActivationKind::kQ8K) {
    const float factor = m == 0 ? 0.0f : -127.0f / m;
    return {factor, factor == 0 ? 0.0f : 1.0f / factor};
  }
  if (kind == ActivationKind::kQ80 || kind == ActivationKind::kQ81) {
    const float largest = std::fabs(m), kept = largest / 127.0f;
    return {largest == 0 ? 0.0f : 127.0f / largest,
            kind == ActivationKind::kQ80 ? bitnet::F32FromF16(bitnet::F16FromF32(kept)) : kept};
  }
  const float s = static_cast<float>(127.0 / std::max(0.00001, static_cast<double>(std::fabs(m))));
  return {s, s};
}

}  // namespace

Int8Rows QuantizeWrongly(ActivationKind kind, const Values& x, size_t cols, Quantizing rule) {
  const size_t own = ScaleGroup(kind, cols), group = rule == Quantizing::kWholeBatch ? x.size() : own;
  Int8Rows rows{std::vector<int8_t>(x.size()), Values(x.size() / own)};
  for (size_t at = 0; at < x.size(); at += group) {
    float m = 0;
    for (size_t i = at; i < at + group; ++i) m = std::fabs(x[i]) > std::fabs(m) ? x[i] : m;
    const Scale scale = ScaleFor(kind, m);
    for (size_t i = at; i < at + group; ++i) {
      const float scaled = x[i] * scale.factor;
      const float rounded = rule == Quantizing::kTruncating ? std::trunc(scaled) : std::nearbyint(scaled);
      rows.q[i] = static_cast<int8_t>(std::clamp(rounded, -128.0f, 127.0f));
    }
    for (size_t i = at; i < at + group; i += own) rows.d[i / own] = scale.kept;
  }
  return rows;
}

}  // namespace parity
