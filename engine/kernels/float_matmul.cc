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

// kRows x kCols dot products with one accumulator each; what is loaded is used kRows or kCols times.
template <size_t kLanes, size_t kRows, size_t kCols, class TW>
HWY_INLINE void DotBlock(const TW* w, const float* x, size_t cols, bool adjacent, float* y, size_t y_stride) {
  Lanes<kLanes> acc[kCols][kRows];
  for (size_t c = 0; c < kCols; ++c) {
    for (size_t r = 0; r < kRows; ++r) acc[c][r] = ZeroLanes<kLanes>();
  }
  for (size_t i = 0; i < cols; i += kLanes) {
    Lanes<kLanes> wv[kRows];
    for (size_t r = 0; r < kRows; ++r) wv[r] = LoadLanes<kLanes>(w + r * cols + i);
    for (size_t c = 0; c < kCols; ++c) {
      const Lanes<kLanes> xv = LoadLanes<kLanes>(x + c * cols + i);
      for (size_t r = 0; r < kRows; ++r) acc[c][r] = MulAdd(wv[r], xv, acc[c][r]);
    }
  }
  for (size_t c = 0; c < kCols; ++c) {
    for (size_t r = 0; r < kRows; ++r) y[c * y_stride + r] = Fold(acc[c][r], adjacent);
  }
}

template <size_t kLanes, class TW>
void BatchRows(const WeightMatrix& w, const Activations& x, bool adjacent, size_t begin, size_t end, float* y) {
  // As many accumulators as registers hold.
  constexpr size_t kParts = Lanes<kLanes>::kParts;
  constexpr size_t kRows = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
  constexpr size_t kCols = (HWY_TARGET <= HWY_AVX3 ? 5 : 4) / kParts;
  const TW* base = reinterpret_cast<const TW*>(w.data);
  for (size_t c = 0; c < x.n;) {
    const size_t cols = x.n - c >= kCols ? kCols : 1;
    const float* xc = x.f32 + c * w.cols;
    float* yc = y + c * w.rows;
    size_t r = begin;
    for (; r + kRows <= end; r += kRows) {
      if (cols == kCols) {
        DotBlock<kLanes, kRows, kCols>(base + r * w.cols, xc, w.cols, adjacent, yc + r, w.rows);
      } else {
        DotBlock<kLanes, kRows, 1>(base + r * w.cols, xc, w.cols, adjacent, yc + r, w.rows);
      }
    }
    for (; r < end; ++r) {
      for (size_t k = 0; k < cols; ++k) {
        DotBlock<kLanes, 1, 1>(base + r * w.cols, xc + k * w.cols, w.cols, adjacent, yc + k * w.rows + r, w.rows);
      }
    }
    c += cols;
  }
}

template <class TW>
void FloatRows(const WeightMatrix& w, const Activations& x, const DotOrder& order, size_t begin, size_t end, float* y) {
  if (order.accumulators == 1 && w.cols % order.lanes == 0) {
    if (order.lanes == 16) {
      BatchRows<16, TW>(w, x, order.adjacent_fold, begin, end, y);
    } else {
      BatchRows<8, TW>(w, x, order.adjacent_fold, begin, end, y);
    }
    return;
  }
  const TW* base = reinterpret_cast<const TW*>(w.data);
  for (size_t c = 0; c < x.n; ++c) {
    for (size_t r = begin; r < end; ++r) {
      y[c * w.rows + r] = Dot(base + r * w.cols, x.f32 + c * w.cols, w.cols, order);
    }
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

template <class LoadA, class Tail>
float DotLanes(const LoadA& a, const float* b, size_t n, const DotOrder& order, const Tail& tail) {
  float acc[4][16] = {};
  const size_t step = order.lanes * order.accumulators;
  const size_t whole = n / step * step;
  for (size_t i = 0; i < whole; ++i) {
    float& lane = acc[i % step / order.lanes][i % order.lanes];
    lane = std::fma(a(i), b[i], lane);
  }
  for (int half = order.accumulators / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) {
      for (int l = 0; l < order.lanes; ++l) acc[k][l] += acc[k + half][l];
    }
  }
  float* lane = acc[0];
  for (int half = order.lanes / 2; half >= 4; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  const float sum =
      order.adjacent_fold ? (lane[0] + lane[1]) + (lane[2] + lane[3]) : (lane[0] + lane[2]) + (lane[1] + lane[3]);
  return tail(sum, whole);
}

}  // namespace

float DotF32(const float* a, const float* b, size_t n, const DotOrder& order) {
  return DotLanes([a](size_t i) { return a[i]; }, b, n, order,
                  [&](float sum, size_t i) {
                    for (; i < n; ++i) sum = std::fma(a[i], b[i], sum);
                    return sum;
                  });
}

float DotF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order) {
  const auto load = [a](size_t i) { return hwy::F32FromF16(hwy::float16_t::FromBits(a[i])); };
  return DotLanes(load, b, n, order, [&](float sum, size_t i) {
    double total = sum;
    for (; i < n; ++i) total += static_cast<double>(load(i) * b[i]);
    return static_cast<float>(total);
  });
}

}  // namespace scalar
}  // namespace bitnet
#endif  // HWY_ONCE
