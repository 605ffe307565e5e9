// Dot products of one row in a named order; see DotOrder.
#if defined(BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_
#undef BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_
#else
#define BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_
#endif

#include <cmath>
#include <cstddef>
#include <type_traits>

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
HWY_INLINE float DotTail(const TW* w, const float* x, size_t begin, size_t n, const DotOrder&, double total) {
  for (size_t i = begin; i < n; ++i) total += static_cast<double>(LoadOne(w[i]) * x[i]);
  return static_cast<float>(total);
}
template <>
HWY_INLINE float DotTail(const float* w, const float* x, size_t begin, size_t n, const DotOrder& order, double total) {
  float sum = static_cast<float>(total);
  size_t i = begin;
  if (order.rounded_tail) {
    for (const size_t end = n - (n - begin) % (order.lanes / 2); i < end; ++i) sum += w[i] * x[i];
  }
  for (; i < n; ++i) sum = std::fma(w[i], x[i], sum);
  return sum;
}

// What a lane takes in one step of a dot product: one element of the row, fused.
template <size_t kLanes>
struct OneEach {
  static constexpr size_t kElements = kLanes;
  Lanes<kLanes> v;
  template <class T>
  static HWY_INLINE OneEach Load(const T* p) {
    return {LoadLanes<kLanes>(p)};
  }
  static HWY_INLINE Lanes<kLanes> AddProducts(const OneEach& w, const OneEach& x, const Lanes<kLanes>& sum) {
    return MulAdd(w.v, x.v, sum);
  }
};

// ... or two neighbours, as DotOrder::pairs says.
template <size_t kLanes>
struct PairEach {
  static constexpr size_t kElements = 2 * kLanes;
  Lanes<kLanes> first, second;
  template <class T>
  static HWY_INLINE PairEach Load(const T* p) {
    PairEach r;
    LoadPairs(p, r.first, r.second);
    return {ZeroSubnormals(r.first), ZeroSubnormals(r.second)};
  }
  static HWY_INLINE Lanes<kLanes> AddProducts(const PairEach& w, const PairEach& x, const Lanes<kLanes>& sum) {
    return ZeroSubnormals(MulAdd(w.first, x.first, ZeroSubnormals(MulAdd(w.second, x.second, sum))));
  }
};

template <size_t kLanes, bool kPairs>
using Step = std::conditional_t<kPairs, PairEach<kLanes>, OneEach<kLanes>>;

template <size_t kLanes, size_t kAccumulators, bool kPairs, class TW>
HWY_INLINE float DotLanes(const TW* w, const float* x, size_t n, const DotOrder& order) {
  using S = Step<kLanes, kPairs>;
  constexpr size_t kStep = S::kElements * kAccumulators;
  Lanes<kLanes> acc[kAccumulators];
  for (auto& a : acc) a = ZeroLanes<kLanes>();
  size_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    for (size_t a = 0; a < kAccumulators; ++a) {
      const size_t at = i + a * S::kElements;
      acc[a] = S::AddProducts(S::Load(w + at), S::Load(x + at), acc[a]);
    }
  }
  double sum;
  if constexpr (kAccumulators == 2) {
    sum = static_cast<double>(Fold(acc[0], order.adjacent_fold)) + Fold(acc[1], order.adjacent_fold);
  } else {
    for (size_t half = kAccumulators / 2; half > 0; half /= 2) {
      for (size_t a = 0; a < half; ++a) acc[a] = Add(acc[a], acc[a + half]);
    }
    sum = Fold(acc[0], order.adjacent_fold);
  }
  return i == n ? static_cast<float>(sum) : DotTail(w, x, i, n, order, sum);
}

template <size_t kLanes, bool kPairs = false, class TW>
HWY_INLINE float DotOfLanes(const TW* w, const float* x, size_t n, const DotOrder& order) {
  switch (order.accumulators) {
    case 4:
      return DotLanes<kLanes, 4, kPairs>(w, x, n, order);
    case 2:
      return DotLanes<kLanes, 2, kPairs>(w, x, n, order);
    default:
      return DotLanes<kLanes, 1, kPairs>(w, x, n, order);
  }
}

