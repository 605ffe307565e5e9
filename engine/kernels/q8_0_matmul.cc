// Q8_0 weights with Q8_0 activations, in eight lanes a row.
//
// Lane l takes bytes 4l .. 4l+3 of a block, lane = fma(d_w * d_q, float32(their sum), lane); then (4..7)+(0..3),
// (2,3)+(0,1), 1+0. (ggml_vec_dot_q8_0_q8_0; tinyBLAS_Q0_AVX for a batch)
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/formats/q8_0.h"
#include "engine/kernels/matmul_internal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/q8_0_matmul.cc"
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
  const auto* from = reinterpret_cast<const BlockQ8_0*>(w.data) + r * n_blocks;
  hn::Vec<DF32> lanes[kPositions];
  for (auto& v : lanes) v = hn::Zero(df32);
  for (size_t b = 0; b < n_blocks; ++b) {
    const float d = hwy::F32FromF16(hwy::float16_t::FromBits(from[b].d));
    const auto codes = hn::LoadU(di8, from[b].q);
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

void Q80MatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder&, size_t row_begin,
                   size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(Q80)(w, x, row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
