// Q8_0 weights with Q8_0 activations.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/kernels/matmul_internal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/q80_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

using DI8 = hn::CappedTag<int8_t, 32>;
using D16 = hn::Repartition<int16_t, DI8>;
using DI32 = hn::Repartition<int32_t, DI8>;
using DF32 = hn::RebindToFloat<DI32>;

constexpr size_t kBlockBytes = 34;  // F16 scale, 32 int8

// Sums of four products each. |a| is at most 128 and |q| 127, so 16 bits hold two products.
HWY_INLINE hn::Vec<DI32> SumsOfFour(hn::Vec<DI8> a, hn::Vec<DI8> q) {
  const hn::RebindToUnsigned<DI8> du8;
  const auto signed_q = hn::IfNegativeThenElse(a, hn::Neg(q), q);
  const auto pairs = hn::SatWidenMulPairwiseAdd(D16(), hn::BitCast(du8, hn::Abs(a)), signed_q);
  return hn::WidenMulPairwiseAdd(DI32(), pairs, hn::Set(D16(), 1));
}

// Row r against kPositions positions from `position` on.
template <size_t kPositions>
HWY_INLINE void Tile(const WeightMatrix& w, const Activations& x, size_t r, size_t position, float* y) {
  const DI8 di8;
  const DF32 df32;
  const size_t n_blocks = w.cols / 32;
  const std::byte* p = w.data + r * n_blocks * kBlockBytes;
  hn::Vec<DF32> lanes[kPositions];
  for (auto& v : lanes) v = hn::Zero(df32);
  for (size_t b = 0; b < n_blocks; ++b, p += kBlockBytes) {
    uint16_t bits;
    std::memcpy(&bits, p, 2);
    const float d = hwy::F32FromF16(hwy::float16_t::FromBits(bits));
    const auto codes = hn::LoadU(di8, reinterpret_cast<const int8_t*>(p + 2));
    for (size_t i = 0; i < kPositions; ++i) {
      const size_t at = position + i;
      const auto sums = SumsOfFour(codes, hn::LoadU(di8, x.q.data() + at * x.q_stride + b * 32));
      lanes[i] = hn::MulAdd(hn::Set(df32, d * x.d[at * n_blocks + b]), hn::ConvertTo(df32, sums), lanes[i]);
    }
  }
  for (size_t i = 0; i < kPositions; ++i) {
    y[(position + i) * w.rows + r] = FoldVec(df32, lanes[i], /*adjacent=*/false);
  }
}

void Q80(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  for (size_t r = begin; r < end; ++r) {
    size_t p = 0;
    for (; p + 4 <= x.n; p += 4) Tile<4>(w, x, r, p, y);
    for (; p < x.n; ++p) Tile<1>(w, x, r, p, y);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(Q80);

void Q80MatMulRows(const WeightMatrix& w, const Activations& x, size_t row_begin, size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(Q80)(w, x, row_begin, row_end, y);
}

namespace scalar {

float DotQ80(const int8_t* w, const float* d_w, const int8_t* q, const float* d, size_t cols) {
  float lane[8] = {};
  for (size_t b = 0; b < cols / 32; ++b) {
    int32_t sum[8] = {};
    for (size_t i = 0; i < 32; ++i) sum[i / 4] += w[b * 32 + i] * q[b * 32 + i];
    for (size_t l = 0; l < 8; ++l) lane[l] = std::fma(d_w[b] * d[b], static_cast<float>(sum[l]), lane[l]);
  }
  for (size_t half = 4; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}

}  // namespace scalar
}  // namespace bitnet
#endif  // HWY_ONCE
