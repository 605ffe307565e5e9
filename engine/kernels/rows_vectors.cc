// RMSNorm and RoPE in vectors.
#include <cmath>

#include "engine/kernels/vectors.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/rows_vectors.cc"
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

void RopeHeads(float* x, size_t n_heads, size_t head_dim, size_t half, const float* cos, const float* sin) {
  const hn::ScalableTag<float> d;
  for (size_t h = 0; h < n_heads; ++h) {
    float* first = x + h * head_dim;
    float* second = first + half;
    size_t i = 0;
    for (; i + hn::Lanes(d) <= half; i += hn::Lanes(d)) {
      const auto x0 = hn::LoadU(d, first + i);
      const auto x1 = hn::LoadU(d, second + i);
      const auto c = hn::LoadU(d, cos + i);
      const auto s = hn::LoadU(d, sin + i);
      hn::StoreU(hn::MulSub(x0, c, hn::Mul(x1, s)), d, first + i);
      hn::StoreU(hn::MulAdd(x0, s, hn::Mul(x1, c)), d, second + i);
    }
    for (; i < half; ++i) {
      const float x0 = first[i];
      const float x1 = second[i];
      first[i] = std::fma(x0, cos[i], -(x1 * sin[i]));
      second[i] = std::fma(x0, sin[i], x1 * cos[i]);
    }
  }
}

void RopeHeadsInterleaved(float* x, size_t n_heads, size_t head_dim, size_t half, const float* cos, const float* sin) {
  const hn::ScalableTag<float> d;
  for (size_t h = 0; h < n_heads; ++h) {
    float* head = x + h * head_dim;
    size_t i = 0;
    for (; i + hn::Lanes(d) <= half; i += hn::Lanes(d)) {
      hn::Vec<decltype(d)> x0, x1;
      hn::LoadInterleaved2(d, head + 2 * i, x0, x1);
      const auto c = hn::LoadU(d, cos + i);
      const auto s = hn::LoadU(d, sin + i);
      hn::StoreInterleaved2(hn::MulSub(x0, c, hn::Mul(x1, s)), hn::MulAdd(x0, s, hn::Mul(x1, c)), d, head + 2 * i);
    }
    for (; i < half; ++i) {
      const float x0 = head[2 * i];
      const float x1 = head[2 * i + 1];
      head[2 * i] = std::fma(x0, cos[i], -(x1 * sin[i]));
      head[2 * i + 1] = std::fma(x0, sin[i], x1 * cos[i]);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(RmsNormRows);
HWY_EXPORT(RopeHeads);
HWY_EXPORT(RopeHeadsInterleaved);

namespace vectors {

void RmsNormRows(const float* x, size_t n, size_t cols, const float* gamma, float eps, float* y) {
  HWY_DYNAMIC_DISPATCH(RmsNormRows)(x, n, cols, gamma, eps, y);
}

void Rope(float* x, size_t n_heads, size_t head_dim, size_t n_rot, const RopeAngles& angles, RopeLayout layout) {
  if (layout == RopeLayout::kNeox) {
    HWY_DYNAMIC_DISPATCH(RopeHeads)(x, n_heads, head_dim, n_rot / 2, angles.cos.data(), angles.sin.data());
  } else {
    HWY_DYNAMIC_DISPATCH(RopeHeadsInterleaved)(x, n_heads, head_dim, n_rot / 2, angles.cos.data(), angles.sin.data());
  }
}

}  // namespace vectors
}  // namespace bitnet
#endif  // HWY_ONCE
