#include "engine/kernels/rms_norm.h"

#include <cmath>

#include "engine/kernels/counts.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/rms_norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A sum in double has one order, but rows are independent: kRows sums run side by side.
template <size_t kRows>
void SumSquares(const float* x, size_t cols, double* sums) {
  double sum[kRows] = {};
  for (size_t i = 0; i < cols; ++i) {
    for (size_t r = 0; r < kRows; ++r) {
      const float v = x[r * cols + i];
      sum[r] += static_cast<double>(v * v);
    }
  }
  for (size_t r = 0; r < kRows; ++r) sums[r] = sum[r];
}

void RmsNormRows(const float* x, size_t n, size_t cols, const float* gamma, float eps, float* y) {
  constexpr size_t kRows = 8;
  const hn::ScalableTag<float> d;
  for (size_t begin = 0; begin < n;) {
    double sums[kRows];
    const size_t rows = n - begin >= kRows ? kRows : 1;
    const float* in = x + begin * cols;
    if (rows == kRows) {
      SumSquares<kRows>(in, cols, sums);
    } else {
      SumSquares<1>(in, cols, sums);
    }
    for (size_t r = 0; r < rows; ++r) {
      const float mean = static_cast<float>(sums[r] / static_cast<double>(cols));
      const float scale = 1.0f / std::sqrt(mean + eps);
      const float* row = in + r * cols;
      float* out = y + (begin + r) * cols;
      const auto vscale = hn::Set(d, scale);
      size_t i = 0;
      for (; i + hn::Lanes(d) <= cols; i += hn::Lanes(d)) {
        hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, row + i), vscale), hn::LoadU(d, gamma + i)), d, out + i);
      }
      for (; i < cols; ++i) out[i] = row[i] * scale * gamma[i];
    }
    begin += rows;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(RmsNormRows);

void RmsNorm(const float* x, size_t n, size_t cols, const float* gamma, float eps, float* y, ThreadPool& pool) {
  static KernelCounter counter("rms_norm");
  counter.Add();
  ParallelRanges(pool, n, 8, cols * kElementWork, [&](size_t begin, size_t end) {
    HWY_DYNAMIC_DISPATCH(RmsNormRows)(x + begin * cols, end - begin, cols, gamma, eps, y + begin * cols);
  });
}

}  // namespace bitnet
#endif  // HWY_ONCE
