// Q8_0, Q4_0 and Q5_0 weights with Q8_0 activations, Q4_1 and Q5_1 with Q8_1, in eight lanes a row.
//
// Lane l takes weights 4l .. 4l+3 of a block, lane = fma(d_w * d_q, float32(their sum), lane); then (4..7)+(0..3),
// (2,3)+(0,1), 1+0. Q4_1 and Q5_1 add what is left of their mins, min = fma(m_w, s_q, min) block by block.
// (ggml_vec_dot_q8_0_q8_0 and the others in ggml-cpu/arch/x86/quants.c; tinyBLAS_Q0_AVX for a batch)
//
// Q4_0 that the reference repacked (IsRepacked): y = fma(float32(sum of the block), d_w * d_q, y).
// (gemv_q4_b32_8x8_q8_0_lut_avx in ggml-cpu/arch/x86/repack.cpp)
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/formats/nibbles.h"
#include "engine/formats/q8_0.h"
#include "engine/kernels/matmul_internal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/blocks_of_32_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/int8-inl.h"
#include "engine/kernels/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

HWY_INLINE hn::Vec<DI8> Codes(const BlockQ8_0& block) { return hn::LoadU(DI8(), block.q); }
template <class Block>
HWY_INLINE hn::Vec<DI8> Codes(const Block& block) {
  HWY_ALIGN int8_t q[32];
  block.Unpack(q);
  return hn::Load(DI8(), q);
}

// Row r against kPositions positions from `position` on.
template <class Block, bool kRepacked, size_t kPositions>
HWY_INLINE void Tile(const WeightMatrix& w, const Activations& x, size_t r, size_t position, float* y) {
  constexpr bool kHasMin = requires(Block b) { b.m; };
  const DI8 di8;
  const DF32 df32;
  const size_t n_blocks = w.cols / 32;
  const auto* from = reinterpret_cast<const Block*>(w.data) + r * n_blocks;
  hn::Vec<DF32> lanes[kPositions];
  for (auto& v : lanes) v = hn::Zero(df32);
  float total[kPositions] = {};  // of the mins; of all where the reference repacked
  for (size_t b = 0; b < n_blocks; ++b) {
    const float d = hwy::F32FromF16(hwy::float16_t::FromBits(from[b].d));
    const auto codes = Codes(from[b]);
    for (size_t i = 0; i < kPositions; ++i) {
      const size_t at = position + i;
      const auto sums = SumsOfFour(codes, hn::LoadU(di8, x.q.data() + at * x.q_stride + b * 32));
      const float scale = d * x.d[at * n_blocks + b];
      if constexpr (kRepacked) {
        total[i] = std::fma(static_cast<float>(hn::ReduceSum(DI32(), sums)), scale, total[i]);
      } else {
        lanes[i] = hn::MulAdd(hn::Set(df32, scale), hn::ConvertTo(df32, sums), lanes[i]);
      }
      if constexpr (kHasMin) {
        const float min = hwy::F32FromF16(hwy::float16_t::FromBits(from[b].m));
        total[i] = std::fma(min, x.scaled_sums[at * n_blocks + b], total[i]);
      }
    }
  }
  for (size_t i = 0; i < kPositions; ++i) {
    float& to = y[(position + i) * w.rows + r];
    to = kRepacked ? total[i] : FoldVec(df32, lanes[i], /*adjacent=*/false);
    if constexpr (kHasMin) to += total[i];
  }
}

template <class Block, bool kRepacked = false>
void Rows(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  for (size_t r = begin; r < end; ++r) {
    size_t p = 0;
    for (; p + 4 <= x.n; p += 4) Tile<Block, kRepacked, 4>(w, x, r, p, y);
    for (; p < x.n; ++p) Tile<Block, kRepacked, 1>(w, x, r, p, y);
  }
}

void BlocksOf32(const WeightMatrix& w, const Activations& x, bool repacked, size_t begin, size_t end, float* y) {
  switch (w.type) {
    case TensorType::kQ4_0:
      return repacked ? Rows<BlockQ4_0, true>(w, x, begin, end, y) : Rows<BlockQ4_0>(w, x, begin, end, y);
    case TensorType::kQ4_1:
      return Rows<BlockQ4_1>(w, x, begin, end, y);
    case TensorType::kQ5_0:
      return Rows<BlockQ5_0>(w, x, begin, end, y);
    case TensorType::kQ5_1:
      return Rows<BlockQ5_1>(w, x, begin, end, y);
    default:
      return Rows<BlockQ8_0>(w, x, begin, end, y);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(BlocksOf32);

void BlocksOf32MatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                          size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(BlocksOf32)(w, x, IsRepacked(w, order), row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
