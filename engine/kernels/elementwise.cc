#include "engine/kernels/elementwise.h"

#include <bit>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/elementwise.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <size_t kLanes>
void SiluMulLanes(const float* gate, const float* up, size_t n, float* out) {
  using L = Lanes<kLanes>;
  const typename L::D d;
  const auto one = hn::Set(d, 1.0f);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t p = 0; p < L::kParts; ++p) {
      const size_t at = i + p * L::kWidth;
      const auto x = hn::LoadU(d, gate + at);
      const auto e = ExpVec<kLanes>(d, hn::Sub(hn::Zero(d), x));
      hn::StoreU(hn::Mul(hn::Div(x, hn::Add(one, e)), hn::LoadU(d, up + at)), d, out + at);
    }
  }
  for (; i < n; ++i) out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}
void SiluMul16(const float* gate, const float* up, size_t n, float* out) { SiluMulLanes<16>(gate, up, n, out); }
void SiluMul8(const float* gate, const float* up, size_t n, float* out) { SiluMulLanes<8>(gate, up, n, out); }

void SquaredReluMulAll(const float* gate, const float* up, size_t n, float* out) {
  const hn::ScalableTag<float> d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto r = hn::Max(hn::LoadU(d, gate + i), hn::Zero(d));
    hn::StoreU(hn::Mul(hn::Mul(r, r), hn::LoadU(d, up + i)), d, out + i);
  }
  for (; i < n; ++i) {
    const float r = gate[i] > 0 ? gate[i] : 0.0f;
    out[i] = r * r * up[i];
  }
}

void AddAll(const float* a, const float* b, size_t n, float* out) {
  const hn::ScalableTag<float> d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  }
  for (; i < n; ++i) out[i] = a[i] + b[i];
}

HWY_INLINE hwy::float16_t ToF16(float x) {
  const hn::CappedTag<float, 1> d1;
  const hn::Rebind<hwy::float16_t, decltype(d1)> d16;
  return hn::GetLane(hn::DemoteTo(d16, hn::Set(d1, x)));
}

void RoundToF16Bits(const float* x, size_t n, hwy::float16_t* out) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> d16;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) hn::StoreU(hn::DemoteTo(d16, hn::LoadU(d, x + i)), d16, out + i);
  for (; i < n; ++i) out[i] = ToF16(x[i]);
}

void RoundToF16Floats(const float* x, size_t n, float* out) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> d16;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    hn::StoreU(hn::PromoteTo(d, hn::DemoteTo(d16, hn::LoadU(d, x + i))), d, out + i);
  }
  for (; i < n; ++i) out[i] = hwy::F32FromF16(ToF16(x[i]));
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(SiluMul16);
HWY_EXPORT(SiluMul8);
HWY_EXPORT(SquaredReluMulAll);
HWY_EXPORT(AddAll);
HWY_EXPORT(RoundToF16Bits);
HWY_EXPORT(RoundToF16Floats);

void SiluMul(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out) {
  if (order.lanes == 16) {
    HWY_DYNAMIC_DISPATCH(SiluMul16)(gate, up, n, out);
  } else {
    HWY_DYNAMIC_DISPATCH(SiluMul8)(gate, up, n, out);
  }
}

void SquaredReluMul(const float* gate, const float* up, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(SquaredReluMulAll)(gate, up, n, out);
}

void AddRows(const float* a, const float* b, size_t n, float* out) { HWY_DYNAMIC_DISPATCH(AddAll)(a, b, n, out); }

void RoundToF16(const float* x, size_t n, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(RoundToF16Bits)(x, n, reinterpret_cast<hwy::float16_t*>(out));
}
void RoundToF16(const float* x, size_t n, float* out) { HWY_DYNAMIC_DISPATCH(RoundToF16Floats)(x, n, out); }

namespace scalar {

float Exp(float x, int lanes) {
  const float r = 0x1.8p23f;
  const float z = std::fma(x, 0x1.715476p+0f, r);
  const float n = z - r;
  const float b = std::fma(-n, 0x1.7f7d1cp-20f, std::fma(-n, 0x1.62e4p-1f, x));
  const float u = b * b;
  const float hi = std::fma(0x1.0e4020p-7f, b, 0x1.573e2ep-5f);
  const float lo = std::fma(0x1.555e66p-3f, b, 0x1.fffdb6p-2f);
  if (lanes == 16) {
    if (std::fabs(n) > 192) return n <= 0 ? 0.0f : std::numeric_limits<float>::infinity();
    const float j = std::fma(std::fma(hi, u, lo), u, std::fma(0x1.ffffecp-1f, b, 1.0f));
    return std::isnan(j) ? j : std::ldexp(j, static_cast<int>(n));
  }
  const float j = std::fma(std::fma(hi, u, lo), u, 0x1.ffffecp-1f * b);
  const uint32_t e = std::bit_cast<uint32_t>(z) << 23;
  const float k = std::bit_cast<float>(e + 0x3f800000u);
  const uint32_t g = n <= 0 ? 0x82000000u : 0u;
  const float s1 = std::bit_cast<float>(g + 0x7f000000u);
  const float s2 = std::bit_cast<float>(e - g);
  if (std::fabs(n) > 192) return s1 * s1;
  if (std::fabs(n) > 126) return std::fma(s2, j, s2) * s1;
  return std::fma(j, k, k);
}

void SiluMul(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out) {
  const size_t whole = n - n % order.lanes;
  for (size_t i = 0; i < n; ++i) {
    const float e = i < whole ? Exp(0.0f - gate[i], order.lanes) : std::exp(-gate[i]);
    out[i] = gate[i] / (1.0f + e) * up[i];
  }
}

void SquaredReluMul(const float* gate, const float* up, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) {
    const float r = gate[i] > 0 ? gate[i] : 0.0f;
    out[i] = r * r * up[i];
  }
}

}  // namespace scalar
}  // namespace bitnet
#endif  // HWY_ONCE
