// Softmax, and the products of keys and values, in vectors.
#include <algorithm>
#include <limits>

#include "engine/kernels/vectors.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/attention_vectors.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// x has room for a whole number of kLanes.
template <size_t kLanes>
HWY_INLINE void Softmax(float* x, size_t n, float scale) {
  using L = Lanes<kLanes>;
  const typename L::D d;
  const size_t padded = (n + kLanes - 1) / kLanes * kLanes;
  const auto minus_inf = hn::Set(d, -std::numeric_limits<float>::infinity());
  std::fill(x + n, x + padded, -std::numeric_limits<float>::infinity());
  const auto vscale = hn::Set(d, scale);
  auto most = minus_inf;
  for (size_t i = 0; i < padded; i += L::kWidth) {
    const auto v = hn::Mul(hn::LoadU(d, x + i), vscale);
    hn::StoreU(v, d, x + i);
    most = hn::IfThenElse(hn::Gt(v, most), v, most);
  }
  const float max = hn::ReduceMax(d, most);
  std::fill(x + n, x + padded, -std::numeric_limits<float>::infinity());
  double sum = 0;
  const auto vmax = hn::Set(d, max);
  for (size_t i = 0; i < padded; i += kLanes) {
    const L e = MakeLanes<kLanes>(
        [&](size_t p) HWY_ATTR { return ExpVec<kLanes>(d, hn::Sub(hn::LoadU(d, x + i + p * L::kWidth), vmax)); });
    StoreLanes(e, x + i);
    sum += static_cast<double>(Fold(e));
  }
  const float inverse = static_cast<float>(1.0 / sum);
  for (size_t i = 0; i < padded; ++i) x[i] *= inverse;
}

void SoftmaxAnyLanes(float* x, size_t n, float scale, int lanes) {
  lanes == 16 ? Softmax<16>(x, n, scale) : Softmax<8>(x, n, scale);
}

// y[c, r] = row r of w times row c of x, in either of the orders of a batch.
void DotsAll(const hwy::float16_t* w, size_t rows, size_t w_stride, const float* x, size_t cols, size_t x_stride,
             size_t n, const DotOrder& order, float* y, size_t y_stride) {
  if (order.accumulators == 1 && order.lanes == 16) {
    DotAll<16>(w, rows, w_stride, x, cols, x_stride, n, order.adjacent_fold, y, y_stride);
  } else if (order.accumulators == 1) {
    DotAll<8>(w, rows, w_stride, x, cols, x_stride, n, order.adjacent_fold, y, y_stride);
  } else {
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < cols; ++c) y[c * y_stride + r] = Dot(w + r * w_stride, x + c * x_stride, n, order);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(DotsAll);
HWY_EXPORT(SoftmaxAnyLanes);

namespace vectors {

void Softmax(float* x, size_t n, float scale, const ArithmeticOrder& order) {
  HWY_DYNAMIC_DISPATCH(SoftmaxAnyLanes)(x, n, scale, order.lanes);
}

void Dots(const uint16_t* w, size_t rows, size_t w_stride, const float* x, size_t cols, size_t x_stride, size_t n,
          const DotOrder& order, float* y, size_t y_stride) {
  HWY_DYNAMIC_DISPATCH(DotsAll)
  (reinterpret_cast<const hwy::float16_t*>(w), rows, w_stride, x, cols, x_stride, n, order, y, y_stride);
}

}  // namespace vectors
}  // namespace bitnet
#endif  // HWY_ONCE
