#include "engine/kernels/activations.h"

#include <fmt/format.h>
#include "engine/kernels/counts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "engine/kernels/elementwise.h"

#ifndef BITNET_PARITY_ENGINE_KERNELS_ACTIVATIONS_PLACE_
#define BITNET_PARITY_ENGINE_KERNELS_ACTIVATIONS_PLACE_
namespace bitnet {
// Where the 32 elements from `i` on lie in a row of kI8Row: see Activations::q.
constexpr size_t PlaceInI8Row(size_t i) { return i / 256 * 256 + i % 128 * 2 + i % 256 / 128 * 32; }
}  // namespace bitnet
#endif

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

// What max|x| of a Q8_0 block is multiplied with to make 127; 0 where no float32 does.
HWY_INLINE float ScaleQ80(float amax) {
  const float scale = 127.0f / amax;
  return std::isinf(scale) ? 0.0f : scale;
}

HWY_INLINE float MaxAbs32(const float* x) {
  const hn::CappedTag<float, 8> d;
  auto m = hn::Zero(d);
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) m = hn::Max(m, hn::Abs(hn::LoadU(d, x + i)));
  return hn::ReduceMax(d, m);
}

// round-half-even(x * scale), at most 127 and at least -128, to int8. n is a multiple of 16. kOnce: the product is not
// rounded before; |x * scale| is below 2^22.
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
    hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(product)), d8, q + i);
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

