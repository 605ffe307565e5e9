// Dot products of one row in a named order; see DotOrder.
#if defined(BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_
#undef BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_
#else
#define BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_
#endif

#include <cmath>
#include <cstddef>

#include "engine/kernels/order.h"
#include "engine/kernels/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

HWY_INLINE float LoadOne(float v) { return v; }
HWY_INLINE float LoadOne(hwy::float16_t v) { return hwy::F32FromF16(v); }
HWY_INLINE float LoadOne(hwy::bfloat16_t v) { return hwy::F32FromBF16(v); }

// What is left behind the last whole step, one by one.
template <class TW>
HWY_INLINE float DotTail(const TW* w, const float* x, size_t begin, size_t n, float sum) {
  double total = sum;
  for (size_t i = begin; i < n; ++i) total += static_cast<double>(LoadOne(w[i]) * x[i]);
  return static_cast<float>(total);
}
template <>
HWY_INLINE float DotTail(const float* w, const float* x, size_t begin, size_t n, float sum) {
  for (size_t i = begin; i < n; ++i) sum = std::fma(w[i], x[i], sum);
  return sum;
}

template <size_t kLanes, size_t kAccumulators, class TW>
HWY_INLINE float DotLanes(const TW* w, const float* x, size_t n, bool adjacent) {
  constexpr size_t kStep = kLanes * kAccumulators;
  Lanes<kLanes> acc[kAccumulators];
  for (auto& a : acc) a = ZeroLanes<kLanes>();
  size_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    for (size_t a = 0; a < kAccumulators; ++a) {
      acc[a] = MulAdd(LoadLanes<kLanes>(w + i + a * kLanes), LoadLanes<kLanes>(x + i + a * kLanes), acc[a]);
    }
  }
  for (size_t half = kAccumulators / 2; half > 0; half /= 2) {
    for (size_t a = 0; a < half; ++a) acc[a] = Add(acc[a], acc[a + half]);
  }
  const float sum = Fold(acc[0], adjacent);
  return i == n ? sum : DotTail(w, x, i, n, sum);
}

template <class TW>
HWY_INLINE float Dot(const TW* w, const float* x, size_t n, const DotOrder& order) {
  if (order.lanes == 16) {
    return order.accumulators == 4 ? DotLanes<16, 4>(w, x, n, order.adjacent_fold)
                                   : DotLanes<16, 1>(w, x, n, order.adjacent_fold);
  }
  return order.accumulators == 4 ? DotLanes<8, 4>(w, x, n, order.adjacent_fold)
                                 : DotLanes<8, 1>(w, x, n, order.adjacent_fold);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#endif  // BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_
