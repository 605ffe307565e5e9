#include "engine/kernels/rope.h"

#include <algorithm>
#include <cmath>
#include "engine/kernels/counts.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/rope.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void RopeHeads(float* x, size_t n_heads, size_t head_dim, size_t half, const float* cos, const float* sin) {
  const hn::ScalableTag<float> d;
  for (size_t h = 0; h < n_heads; ++h) {
    float* first = x + h * head_dim;
    float* second = first + half;
    size_t i = 0;
    for (; i + hn::Lanes(d) <= half; i += hn::Lanes(d)) {
      const auto x0 = hn::LoadU(d, first + i);
      const auto x1 = hn::LoadU(d, second + i);
      const auto c = hn::LoadU(d, cos + i);
      const auto s = hn::LoadU(d, sin + i);
      hn::StoreU(hn::MulSub(x0, c, hn::Mul(x1, s)), d, first + i);
      hn::StoreU(hn::MulAdd(x0, s, hn::Mul(x1, c)), d, second + i);
    }
    for (; i < half; ++i) {
      const float x0 = first[i];
      const float x1 = second[i];
      first[i] = std::fma(x0, cos[i], -(x1 * sin[i]));
      second[i] = std::fma(x0, sin[i], x1 * cos[i]);
    }
  }
}

void RopeHeadsInterleaved(float* x, size_t n_heads, size_t head_dim, size_t half, const float* cos, const float* sin) {
  const hn::ScalableTag<float> d;
  for (size_t h = 0; h < n_heads; ++h) {
    float* head = x + h * head_dim;
    size_t i = 0;
    for (; i + hn::Lanes(d) <= half; i += hn::Lanes(d)) {
      hn::Vec<decltype(d)> x0, x1;
      hn::LoadInterleaved2(d, head + 2 * i, x0, x1);
      const auto c = hn::LoadU(d, cos + i);
      const auto s = hn::LoadU(d, sin + i);
      hn::StoreInterleaved2(hn::MulSub(x0, c, hn::Mul(x1, s)), hn::MulAdd(x0, s, hn::Mul(x1, c)), d, head + 2 * i);
    }
    for (; i < half; ++i) {
      const float x0 = head[2 * i];
      const float x1 = head[2 * i + 1];
      head[2 * i] = std::fma(x0, cos[i], -(x1 * sin[i]));
      head[2 * i + 1] = std::fma(x0, sin[i], x1 * cos[i]);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(RopeHeads);
HWY_EXPORT(RopeHeadsInterleaved);

namespace {

// The pair that turns `turns` times in n_ctx positions.
float PairTurning(float turns, size_t n_rot, float base, uint32_t n_ctx) {
  constexpr auto kPi = static_cast<float>(M_PI);
  return static_cast<float>(n_rot) * std::log(static_cast<float>(n_ctx) / (turns * 2 * kPi)) / (2 * std::log(base));
}

float ScaledAngle(float angle, size_t pair, const RopeScaling& s) {
  const float scaled = s.frequency * angle;
  if (!s.yarn) return scaled;
  const float along = (static_cast<float>(pair) - s.low) / std::max(0.001f, s.high - s.low);
  const float own = 1 - std::min(1.0f, std::max(0.0f, along));
  return std::fma(scaled, 1 - own, angle * own);
}

}  // namespace

RopeScaling YarnScaling(float factor, size_t n_rot, float base, uint32_t n_ctx, float attention) {
  RopeScaling s{.frequency = 1.0f / factor, .yarn = true};
  s.low = std::max(0.0f, std::floor(PairTurning(32.0f, n_rot, base, n_ctx)));
  s.high = std::min(static_cast<float>(n_rot - 1), std::ceil(PairTurning(1.0f, n_rot, base, n_ctx)));
  // The model's magnitude is divided by what the kernel multiplies it with, and so is 1 but for roundings.
  const float stretch = 1.0f / s.frequency;
  const float grown = 0.1f * std::log(stretch) + 1.0f;
  s.magnitude = (stretch <= 1.0f ? 1.0f : grown) * (1.0f / grown) * attention;
  s.magnitude *= std::fma(0.1f, std::log(1.0f / s.frequency), 1.0f);
  return s;
}

RopeAngles ComputeRopeAngles(int position, size_t n_rot, float base, const RopeScaling& scaling,
                             std::span<const float> divisors) {
  RopeAngles angles{std::vector<float>(n_rot / 2), std::vector<float>(n_rot / 2)};
  const float step = std::pow(base, -2.0f / static_cast<float>(n_rot));
  float theta = static_cast<float>(position);
  for (size_t i = 0; i < n_rot / 2; ++i) {
    const float angle = ScaledAngle(divisors.empty() ? theta : theta / divisors[i], i, scaling);
    angles.cos[i] = std::cos(angle) * scaling.magnitude;
    angles.sin[i] = std::sin(angle) * scaling.magnitude;
    theta *= step;
  }
  return angles;
}

void Rope(float* x, size_t n_heads, size_t head_dim, size_t n_rot, const RopeAngles& angles, RopeLayout layout) {
  static KernelCounter counter("rope");
  counter.Add();
  if (layout == RopeLayout::kNeox) {
    HWY_DYNAMIC_DISPATCH(RopeHeads)(x, n_heads, head_dim, n_rot / 2, angles.cos.data(), angles.sin.data());
  } else {
    HWY_DYNAMIC_DISPATCH(RopeHeadsInterleaved)(x, n_heads, head_dim, n_rot / 2, angles.cos.data(), angles.sin.data());
  }
}

}  // namespace bitnet
#endif  // HWY_ONCE
