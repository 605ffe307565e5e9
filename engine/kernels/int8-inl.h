// Products of int8 on 32 values, and their sums in eight lanes, whatever the machine's vectors hold.
#if defined(BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_
#undef BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_
#else
#define BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_
#endif

#include "engine/kernels/vec-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DI8 = hn::CappedTag<int8_t, 32>;
using DU8 = hn::RebindToUnsigned<DI8>;
using D16 = hn::Repartition<int16_t, DI8>;
using DI32 = hn::Repartition<int32_t, DI8>;
using DF32 = hn::RebindToFloat<DI32>;

// 32 bytes are one vector, or two of NEON. A vector's sums of four are the lanes of that part.
constexpr size_t kPartBytes = HWY_MAX_LANES_D(DI8), kParts = 32 / kPartBytes;
template <class D>
struct Parts {
  hn::Vec<D> part[kParts];
};
template <class D, class F>
HWY_INLINE Parts<D> MakeParts(const F& f) {
  Parts<D> r;
  for (size_t p = 0; p < kParts; ++p) r.part[p] = f(p);
  return r;
}
template <class D, class T>
HWY_INLINE Parts<D> LoadParts(const T* from) {
  return MakeParts<D>([from](size_t p) HWY_ATTR { return hn::LoadU(D(), from + p * HWY_MAX_LANES_D(D)); });
}

// 16-bit pairs where the first 16 bytes and the others have a number each.
HWY_INLINE Parts<D16> TwoOf16(int16_t low, int16_t high) {
  return MakeParts<D16>([=](size_t p) HWY_ATTR {
    if (kParts == 2) return hn::Set(D16(), p == 0 ? low : high);
    return hn::IfThenElse(hn::FirstN(D16(), 8), hn::Set(D16(), low), hn::Set(D16(), high));
  });
}

// Sums of four products each. |a| is at most 128 and |q| 127, so 16 bits hold two products.
HWY_INLINE Parts<DI32> SumsOfFour(const Parts<DI8>& a, const Parts<DI8>& q) {
  return MakeParts<DI32>([&](size_t p) HWY_ATTR {
    const auto signed_q = hn::IfNegativeThenElse(a.part[p], hn::Neg(q.part[p]), q.part[p]);
    const auto pairs = hn::SatWidenMulPairwiseAdd(D16(), hn::BitCast(DU8(), hn::Abs(a.part[p])), signed_q);
    return hn::WidenMulPairwiseAdd(DI32(), pairs, hn::Set(D16(), 1));
  });
}

HWY_INLINE int32_t SumOf(const Parts<DI32>& v) {
  int32_t sum = 0;
  for (size_t p = 0; p < kParts; ++p) sum += hn::ReduceSum(DI32(), v.part[p]);
  return sum;
}

HWY_INLINE Lanes<8> ToFloat(const Parts<DI32>& v) {
  return MakeLanes<8>([&](size_t p) HWY_ATTR { return hn::ConvertTo(DF32(), v.part[p]); });
}
HWY_INLINE Lanes<8> SetLanes(float v) {
  return MakeLanes<8>([v](size_t) HWY_ATTR { return hn::Set(DF32(), v); });
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#endif  // BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_
