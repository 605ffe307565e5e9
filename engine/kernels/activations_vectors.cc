// Rows rounded to int8, in vectors.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/kernels/vectors.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/activations_vectors.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// max|x| of [0, n); n is a multiple of 64. NaN is passed over, as `ax > amax` does.
HWY_INLINE float MaxAbs(const float* x, size_t n) {
  const hn::CappedTag<float, 16> d;
  const size_t step = hn::Lanes(d);
  const auto larger = [d](auto m, const float* p) HWY_ATTR {
    const auto a = hn::Abs(hn::LoadU(d, p));
    return hn::IfThenElse(hn::Gt(a, m), a, m);
  };
  auto m0 = hn::Zero(d), m1 = m0, m2 = m0, m3 = m0;
  for (size_t i = 0; i < n; i += 4 * step) {
    m0 = larger(m0, x + i);
    m1 = larger(m1, x + i + step);
    m2 = larger(m2, x + i + 2 * step);
    m3 = larger(m3, x + i + 3 * step);
  }
  return hn::ReduceMax(d, hn::Max(hn::Max(m0, m1), hn::Max(m2, m3)));
}

// What max|x| of a Q8_0 block is multiplied with to make 127; 0 where no float32 does.
HWY_INLINE float ScaleQ80(float amax) {
  const float scale = 127.0f / amax;
  return std::isinf(scale) ? 0.0f : scale;
}

// The largest magnitude of 32 numbers.
HWY_INLINE float MaxAbs32(const float* x) {
  const hn::CappedTag<float, 8> d;
  auto m = hn::Zero(d);
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
    const auto a = hn::Abs(hn::LoadU(d, x + i));
    m = hn::IfThenElse(hn::Gt(a, m), a, m);
  }
  return hn::ReduceMax(d, m);
}

// round-half-even(x * scale), at most 127 and at least -128, to int8; 0 of NaN. n is a multiple of 16. kOnce: the
// product is not rounded before; |x * scale| is below 2^22.
template <bool kOnce = false>
HWY_INLINE void RoundToI8(const float* x, size_t n, float scale, int8_t* q) {
  const hn::CappedTag<float, 16> d;
  const hn::Rebind<int8_t, decltype(d)> d8;
  const auto s = hn::Set(d, scale);
  const auto integers = hn::Set(d, 0x1.8p23f);  // a sum with it is rounded to an integer
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, x + i);
    const auto product = kOnce ? hn::Sub(hn::MulAdd(v, s, integers), integers) : hn::Mul(v, s);
    // DemoteTo saturates.
    const auto rounded = hn::NearestInt(hn::IfThenElseZero(hn::Eq(product, product), product));
    hn::StoreU(hn::DemoteTo(d8, rounded), d8, q + i);
  }
}

HWY_INLINE int32_t Sum32(const int8_t* q) {
  const hn::CappedTag<int32_t, 8> d;
  const hn::Rebind<int8_t, decltype(d)> d8;
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(d8, q + i)));
  return hn::ReduceSum(d, sum);
}

void QuantizeQ80Row(const float* x, size_t cols, int8_t* q, float* d) {
  for (size_t i = 0; i < cols; i += 32) {
    const float amax = MaxAbs32(x + i);
    d[i / 32] = hwy::F32FromF16(hwy::F16FromF32(amax / 127.0f));
    RoundToI8(x + i, 32, ScaleQ80(amax), q + i);
  }
}

void QuantizeQ81Row(const float* x, size_t cols, int8_t* q, float* d) {
  for (size_t i = 0; i < cols; i += 32) {
    const float amax = MaxAbs32(x + i);
    d[i / 32] = amax / 127.0f;
    RoundToI8(x + i, 32, ScaleQ80(amax), q + i);
  }
}

// Rounds the scales to F16, and leaves what kQ81 needs of them.
void ScaledSums(const int8_t* q, size_t blocks, float* d, float* scaled_sums) {
  const auto round = [](float v) { return hwy::F32FromF16(hwy::F16FromF32(v)); };
  for (size_t b = 0; b < blocks; ++b) {
    scaled_sums[b] = round(d[b] * static_cast<float>(Sum32(q + 32 * b)));
    d[b] = round(d[b]);
  }
}

void QuantizeQ8KRow(const float* x, size_t cols, int8_t* q, float* d, int32_t* minus_sums) {
  for (size_t b = 0; b < cols / 256; ++b, x += 256, q += 256) {
    const float amax = MaxAbs(x, 256);
    size_t first = 0;
    while (amax != 0.0f && std::fabs(x[first]) != amax) ++first;
    const float iscale = -127.0f / x[first];
    if (amax == 0.0f || std::isinf(iscale)) {
      d[b] = 0.0f;
      std::memset(q, 0, 256);
    } else {
      RoundToI8(x, 256, iscale, q);
      d[b] = 1.0f / iscale;
    }
    for (size_t l = 0; l < 8; ++l) minus_sums[b * 8 + l] = -Sum32(q + l * 32);
  }
}

// `q` in the interleaved order of Activations::q; cols is a multiple of 128.
void QuantizeI8RowInterleaved(const float* x, size_t cols, bool once, int8_t* q, size_t q_stride, float* scale,
                              int32_t* sum) {
  const double amax = std::max(0.00001, static_cast<double>(MaxAbs(x, cols)));
  *scale = static_cast<float>(127.0 / amax);
  std::memset(q + cols / 256 * 256, 0, q_stride - cols / 256 * 256);
  int32_t total = 0;
  for (size_t i = 0; i < cols; i += 32) {
    int8_t* out = q + PlaceInI8Row(i);
    once ? RoundToI8<true>(x + i, 32, *scale, out) : RoundToI8(x + i, 32, *scale, out);
    total += Sum32(out);
  }
  *sum = total;
}

void QuantizeRow(ActivationKind kind, const float* x, size_t cols, const QuantizedRow& row) {
  switch (kind) {
    case ActivationKind::kQ80:
      return QuantizeQ80Row(x, cols, row.q, row.d);
    case ActivationKind::kQ81:
      QuantizeQ81Row(x, cols, row.q, row.d);
      return ScaledSums(row.q, cols / 32, row.d, row.scaled_sums);
    case ActivationKind::kQ8K:
      return QuantizeQ8KRow(x, cols, row.q, row.d, row.sums);
    case ActivationKind::kI8Row:
    case ActivationKind::kI8RowRoundedOnce:
      return QuantizeI8RowInterleaved(x, cols, kind == ActivationKind::kI8RowRoundedOnce, row.q, row.q_stride, row.d,
                                      row.sums);
    default:
      break;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(QuantizeRow);

namespace vectors {

void Quantize(ActivationKind kind, const float* x, size_t cols, const QuantizedRow& row) {
  HWY_DYNAMIC_DISPATCH(QuantizeRow)(kind, x, cols, row);
}

}  // namespace vectors
}  // namespace bitnet
#endif  // HWY_ONCE
