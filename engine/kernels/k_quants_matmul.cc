// Q2_K, Q3_K, Q4_K and Q5_K weights with Q8_K activations, in eight lanes a row.
//
// Lane l collects scale*code*q of the weights whose index in their 32 has l as quotient by 4; lane = fma(d_q * d_w,
// float32(that), lane) block by block; then (4..7)+(0..3), (2,3)+(0,1), 1+0. With M(l) the mins times the sums of q
// over weights 32l .. 32l+31 of the block, and e = -(d_q * dmin_w): Q2_K has lane l = fma(e, float32(M(l)), lane l)
// before; Q4_K collects four lanes fma(e, float32(M(2j) + M(2j+1)), lane) of their own, (0+2)+(1+3), and Q5_K one of
// all, and add them at the end. (ggml_vec_dot_q4_K_q8_K and the others in ggml-cpu/arch/x86/quants.c)
//
// Q4_K and Q2_K that the reference repacked (IsRepacked) have one lane for the products and one for the mins, the
// latter subtracted at the end. One position takes a block at once. Of n positions the first n - n%4 take Q4_K by 64
// weights, Q2_K by 128. (ggml_gemv_q4_K_8x8_q8_K, ggml_gemm_q4_K_8x8_q8_K in ggml-cpu/arch/x86/repack.cpp)
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "engine/formats/k_quants.h"
#include "engine/kernels/vectors.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/k_quants_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/int8-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

struct SpreadBlock {
  Parts<DU8> codes[8];
  Parts<D16> scales[8];  // of each pair of codes
  int32_t mins[16];
  float d, dmin;
};

template <class Block>
HWY_INLINE SpreadBlock Spread(const Block& from) {
  HWY_ALIGN KQuants k;
  from.Unpack(k);
  SpreadBlock block;
  for (size_t c = 0; c < 8; ++c) {
    block.codes[c] = LoadParts<DU8>(k.q + 32 * c);
    block.scales[c] = TwoOf16(static_cast<int16_t>(k.scales[2 * c]), static_cast<int16_t>(k.scales[2 * c + 1]));
  }
  block.d = k.d;
  if constexpr (Block::kHasMins) {
    std::copy_n(k.mins, 16, block.mins);
    block.dmin = k.dmin;
  }
  return block;
}

// scale*(code - kOffset)*q of 32-chunks [begin, end) of a block, four neighbours a lane.
template <class Block>
HWY_INLINE Parts<DI32> Products(const SpreadBlock& block, const int8_t* q, size_t begin, size_t end) {
  const D16 d16;
  const DI32 di32;
  return MakeParts<DI32>([&](size_t p) HWY_ATTR {
    auto sum = hn::Zero(di32);
    for (size_t c = begin; c < end; ++c) {
      const auto qc = hn::LoadU(DI8(), q + 32 * c + p * kPartBytes);
      auto pairs = hn::SatWidenMulPairwiseAdd(d16, block.codes[c].part[p], qc);
      if constexpr (Block::kOffset != 0) {
        pairs = hn::Sub(pairs, hn::SatWidenMulPairwiseAdd(d16, hn::Set(DU8(), Block::kOffset), qc));
      }
      sum = hn::Add(sum, hn::WidenMulPairwiseAdd(di32, pairs, block.scales[c].part[p]));
    }
    return sum;
  });
}

// M(l) of each 32. sums: of each 16 of q.
HWY_INLINE void MinProducts(const SpreadBlock& block, const int32_t* sums, int32_t* m) {
  for (size_t l = 0; l < 8; ++l) m[l] = block.mins[2 * l] * sums[2 * l] + block.mins[2 * l + 1] * sums[2 * l + 1];
}

// What one position has collected.
template <class Block>
struct Lanes8 {
  Lanes<8> lanes;
  float mins[4] = {};

  HWY_INLINE Lanes8() : lanes(ZeroLanes<8>()) {}

