#include "engine/kernels/activations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "engine/kernels/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/activations.cc"
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

// round-half-even(x * scale), at most 127 and at least -128, to int8. n is a multiple of 16.
HWY_INLINE void RoundToI8(const float* x, size_t n, float scale, int8_t* q) {
  const hn::CappedTag<float, 16> d;
  const hn::Rebind<int8_t, decltype(d)> d8;
  const auto s = hn::Set(d, scale);
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    // DemoteTo saturates.
    hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), s))), d8, q + i);
  }
}

HWY_INLINE int32_t Sum32(const int8_t* q) {
  const hn::CappedTag<int32_t, 8> d;
  const hn::Rebind<int8_t, decltype(d)> d8;
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(d8, q + i)));
  return hn::ReduceSum(d, sum);
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
void QuantizeI8RowInterleaved(const float* x, size_t cols, int8_t* q, size_t q_stride, float* scale, int32_t* sum) {
  const double amax = std::max(0.00001, static_cast<double>(MaxAbs(x, cols)));
  *scale = static_cast<float>(127.0 / amax);
  std::memset(q + cols / 256 * 256, 0, q_stride - cols / 256 * 256);
  int32_t total = 0;
  for (size_t i = 0; i < cols; i += 32) {
    const size_t in_pair = i % 256;
    int8_t* out = q + (i - in_pair) + (in_pair % 128) * 2 + in_pair / 128 * 32;
    RoundToI8(x + i, 32, *scale, out);
    total += Sum32(out);
  }
  *sum = total;
}

void RoundToBf16(const float* x, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = hwy::F32FromBF16(hwy::BF16FromF32(x[i]));
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(QuantizeQ8KRow);
HWY_EXPORT(QuantizeI8RowInterleaved);
HWY_EXPORT(RoundToBf16);

ActivationKind ActivationKindFor(TensorType weights, size_t n, const ArithmeticOrder& order) {
  switch (weights) {
    case TensorType::kF16:
      return n == 1 || order.round_batch_to_f16 ? ActivationKind::kF16 : ActivationKind::kF32;
    case TensorType::kBF16:
      return ActivationKind::kBF16;
    case TensorType::kTQ1_0:
    case TensorType::kTQ2_0:
    case TensorType::kQ6_K:
      return ActivationKind::kQ8K;
    case TensorType::kI2_S:
      return ActivationKind::kI8Row;
    default:
      return ActivationKind::kF32;
  }
}

void Activations::Prepare(const float* x, size_t n_rows, size_t n_cols, ActivationKind k, ThreadPool& pool) {
  kind = k;
  n = n_rows;
  cols = n_cols;
  switch (kind) {
    case ActivationKind::kF32:
      f32 = x;
      return;
    case ActivationKind::kF16:
    case ActivationKind::kBF16:
      rounded_.resize(n * cols);
      ParallelRanges(pool, n, 1, cols * kElementWork, [&](size_t begin, size_t end) {
        const size_t at = begin * cols;
        const size_t count = (end - begin) * cols;
        if (kind == ActivationKind::kF16) {
          RoundToF16(x + at, count, rounded_.data() + at);
        } else {
          HWY_DYNAMIC_DISPATCH(RoundToBf16)(x + at, count, rounded_.data() + at);
        }
      });
      f32 = rounded_.data();
      return;
    case ActivationKind::kQ8K:
      if (cols % 256 != 0) throw std::runtime_error(fmt::format("Q8_K: width {} is no multiple of 256", cols));
      q_stride = cols;
      q.resize(n * q_stride);
      d.resize(n * cols / 256);
      sums.resize(n * cols / 32);
      ParallelRanges(pool, n, 1, cols * kElementWork, [&](size_t begin, size_t end) {
        for (size_t r = begin; r < end; ++r) {
          HWY_DYNAMIC_DISPATCH(QuantizeQ8KRow)
          (x + r * cols, cols, q.data() + r * q_stride, d.data() + r * cols / 256, sums.data() + r * cols / 32);
        }
      });
      return;
    case ActivationKind::kI8Row:
      if (cols % 128 != 0) throw std::runtime_error(fmt::format("I2_S: width {} is no multiple of 128", cols));
      q_stride = (cols + 255) / 256 * 256;
      q.resize(n * q_stride);
      d.resize(n);
      sums.resize(n);
      ParallelRanges(pool, n, 1, cols * kElementWork, [&](size_t begin, size_t end) {
        for (size_t r = begin; r < end; ++r) {
          HWY_DYNAMIC_DISPATCH(QuantizeI8RowInterleaved)
          (x + r * cols, cols, q.data() + r * q_stride, q_stride, &d[r], &sums[r]);
        }
      });
      return;
  }
}

namespace scalar {

void QuantizeQ8K(const float* x, size_t cols, int8_t* q, float* d) {
  for (size_t b = 0; b < cols / 256; ++b) {
    float amax = 0;
    float m = 0;
    for (size_t i = 0; i < 256; ++i) {
      const float a = std::fabs(x[b * 256 + i]);
      if (a > amax) {
        amax = a;
        m = x[b * 256 + i];
      }
    }
    const bool is_zero = amax == 0 || std::isinf(-127.0f / m);
    const float iscale = is_zero ? 0.0f : -127.0f / m;
    for (size_t i = 0; i < 256; ++i) {
      q[b * 256 + i] = static_cast<int8_t>(std::min(127.0f, std::nearbyint(iscale * x[b * 256 + i])));
    }
    d[b] = is_zero ? 0.0f : 1.0f / iscale;
  }
}

float QuantizeI8Row(const float* x, size_t cols, int8_t* q) {
  double amax = 0.00001;
  for (size_t i = 0; i < cols; ++i) amax = std::max(amax, static_cast<double>(std::fabs(x[i])));
  const float s = static_cast<float>(127.0 / amax);
  for (size_t i = 0; i < cols; ++i) {
    q[i] = static_cast<int8_t>(std::clamp(std::nearbyint(x[i] * s), -128.0f, 127.0f));
  }
  return s;
}

}  // namespace scalar
}  // namespace bitnet
#endif  // HWY_ONCE