void RoundToBf16(const float* x, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = hwy::F32FromBF16(hwy::BF16FromF32(x[i]));
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(QuantizeQ80Row);
HWY_EXPORT(QuantizeQ81Row);
HWY_EXPORT(ScaledSums);
HWY_EXPORT(QuantizeQ8KRow);
HWY_EXPORT(QuantizeI8RowInterleaved);
HWY_EXPORT(RoundToBf16);

ActivationKind ActivationKindFor(TensorType weights, size_t n, const ArithmeticOrder& order) {
  const ActivationKind kind = FormatOf(weights).activations;
  if (kind == ActivationKind::kF16 && n >= 2 && !order.round_batch_to_f16) return ActivationKind::kF32;
  if (kind == ActivationKind::kI8Row && order.i8_rounds_once) return ActivationKind::kI8RowRoundedOnce;
  return kind;
}

void Activations::Resize(ActivationKind k, size_t n_rows, size_t n_cols) {
  struct Shape {
    const char* name;
    size_t block, q_multiple, scales, sums;  // scales, sums: of a row
  };
  const Shape shape = [&]() -> Shape {
    switch (k) {
      case ActivationKind::kQ80:
        return {"Q8_0", 32, 32, n_cols / 32, 0};
      case ActivationKind::kQ81:
        return {"Q8_1", 32, 32, n_cols / 32, 0};
      case ActivationKind::kQ8K:
        return {"Q8_K", 256, 256, n_cols / 256, n_cols / 32};
      case ActivationKind::kI8Row:
      case ActivationKind::kI8RowRoundedOnce:
        return {"I2_S", 128, 256, 1, 1};
      default:
        throw std::logic_error("activations of this kind are not quantized");
    }
  }();
  if (n_cols % shape.block != 0) {
    throw std::runtime_error(fmt::format("{}: width {} is no multiple of {}", shape.name, n_cols, shape.block));
  }
  kind = k;
  n = n_rows;
  cols = n_cols;
  q_stride = (cols + shape.q_multiple - 1) / shape.q_multiple * shape.q_multiple;
  q.resize(n * q_stride);
  d.resize(n * shape.scales);
  sums.resize(n * shape.sums);
  scaled_sums.resize(kind == ActivationKind::kQ81 ? d.size() : 0);
}

void Activations::Prepare(const float* x, size_t n_rows, size_t n_cols, ActivationKind k, ThreadPool& pool) {
  static KernelCounter counter("activations");
  counter.Add();
  const auto for_rows = [&](const auto& rows) { ParallelRanges(pool, n_rows, 1, n_cols * kElementWork, rows); };
  switch (k) {
    case ActivationKind::kF32:
      f32 = x;
      break;
    case ActivationKind::kF16:
    case ActivationKind::kBF16:
      rounded_.resize(n_rows * n_cols);
      for_rows([&](size_t begin, size_t end) {
        const size_t at = begin * n_cols;
        const size_t count = (end - begin) * n_cols;
        if (k == ActivationKind::kF16) {
          RoundToF16(x + at, count, rounded_.data() + at);
        } else {
          HWY_DYNAMIC_DISPATCH(RoundToBf16)(x + at, count, rounded_.data() + at);
        }
      });
      f32 = rounded_.data();
      break;
    case ActivationKind::kQ80:
      Resize(k, n_rows, n_cols);
      for_rows([&](size_t begin, size_t end) {
        for (size_t r = begin; r < end; ++r) {
          HWY_DYNAMIC_DISPATCH(QuantizeQ80Row)(x + r * cols, cols, q.data() + r * q_stride, d.data() + r * cols / 32);
        }
      });
      break;
    case ActivationKind::kQ81:
      Resize(k, n_rows, n_cols);
      for_rows([&](size_t begin, size_t end) {
        for (size_t r = begin; r < end; ++r) {
          float* scales = d.data() + r * cols / 32;
          HWY_DYNAMIC_DISPATCH(QuantizeQ81Row)(x + r * cols, cols, q.data() + r * q_stride, scales);
          HWY_DYNAMIC_DISPATCH(ScaledSums)
          (q.data() + r * q_stride, cols / 32, scales, scaled_sums.data() + r * cols / 32);
        }
      });
      break;
    case ActivationKind::kQ8K:
      Resize(k, n_rows, n_cols);
      for_rows([&](size_t begin, size_t end) {
        for (size_t r = begin; r < end; ++r) {
          HWY_DYNAMIC_DISPATCH(QuantizeQ8KRow)
          (x + r * cols, cols, q.data() + r * q_stride, d.data() + r * cols / 256, sums.data() + r * cols / 32);
        }
      });
      break;
    case ActivationKind::kI8Row:
    case ActivationKind::kI8RowRoundedOnce:
      Resize(k, n_rows, n_cols);
      for_rows([&](size_t begin, size_t end) {
        for (size_t r = begin; r < end; ++r) {
          HWY_DYNAMIC_DISPATCH(QuantizeI8RowInterleaved)
          (x + r * cols, cols, k == ActivationKind::kI8RowRoundedOnce, q.data() + r * q_stride, q_stride, &d[r],
           &sums[r]);
        }
      });
      break;
  }
  kind = k;
  n = n_rows;
  cols = n_cols;
}

void Activations::Assign(ActivationKind k, size_t n_rows, size_t n_cols, const int8_t* values, const float* scales) {
  Resize(k, n_rows, n_cols);
  std::copy_n(scales, d.size(), d.data());
  if (k == ActivationKind::kQ80 || k == ActivationKind::kQ81 || k == ActivationKind::kQ8K) {
    std::copy_n(values, q.size(), q.data());
    if (k == ActivationKind::kQ81) {
      HWY_DYNAMIC_DISPATCH(ScaledSums)(q.data(), d.size(), d.data(), scaled_sums.data());
    }
    for (size_t i = 0; i < sums.size(); ++i) sums[i] = -std::accumulate(values + i * 32, values + i * 32 + 32, 0);
    return;
  }
  std::fill(q.begin(), q.end(), 0);
  for (size_t r = 0; r < n; ++r) {
    const int8_t* row = values + r * cols;
    for (size_t i = 0; i < cols; i += 32) std::copy_n(row + i, 32, q.data() + r * q_stride + PlaceInI8Row(i));
    sums[r] = std::accumulate(row, row + cols, 0);
  }
}

}  // namespace bitnet
#endif  // HWY_ONCE
