// F32, F16 and BF16 weights: dot products as the order's `single` and `batch` say, or bf16_single and bf16_batch.
#include <algorithm>
#include <cmath>

#include "engine/kernels/vectors.h"

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

void FloatMatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                     size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(FloatMatMul)(w, x, DotOrderFor(w, x.n, order), row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
