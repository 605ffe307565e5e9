// Products of int8 with int8 on 32 values, whatever the machine's vectors hold.
#if defined(BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_
#undef BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_
#else
#define BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DI8 = hn::CappedTag<int8_t, 32>;
using D16 = hn::Repartition<int16_t, DI8>;
using DI32 = hn::Repartition<int32_t, DI8>;
using DF32 = hn::RebindToFloat<DI32>;

// Sums of four products each. |a| is at most 128 and |q| 127, so 16 bits hold two products.
HWY_INLINE hn::Vec<DI32> SumsOfFour(hn::Vec<DI8> a, hn::Vec<DI8> q) {
  const hn::RebindToUnsigned<DI8> du8;
  const auto signed_q = hn::IfNegativeThenElse(a, hn::Neg(q), q);
  const auto pairs = hn::SatWidenMulPairwiseAdd(D16(), hn::BitCast(du8, hn::Abs(a)), signed_q);
  return hn::WidenMulPairwiseAdd(DI32(), pairs, hn::Set(D16(), 1));
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#endif  // BITNET_PARITY_ENGINE_KERNELS_INT8_INL_H_