  HWY_INLINE void Add(const SpreadBlock& block, const int8_t* q, const int32_t* sums, float d_q) {
    [[maybe_unused]] HWY_ALIGN int32_t m[8];
    if constexpr (Block::kHasMins) {
      MinProducts(block, sums, m);
      const float e = -(d_q * block.dmin);
      if constexpr (std::is_same_v<Block, BlockQ2_K>) {
        lanes = MulAdd(SetLanes(e), ToFloat(LoadParts<DI32>(m)), lanes);
      } else if constexpr (std::is_same_v<Block, BlockQ4_K>) {
        for (size_t j = 0; j < 4; ++j) mins[j] = std::fma(e, static_cast<float>(m[2 * j] + m[2 * j + 1]), mins[j]);
      } else {
        int32_t all = 0;
        for (const int32_t v : m) all += v;
        mins[0] = std::fma(e, static_cast<float>(all), mins[0]);
      }
    }
    lanes = MulAdd(SetLanes(d_q * block.d), ToFloat(Products<Block>(block, q, 0, 8)), lanes);
  }
  HWY_INLINE float Result() const {
    const float sum = Fold(lanes);
    if constexpr (std::is_same_v<Block, BlockQ4_K>) return sum + ((mins[0] + mins[2]) + (mins[1] + mins[3]));
    if constexpr (std::is_same_v<Block, BlockQ5_K>) return sum + mins[0];
    return sum;
  }
};

// ... where the reference repacked, taking kParts of a block one after another.
template <class Block, size_t kParts>
struct Repacked {
  float products = 0, mins = 0;

  HWY_INLINE void Add(const SpreadBlock& block, const int8_t* q, const int32_t* sums, float d_q) {
    int32_t m[8];
    MinProducts(block, sums, m);
    const float scale = block.d * d_q, min_scale = block.dmin * d_q;
    constexpr size_t kChunks = 8 / kParts;
    for (size_t at = 0; at < 8; at += kChunks) {
      const int32_t part = SumOf(Products<Block>(block, q, at, at + kChunks));
      products = std::fma(static_cast<float>(part), scale, products);
      int32_t min = 0;
      for (size_t l = at; l < at + kChunks; ++l) min += m[l];
      mins = std::fma(static_cast<float>(min), min_scale, mins);
    }
  }
  HWY_INLINE float Result() const { return products - mins; }
};

// Row r against kPositions positions from `position` on. sums: [n, cols/16], of each 16 of q.
template <class Block, class Collected, size_t kPositions>
HWY_INLINE void Tile(const WeightMatrix& w, const Activations& x, const int32_t* sums, size_t r, size_t position,
                     float* y) {
  const size_t n_blocks = w.cols / 256;
  const auto* from = reinterpret_cast<const Block*>(w.data) + r * n_blocks;
  Collected collected[kPositions];
  for (size_t b = 0; b < n_blocks; ++b) {
    const SpreadBlock block = Spread(from[b]);
    for (size_t i = 0; i < kPositions; ++i) {
      const size_t at = position + i;
      collected[i].Add(block, x.q.data() + at * x.q_stride + b * 256, sums + (at * n_blocks + b) * 16,
                       x.d[at * n_blocks + b]);
    }
  }
  for (size_t i = 0; i < kPositions; ++i) y[(position + i) * w.rows + r] = collected[i].Result();
}

template <class Block, class OfFour, class OfOne>
void Rows(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  std::vector<int32_t> sums(Block::kHasMins ? x.n * w.cols / 16 : 0);
  for (size_t i = 0; i < sums.size(); ++i) {
    for (size_t k = 0; k < 16; ++k) sums[i] += x.q[i * 16 + k];
  }
  for (size_t r = begin; r < end; ++r) {
    size_t p = 0;
    for (; p + 4 <= x.n; p += 4) Tile<Block, OfFour, 4>(w, x, sums.data(), r, p, y);
    for (; p < x.n; ++p) Tile<Block, OfOne, 1>(w, x, sums.data(), r, p, y);
  }
}
template <class Block>
void PlainRows(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  Rows<Block, Lanes8<Block>, Lanes8<Block>>(w, x, begin, end, y);
}

void KQuantsMatMul(const WeightMatrix& w, const Activations& x, bool repacked, size_t begin, size_t end, float* y) {
  if (repacked && w.type == TensorType::kQ4_K) {
    return Rows<BlockQ4_K, Repacked<BlockQ4_K, 4>, Repacked<BlockQ4_K, 1>>(w, x, begin, end, y);
  }
  if (repacked) return Rows<BlockQ2_K, Repacked<BlockQ2_K, 2>, Repacked<BlockQ2_K, 1>>(w, x, begin, end, y);
  switch (w.type) {
    case TensorType::kQ2_K:
      return PlainRows<BlockQ2_K>(w, x, begin, end, y);
    case TensorType::kQ3_K:
      return PlainRows<BlockQ3_K>(w, x, begin, end, y);
    case TensorType::kQ4_K:
      return PlainRows<BlockQ4_K>(w, x, begin, end, y);
    default:
      return PlainRows<BlockQ5_K>(w, x, begin, end, y);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(KQuantsMatMul);

void KQuantsMatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                       size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(KQuantsMatMul)(w, x, IsRepacked(w, order), row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
