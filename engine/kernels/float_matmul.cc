#include <algorithm>
#include <cmath>

#include "engine/kernels/matmul_internal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/float_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

template <size_t kLanes, bool kPairs = false, class TW>
void BatchRows(const WeightMatrix& w, const Activations& x, bool adjacent, const TW* base, size_t begin, size_t end,
               float* y) {
  // A strip of rows stays in cache while the positions pass.
  constexpr size_t kStrip = 32;
  for (size_t r = begin; r < end; r += kStrip) {
    const size_t rows = std::min(kStrip, end - r);
    DotAll<kLanes, kPairs>(base + r * w.cols, rows, w.cols, x.f32, x.n, w.cols, w.cols, adjacent, y + r, w.rows);
  }
}

template <size_t kLanes, bool kPairs = false, class TW>
void RowsOfLanes(const WeightMatrix& w, const Activations& x, const DotOrder& order, const TW* base, size_t begin,
                 size_t end, float* y) {
  if (order.accumulators == 1 && w.cols % Step<kLanes, kPairs>::kElements == 0) {
    return BatchRows<kLanes, kPairs>(w, x, order.adjacent_fold, base, begin, end, y);
  }
  for (size_t c = 0; c < x.n; ++c) {
    for (size_t r = begin; r < end; ++r) {
      y[c * w.rows + r] = DotOfLanes<kLanes, kPairs>(base + r * w.cols, x.f32 + c * w.cols, w.cols, order);
    }
  }
}

template <class TW>
void FloatRows(const WeightMatrix& w, const Activations& x, const DotOrder& order, size_t begin, size_t end, float* y) {
  const TW* base = reinterpret_cast<const TW*>(w.data);
  if constexpr (hwy::IsSame<TW, hwy::bfloat16_t>()) {
    if (order.pairs) return RowsOfLanes<16, true>(w, x, order, base, begin, end, y);
  }
  if (order.lanes == 16) {
    RowsOfLanes<16>(w, x, order, base, begin, end, y);
  } else {
    RowsOfLanes<8>(w, x, order, base, begin, end, y);
  }
}

void FloatMatMul(const WeightMatrix& w, const Activations& x, const DotOrder& order, size_t begin, size_t end,
                 float* y) {
  switch (w.type) {
    case TensorType::kF16:
      return FloatRows<hwy::float16_t>(w, x, order, begin, end, y);
    case TensorType::kBF16:
      return FloatRows<hwy::bfloat16_t>(w, x, order, begin, end, y);
    default:
      return FloatRows<float>(w, x, order, begin, end, y);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(FloatMatMul);

void FloatMatMulRows(const WeightMatrix& w, const Activations& x, const DotOrder& order, size_t row_begin,
                     size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(FloatMatMul)(w, x, order, row_begin, row_end, y);
}

namespace scalar {
namespace {

float ZeroIfSubnormal(float v) { return std::fabs(v) < 0x1p-126f ? std::copysign(0.0f, v) : v; }

float FoldLanes(float* lane, const DotOrder& order) {
  for (int half = order.lanes / 2; half >= 4; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return order.adjacent_fold ? (lane[0] + lane[1]) + (lane[2] + lane[3]) : (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

template <class LoadA, class Tail>
float DotLanes(const LoadA& a, const float* b, size_t n, const DotOrder& order, const Tail& tail) {
  float acc[4][16] = {};
  const size_t per_lane = order.pairs ? 2 : 1;
  const size_t step = order.lanes * order.accumulators * per_lane;
  const size_t whole = n / step * step;
  for (size_t at = 0; at < whole; at += per_lane) {
    const size_t place = at % step / per_lane;
    float& lane = acc[place / order.lanes][place % order.lanes];
    if (order.pairs) {
      for (const size_t i : {at + 1, at}) {
        lane = ZeroIfSubnormal(std::fma(ZeroIfSubnormal(a(i)), ZeroIfSubnormal(b[i]), lane));
      }
    } else {
      lane = std::fma(a(at), b[at], lane);
    }
  }
  if (order.accumulators == 2) return tail(FoldLanes(acc[0], order) + FoldLanes(acc[1], order), whole);
  for (int half = order.accumulators / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) {
      for (int l = 0; l < order.lanes; ++l) acc[k][l] += acc[k + half][l];
    }
  }
  return tail(FoldLanes(acc[0], order), whole);
}

// The tail of F16 and BF16.
template <class LoadA>
float DotTailInDouble(const LoadA& a, const float* b, size_t n, const DotOrder& order) {
  return DotLanes(a, b, n, order, [&](float sum, size_t i) {
    double total = sum;
    for (; i < n; ++i) total += static_cast<double>(a(i) * b[i]);
    return static_cast<float>(total);
  });
}

}  // namespace

float DotF32(const float* a, const float* b, size_t n, const DotOrder& order) {
  return DotLanes([a](size_t i) { return a[i]; }, b, n, order,
                  [&](float sum, size_t i) {
                    const size_t rounded = order.rounded_tail ? (n - i) / (order.lanes / 2) * (order.lanes / 2) : 0;
                    for (const size_t end = i + rounded; i < end; ++i) sum += a[i] * b[i];
                    for (; i < n; ++i) sum = std::fma(a[i], b[i], sum);
                    return sum;
                  });
}

float DotF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order) {
  return DotTailInDouble([a](size_t i) { return hwy::F32FromF16(hwy::float16_t::FromBits(a[i])); }, b, n, order);
}

float DotBF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order) {
  return DotTailInDouble([a](size_t i) { return hwy::F32FromBF16(hwy::bfloat16_t::FromBits(a[i])); }, b, n, order);
}

}  // namespace scalar
}  // namespace bitnet
#endif  // HWY_ONCE
