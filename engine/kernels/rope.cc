#include "engine/kernels/rope.h"

#include <cmath>

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

RopeAngles ComputeRopeAngles(int position, size_t n_rot, float base) {
  RopeAngles angles{std::vector<float>(n_rot / 2), std::vector<float>(n_rot / 2)};
  const float step = std::pow(base, -2.0f / static_cast<float>(n_rot));
  float theta = static_cast<float>(position);
  for (size_t i = 0; i < n_rot / 2; ++i) {
    angles.cos[i] = std::cos(theta);
    angles.sin[i] = std::sin(theta);
    theta *= step;
  }
  return angles;
}

void Rope(float* x, size_t n_heads, size_t head_dim, size_t n_rot, const RopeAngles& angles, RopeLayout layout) {
  if (layout == RopeLayout::kNeox) {
    HWY_DYNAMIC_DISPATCH(RopeHeads)(x, n_heads, head_dim, n_rot / 2, angles.cos.data(), angles.sin.data());
  } else {
    HWY_DYNAMIC_DISPATCH(RopeHeadsInterleaved)(x, n_heads, head_dim, n_rot / 2, angles.cos.data(), angles.sin.data());
  }
}

}  // namespace bitnet
#endif  // HWY_ONCE
