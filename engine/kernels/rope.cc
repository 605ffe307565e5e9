#include "engine/kernels/rope.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/counts.h"
#include "engine/kernels/primitives.h"

namespace bitnet {
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
  const Primitives& run = AnyPrimitives();
  counter.Add(run);
  run.rope(x, n_heads, head_dim, n_rot, angles, layout);
}

}  // namespace bitnet
