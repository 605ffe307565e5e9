// Elements in vectors.
#include <cmath>

#include "engine/kernels/vectors.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/elementwise_vectors.cc"
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

void SquaredReluMul(const float* gate, const float* up, size_t n, float* out) {
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

void ToF16Bits(const float* x, size_t n, hwy::float16_t* out) {
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

void RoundToBf16(const float* x, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = hwy::F32FromBF16(hwy::BF16FromF32(x[i]));
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(SiluMul16);
HWY_EXPORT(SiluMul8);
HWY_EXPORT(SquaredReluMul);
HWY_EXPORT(AddAll);
HWY_EXPORT(ToF16Bits);
HWY_EXPORT(RoundToF16Floats);
HWY_EXPORT(RoundToBf16);

namespace vectors {

void SiluMul(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out) {
  if (order.lanes == 16) {
    HWY_DYNAMIC_DISPATCH(SiluMul16)(gate, up, n, out);
  } else {
    HWY_DYNAMIC_DISPATCH(SiluMul8)(gate, up, n, out);
  }
}
void SquaredReluMul(const float* gate, const float* up, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(SquaredReluMul)(gate, up, n, out);
}
void Add(const float* a, const float* b, size_t n, float* out) { HWY_DYNAMIC_DISPATCH(AddAll)(a, b, n, out); }
void ToF16(const float* x, size_t n, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(ToF16Bits)(x, n, reinterpret_cast<hwy::float16_t*>(out));
}
void RoundToF16(const float* x, size_t n, float* out) { HWY_DYNAMIC_DISPATCH(RoundToF16Floats)(x, n, out); }
void RoundToBf16(const float* x, size_t n, float* out) { HWY_DYNAMIC_DISPATCH(RoundToBf16)(x, n, out); }

}  // namespace vectors
}  // namespace bitnet
#endif  // HWY_ONCE
