// Q6_K weights with Q8_K activations, in eight lanes a row.
//
// Lane l collects code*scale*q of the bytes whose index in their chunk of 32 has l as quotient by 4, with codes of 0 to
// 63. What their offset adds too much, 32*scale*q, is taken off in the lane of each q, or
// (ArithmeticOrder::q6_k_offset_apart) for q[32*l .. 32*l+31] in lane l; lane = fma(float32(that), d_q * d_w, lane)
// block by block; then (4..7)+(0..3), (2,3)+(0,1), 1+0. (ggml_vec_dot_q6_K_q8_K in ggml-cpu/arch/x86/quants.c)
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/formats/q6_k.h"
#include "engine/kernels/vectors.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/q6_k_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/int8-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

using DU16 = hn::Repartition<uint16_t, DI8>;
using VU8 = hn::Vec<DU8>;

// One block of 256 weights in chunks of 32.
struct Block {
  Parts<DU8> codes[8];   // 0 .. 63; the weight is 32 less
  Parts<D16> scales[8];  // of each pair of codes: 8 times that of the first 16 weights, 8 times the other's
  Parts<D16> scales_16;  // the 16 of them as they are
  float d;
};

HWY_INLINE Block Unpack(const BlockQ6_K* from) {
  const DU8 d8;
  const DU16 du16;
  const auto low_mask = hn::Set(d8, 15);
  const auto high_mask = hn::Set(d8, 0x30);
  Block block;
  for (size_t i = 0; i < 2 * kParts; ++i) {
    const size_t half = i / kParts, part = i % kParts, at = part * kPartBytes;
    const VU8 low[2] = {hn::LoadU(d8, from->low + 64 * half + at), hn::LoadU(d8, from->low + 64 * half + 32 + at)};
    const auto high = hn::BitCast(du16, hn::LoadU(d8, from->high + 32 * half + at));
    const VU8 bits[4] = {hn::BitCast(d8, hn::ShiftLeft<4>(high)), hn::BitCast(d8, hn::ShiftLeft<2>(high)),
                         hn::BitCast(d8, high), hn::BitCast(d8, hn::ShiftRight<2>(high))};
    for (size_t k = 0; k < 4; ++k) {
      const VU8 nibbles = k < 2 ? low[k % 2] : hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(du16, low[k % 2])));
      block.codes[4 * half + k].part[part] = hn::Or(hn::And(nibbles, low_mask), hn::And(bits[k], high_mask));
    }
  }
  const int8_t* scales = from->scales;
  for (size_t k = 0; k < 8; ++k) block.scales[k] = TwoOf16(scales[2 * k], scales[2 * k + 1]);
  block.scales_16 = MakeParts<D16>([scales](size_t p) HWY_ATTR {
    return hn::PromoteTo(D16(), hn::LoadU(hn::Rebind<int8_t, D16>(), scales + p * kPartBytes / 2));
  });
  block.d = hwy::F32FromF16(hwy::float16_t::FromBits(from->d));
  return block;
}

// Row r against kPositions positions from `position` on. sums16: [n, cols/16], the sums of each 16 of q; null where the
// offset of 32 is taken off each pair.
template <size_t kPositions>
HWY_INLINE void Tile(const WeightMatrix& w, const Activations& x, const int16_t* sums16, size_t r, size_t position,
                     float* y) {
  const DU8 d8;
  const D16 d16;
  const DI32 di32;
  const size_t n_blocks = w.cols / 256;
  const auto* from = reinterpret_cast<const BlockQ6_K*>(w.data) + r * n_blocks;
  Lanes<8> lanes[kPositions];
  for (auto& v : lanes) v = ZeroLanes<8>();
  for (size_t b = 0; b < n_blocks; ++b) {
    const Block block = Unpack(from + b);
    for (size_t i = 0; i < kPositions; ++i) {
      const size_t at = position + i;
      const int8_t* q = x.q.data() + at * x.q_stride + b * 256;
      const Parts<DI32> sums = MakeParts<DI32>([&](size_t p) HWY_ATTR {
        auto sum = hn::Zero(di32);
        for (size_t k = 0; k < 8; ++k) {
          const auto qk = hn::LoadU(DI8(), q + 32 * k + p * kPartBytes);
          auto pairs = hn::SatWidenMulPairwiseAdd(d16, block.codes[k].part[p], qk);
          if (sums16 == nullptr) pairs = hn::Sub(pairs, hn::SatWidenMulPairwiseAdd(d16, hn::Set(d8, 32), qk));
          sum = hn::Add(sum, hn::WidenMulPairwiseAdd(di32, pairs, block.scales[k].part[p]));
        }
        if (sums16 == nullptr) return sum;
        const auto offset = hn::LoadU(d16, sums16 + (at * n_blocks + b) * 16 + p * kPartBytes / 2);
        return hn::Sub(sum, hn::ShiftLeft<5>(hn::WidenMulPairwiseAdd(di32, offset, block.scales_16.part[p])));
      });
      lanes[i] = MulAdd(SetLanes(x.d[at * n_blocks + b] * block.d), ToFloat(sums), lanes[i]);
    }
  }
  for (size_t i = 0; i < kPositions; ++i) {
    y[(position + i) * w.rows + r] = Fold(lanes[i]);
  }
}

void Q6K(const WeightMatrix& w, const Activations& x, bool offset_apart, size_t begin, size_t end, float* y) {
  std::vector<int16_t> sums16(offset_apart ? x.n * w.cols / 16 : 0);
  for (size_t i = 0; i < sums16.size(); ++i) {
    for (size_t k = 0; k < 16; ++k) sums16[i] = static_cast<int16_t>(sums16[i] + x.q[i * 16 + k]);
  }
  const int16_t* sums = offset_apart ? sums16.data() : nullptr;
  for (size_t r = begin; r < end; ++r) {
    size_t p = 0;
    for (; p + 4 <= x.n; p += 4) Tile<4>(w, x, sums, r, p, y);
    for (; p < x.n; ++p) Tile<1>(w, x, sums, r, p, y);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(Q6K);

void Q6KMatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                   size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(Q6K)(w, x, order.q6_k_offset_apart, row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
