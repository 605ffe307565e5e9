// Vectors of a fixed number of float32 lanes, whatever the machine's vectors hold: the order of a sum must not depend
// on the CPU that runs it. Lanes<16> is one AVX-512 register, two of AVX2, or four of NEON.
#if defined(BITNET_PARITY_ENGINE_KERNELS_VEC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITNET_PARITY_ENGINE_KERNELS_VEC_INL_H_
#undef BITNET_PARITY_ENGINE_KERNELS_VEC_INL_H_
#else
#define BITNET_PARITY_ENGINE_KERNELS_VEC_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <size_t kLanes>
struct Lanes {
  using D = hn::CappedTag<float, kLanes>;
  using V = hn::Vec<D>;
  static constexpr size_t kWidth = HWY_MAX_LANES_D(D);
  static constexpr size_t kParts = kLanes / kWidth;
  V part[kParts];
};

// for (size_t p = 0; p < kParts; ++p) result.part[p] = f(p);
template <size_t kLanes, class F>
HWY_INLINE Lanes<kLanes> MakeLanes(const F& f) {
  Lanes<kLanes> r;
  for (size_t p = 0; p < Lanes<kLanes>::kParts; ++p) r.part[p] = f(p);
  return r;
}

template <size_t kLanes>
HWY_INLINE Lanes<kLanes> ZeroLanes() {
  return MakeLanes<kLanes>([](size_t) HWY_ATTR { return hn::Zero(typename Lanes<kLanes>::D()); });
}

// Loads of kLanes elements as float32 from each storage type.
template <size_t kLanes>
HWY_INLINE Lanes<kLanes> LoadLanes(const float* p) {
  using L = Lanes<kLanes>;
  return MakeLanes<kLanes>([p](size_t i) HWY_ATTR { return hn::LoadU(typename L::D(), p + i * L::kWidth); });
}
template <size_t kLanes>
HWY_INLINE Lanes<kLanes> LoadLanes(const hwy::float16_t* p) {
  using L = Lanes<kLanes>;
  return MakeLanes<kLanes>([p](size_t i) HWY_ATTR {
    const typename L::D d;
    const hn::Rebind<hwy::float16_t, typename L::D> d16;
    return hn::PromoteTo(d, hn::LoadU(d16, p + i * L::kWidth));
  });
}
template <size_t kLanes>
HWY_INLINE Lanes<kLanes> LoadLanes(const hwy::bfloat16_t* p) {
  using L = Lanes<kLanes>;
  return MakeLanes<kLanes>([p](size_t i) HWY_ATTR {
    const typename L::D d;
    const hn::Rebind<hwy::bfloat16_t, typename L::D> d16;
    return hn::PromoteTo(d, hn::LoadU(d16, p + i * L::kWidth));
  });
}

// 2 * kLanes elements: those at even places in `first`, those at odd places in `second`.
template <size_t kLanes, class T>
HWY_INLINE void LoadPairs(const T* p, Lanes<kLanes>& first, Lanes<kLanes>& second) {
  using L = Lanes<kLanes>;
  using V = typename L::V;
  const typename L::D d;
  for (size_t i = 0; i < L::kParts; ++i) {
    V even, odd;
    if constexpr (sizeof(T) == 2) {
      // BF16 is the upper half of float32.
      const hn::RebindToUnsigned<typename L::D> du;
      const auto both = hn::LoadU(du, reinterpret_cast<const uint32_t*>(p) + i * L::kWidth);
      even = hn::BitCast(d, hn::ShiftLeft<16>(both));
      odd = hn::BitCast(d, hn::And(both, hn::Set(du, 0xFFFF0000u)));
    } else {
      hn::LoadInterleaved2(d, p + 2 * i * L::kWidth, even, odd);
    }
    first.part[i] = even;
    second.part[i] = odd;
  }
}

// Subnormal numbers become zeros of their sign.
template <size_t kLanes>
HWY_INLINE Lanes<kLanes> ZeroSubnormals(const Lanes<kLanes>& x) {
  return MakeLanes<kLanes>([&](size_t i) HWY_ATTR {
    const typename Lanes<kLanes>::D d;
    const auto v = x.part[i];
    return hn::IfThenElse(hn::Lt(hn::Abs(v), hn::Set(d, 0x1p-126f)), hn::CopySign(hn::Zero(d), v), v);
  });
}

template <size_t kLanes>
HWY_INLINE void StoreLanes(const Lanes<kLanes>& x, float* p) {
  using L = Lanes<kLanes>;
  for (size_t i = 0; i < L::kParts; ++i) hn::StoreU(x.part[i], typename L::D(), p + i * L::kWidth);
}

template <size_t kLanes>
HWY_INLINE Lanes<kLanes> Add(const Lanes<kLanes>& a, const Lanes<kLanes>& b) {
  return MakeLanes<kLanes>([&](size_t i) HWY_ATTR { return hn::Add(a.part[i], b.part[i]); });
}

// a * b + c, rounded once.
template <size_t kLanes>
HWY_INLINE Lanes<kLanes> MulAdd(const Lanes<kLanes>& a, const Lanes<kLanes>& b, const Lanes<kLanes>& c) {
  return MakeLanes<kLanes>([&](size_t i) HWY_ATTR { return hn::MulAdd(a.part[i], b.part[i], c.part[i]); });
}

