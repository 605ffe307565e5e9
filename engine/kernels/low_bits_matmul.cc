// Q1_0 and Q2_0 weights with Q8_0 activations.
//
// Q1_0, in eight lanes: lane l of a block starts as d_q * float32(s), s the sum of w*q over activations 4l .. 4l+3 of
// its first 32, and takes fma(d_q, float32(s), lane) of the other three; then total = fma(d_w, lane, total) lane by
// lane, and in the end (4..7)+(0..3), (2,3)+(0,1), 1+0. (ggml_vec_dot_q1_0_q8_0 in ggml-cpu/arch/x86/quants.c)
//
// Q2_0: block = fma(d_q, float32(sum of w*q), block) for both 32 of it, from 0; y = fma(d_w, block, y).
// (ggml_vec_dot_q2_0_q8_0_generic in ggml-cpu/quants.c)
#include <cmath>
#include <cstring>
#include <type_traits>

#include "engine/formats/low_bits.h"
#include "engine/kernels/vectors.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/low_bits_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/int8-inl.h"
#include "engine/kernels/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

// The 32 weights from the 32*g-th of a block on, in units of d.
HWY_INLINE Parts<DI8> Codes(const BlockQ1_0& block, size_t g) {
  return MakeParts<DI8>([&](size_t p) HWY_ATTR {
    const DI8 di8;
    uint8_t bits[8] = {};  // as many are read
    std::memcpy(bits, block.bits + 4 * g + p * kPartBytes / 8, kPartBytes / 8);
    return hn::IfThenElse(hn::LoadMaskBits(di8, bits), hn::Set(di8, 1), hn::Set(di8, -1));
  });
}
HWY_INLINE Parts<DI8> Codes(const BlockQ2_0& block, size_t g) {
  // Each byte once in each byte of a lane, moved down by 0, 2, 4 and 6 bits.
  HWY_ALIGN int32_t lanes[8];
  for (size_t i = 0; i < 8; ++i) {
    const int32_t byte = block.bits[8 * g + i];
    lanes[i] = byte | byte << 6 | byte << 12 | byte << 18;
  }
  const auto bits = LoadParts<DI32>(lanes);
  return MakeParts<DI8>([&](size_t p) HWY_ATTR {
    return hn::Sub(hn::And(hn::BitCast(DI8(), bits.part[p]), hn::Set(DI8(), 3)), hn::Set(DI8(), 1));
  });
}

// Row r against kPositions positions from `position` on.
template <class Block, size_t kPositions>
HWY_INLINE void Tile(const WeightMatrix& w, const Activations& x, size_t r, size_t position, float* y) {
  constexpr size_t kGroups = Block::kWeights / 32;
  const size_t n_blocks = w.cols / Block::kWeights;
  const auto* from = reinterpret_cast<const Block*>(w.data) + r * n_blocks;
  Lanes<8> lanes[kPositions];
  for (auto& v : lanes) v = ZeroLanes<8>();
  float total[kPositions] = {};
  for (size_t b = 0; b < n_blocks; ++b) {
    const float d = hwy::F32FromF16(hwy::float16_t::FromBits(from[b].d));
    Parts<DI8> codes[kGroups];
    for (size_t g = 0; g < kGroups; ++g) codes[g] = Codes(from[b], g);
    for (size_t i = 0; i < kPositions; ++i) {
      const int8_t* q = x.q.data() + (position + i) * x.q_stride + b * Block::kWeights;
      const float* d_q = x.d.data() + (position + i) * (w.cols / 32) + b * kGroups;
      auto block_lanes = ZeroLanes<8>();
      float block = 0;
      for (size_t g = 0; g < kGroups; ++g) {
        const auto sums = SumsOfFour(codes[g], LoadParts<DI8>(q + 32 * g));
        if constexpr (std::is_same_v<Block, BlockQ2_0>) {
          block = std::fma(d_q[g], static_cast<float>(SumOf(sums)), block);
        } else {
          block_lanes = MulAdd(SetLanes(d_q[g]), ToFloat(sums), block_lanes);
        }
      }
      if constexpr (std::is_same_v<Block, BlockQ2_0>) {
        total[i] = std::fma(d, block, total[i]);
      } else {
        lanes[i] = MulAdd(SetLanes(d), block_lanes, lanes[i]);
      }
    }
  }
  for (size_t i = 0; i < kPositions; ++i) {
    y[(position + i) * w.rows + r] = std::is_same_v<Block, BlockQ2_0> ? total[i] : Fold(lanes[i]);
  }
}

template <class Block>
void Rows(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  for (size_t r = begin; r < end; ++r) {
    size_t p = 0;
    for (; p + 4 <= x.n; p += 4) Tile<Block, 4>(w, x, r, p, y);
    for (; p < x.n; ++p) Tile<Block, 1>(w, x, r, p, y);
  }
}

void LowBits(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  w.type == TensorType::kQ1_0 ? Rows<BlockQ1_0>(w, x, begin, end, y) : Rows<BlockQ2_0>(w, x, begin, end, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(LowBits);

void LowBitsMatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder&, size_t row_begin,
                       size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(LowBits)(w, x, row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