template <class TW>
HWY_INLINE float Dot(const TW* w, const float* x, size_t n, const DotOrder& order) {
  return order.lanes == 16 ? DotOfLanes<16>(w, x, n, order) : DotOfLanes<8>(w, x, n, order);
}

// kRows x kCols dot products with one accumulator each, y[c * y_stride + r] = row r of w times row c of x; what is
// loaded is used kRows or kCols times. n is a multiple of a step's elements.
template <size_t kLanes, size_t kRows, size_t kCols, bool kPairs, class TW>
HWY_INLINE void DotBlock(const TW* w, size_t w_stride, const float* x, size_t x_stride, size_t n, bool adjacent,
                         float* y, size_t y_stride) {
  Lanes<kLanes> acc[kCols][kRows];
  for (size_t c = 0; c < kCols; ++c) {
    for (size_t r = 0; r < kRows; ++r) acc[c][r] = ZeroLanes<kLanes>();
  }
  using S = Step<kLanes, kPairs>;
  for (size_t i = 0; i < n; i += S::kElements) {
    S wv[kRows];
    for (size_t r = 0; r < kRows; ++r) wv[r] = S::Load(w + r * w_stride + i);
    for (size_t c = 0; c < kCols; ++c) {
      const S xv = S::Load(x + c * x_stride + i);
      for (size_t r = 0; r < kRows; ++r) acc[c][r] = S::AddProducts(wv[r], xv, acc[c][r]);
    }
  }
  // Through memory: an array that is indexed by a variable would leave its registers in the loop above.
  HWY_ALIGN float sums[kCols * kRows * kLanes];
  for (size_t c = 0; c < kCols; ++c) {
    for (size_t r = 0; r < kRows; ++r) StoreLanes(acc[c][r], sums + (c * kRows + r) * kLanes);
  }
  for (size_t c = 0; c < kCols; ++c) {
    for (size_t r = 0; r < kRows; ++r) {
      y[c * y_stride + r] = Fold(LoadLanes<kLanes>(sums + (c * kRows + r) * kLanes), adjacent);
    }
  }
}

// Rows and columns of a DotBlock, as many as registers hold.
template <size_t kLanes>
struct DotBlockSize {
  static constexpr size_t kRows = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
  static constexpr size_t kCols = (HWY_TARGET <= HWY_AVX3 ? 5 : 4) / Lanes<kLanes>::kParts;
};

// All products of `rows` rows of w with `cols` rows of x.
template <size_t kLanes, bool kPairs = false, class TW>
HWY_INLINE void DotAll(const TW* w, size_t rows, size_t w_stride, const float* x, size_t cols, size_t x_stride,
                       size_t n, bool adjacent, float* y, size_t y_stride) {
  constexpr size_t kRows = DotBlockSize<kLanes>::kRows;
  constexpr size_t kCols = DotBlockSize<kLanes>::kCols;
  for (size_t c = 0; c < cols;) {
    const size_t together = c + kCols <= cols ? kCols : 1;
    const float* xc = x + c * x_stride;
    float* yc = y + c * y_stride;
    size_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      if (together == kCols) {
        DotBlock<kLanes, kRows, kCols, kPairs>(w + r * w_stride, w_stride, xc, x_stride, n, adjacent, yc + r, y_stride);
      } else {
        DotBlock<kLanes, kRows, 1, kPairs>(w + r * w_stride, w_stride, xc, x_stride, n, adjacent, yc + r, y_stride);
      }
    }
    for (; r < rows; ++r) {
      for (size_t k = 0; k < together; ++k) {
        DotBlock<kLanes, 1, 1, kPairs>(w + r * w_stride, w_stride, xc + k * x_stride, x_stride, n, adjacent,
                                       yc + k * y_stride + r, y_stride);
      }
    }
    c += together;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#endif  // BITNET_PARITY_ENGINE_KERNELS_DOT_INL_H_