template <class D, HWY_IF_LANES_D(D, 4)>
HWY_INLINE float FoldVec(D d, hn::Vec<D> v, bool adjacent) {
  const auto other = adjacent ? hn::Shuffle2301(v) : hn::Shuffle1032(v);
  const auto pairs = hn::Add(v, other);
  const auto rest = adjacent ? hn::Shuffle1032(pairs) : hn::Shuffle2301(pairs);
  return hn::GetLane(hn::Add(pairs, rest));
}
template <class D, HWY_IF_LANES_GT_D(D, 4)>
HWY_INLINE float FoldVec(D d, hn::Vec<D> v, bool adjacent) {
  const hn::Half<D> dh;
  return FoldVec(dh, hn::Add(hn::LowerHalf(dh, v), hn::UpperHalf(dh, v)), adjacent);
}

// The sum of all lanes: upper half onto lower half down to four, then as DotOrder::adjacent_fold says.
template <size_t kLanes>
HWY_INLINE float Fold(const Lanes<kLanes>& x, bool adjacent = false) {
  using L = Lanes<kLanes>;
  static_assert(L::kParts == 1 || L::kParts == 2 || L::kParts == 4);
  typename L::D d;
  if constexpr (L::kParts == 4) {
    return FoldVec(d, hn::Add(hn::Add(x.part[0], x.part[2]), hn::Add(x.part[1], x.part[3])), adjacent);
  } else if constexpr (L::kParts == 2) {
    return FoldVec(d, hn::Add(x.part[0], x.part[1]), adjacent);
  } else {
    return FoldVec(d, x.part[0], adjacent);
  }
}

// exp(x), the polynomial of ggml's ggml_v_expf (vec.h). Its AVX-512 form (16 lanes) and its AVX2 form (8 lanes) round
// the last step differently: there the constant term is fused into the polynomial, here it is added after scaling by
// 2^n.
template <size_t kLanes, class D, class V = hn::Vec<D>>
HWY_INLINE V ExpVec(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V r = hn::Set(d, 0x1.8p23f);
  const V z = hn::MulAdd(x, hn::Set(d, 0x1.715476p+0f), r);
  const V n = hn::Sub(z, r);
  const V b = hn::NegMulAdd(n, hn::Set(d, 0x1.7f7d1cp-20f), hn::NegMulAdd(n, hn::Set(d, 0x1.62e4p-1f), x));
  const V u = hn::Mul(b, b);
  const V hi = hn::MulAdd(hn::Set(d, 0x1.0e4020p-7f), b, hn::Set(d, 0x1.573e2ep-5f));
  const V lo = hn::MulAdd(hn::Set(d, 0x1.555e66p-3f), b, hn::Set(d, 0x1.fffdb6p-2f));
  const V abs_n = hn::Abs(n);
  if constexpr (kLanes == 16) {
    const V j = hn::MulAdd(hn::MulAdd(hi, u, lo), u, hn::MulAdd(hn::Set(d, 0x1.ffffecp-1f), b, hn::Set(d, 1.0f)));
    // j * 2^n in two steps: the first is exact, the second rounds once (a result may be subnormal).
    const auto ni = hn::ConvertTo(di, hn::Min(hn::Max(n, hn::Set(d, -252.0f)), hn::Set(d, 252.0f)));
    const auto half = hn::ShiftRight<1>(ni);
    const auto bias = hn::Set(di, 127);
    const V s1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
    const V s2 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(ni, half), bias)));
    const V res = hn::Mul(hn::Mul(j, s1), s2);
    const V alt = hn::IfThenElse(hn::Le(n, hn::Zero(d)), hn::Zero(d), hn::Inf(d));
    return hn::IfThenElse(hn::Gt(abs_n, hn::Set(d, 192.0f)), alt, res);
  } else {
    const V j = hn::MulAdd(hn::MulAdd(hi, u, lo), u, hn::Mul(hn::Set(d, 0x1.ffffecp-1f), b));
    const auto e = hn::ShiftLeft<23>(hn::BitCast(di, z));
    const V k = hn::BitCast(d, hn::Add(e, hn::Set(di, 0x3f800000)));
    const V normal = hn::MulAdd(j, k, k);
    const auto g =
        hn::IfThenElseZero(hn::RebindMask(di, hn::Le(n, hn::Zero(d))), hn::Set(di, static_cast<int32_t>(0x82000000u)));
    const V s1 = hn::BitCast(d, hn::Add(g, hn::Set(di, 0x7f000000)));
    const V s2 = hn::BitCast(d, hn::Sub(e, g));
    const V large = hn::Mul(hn::MulAdd(s2, j, s2), s1);
    const V huge = hn::Mul(s1, s1);
    const V res = hn::IfThenElse(hn::Gt(abs_n, hn::Set(d, 126.0f)), large, normal);
    return hn::IfThenElse(hn::Gt(abs_n, hn::Set(d, 192.0f)), huge, res);
  }
}

template <size_t kLanes>
HWY_INLINE Lanes<kLanes> Exp(const Lanes<kLanes>& x) {
  return MakeLanes<kLanes>([&](size_t i) HWY_ATTR { return ExpVec<kLanes>(typename Lanes<kLanes>::D(), x.part[i]); });
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#endif  // BITNET_PARITY_ENGINE_KERNELS_VEC_INL_H_
