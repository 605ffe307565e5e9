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
#include "engine/kernels/vectors.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/blocks_of_32_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "engine/kernels/int8-inl.h"
#include "engine/kernels/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

// 16 low and 16 high halves of bytes.
HWY_INLINE Parts<DU8> Nibbles(const uint8_t* from) {
  const hn::CappedTag<uint8_t, 16> dh;
  const auto bytes = hn::LoadU(dh, from);
  const auto low = hn::And(bytes, hn::Set(dh, 15)), high = hn::ShiftRight<4>(bytes);
#if HWY_MAX_BYTES >= 32
  return {{hn::Combine(DU8(), high, low)}};
#else
  return {{low, high}};
#endif
}

HWY_INLINE Parts<DI8> Codes(const BlockQ8_0& block) { return LoadParts<DI8>(block.q); }
template <class Block>
HWY_INLINE Parts<DI8> Codes(const Block& block) {
  const DU8 du8;
  const Parts<DU8> nibbles = Nibbles(block.low);
  return MakeParts<DI8>([&](size_t p) HWY_ATTR {
    auto q = nibbles.part[p];
    if constexpr (requires { block.high; }) {
      uint8_t bits[8] = {};  // as many are read
      std::memcpy(bits, reinterpret_cast<const uint8_t*>(&block.high) + p * kPartBytes / 8, kPartBytes / 8);
      q = hn::Or(q, hn::IfThenElseZero(hn::LoadMaskBits(du8, bits), hn::Set(du8, 16)));
    }
    return hn::Sub(hn::BitCast(DI8(), q), hn::Set(DI8(), Block::kOffset));
  });
}

// Rows r .. r+7, a lane each, as the reference repacked them.
template <size_t kPositions>
HWY_INLINE void RepackedTile(const WeightMatrix& w, const Activations& x, size_t r, size_t position, float* y) {
  const size_t n_blocks = w.cols / 32;
  const auto* from = reinterpret_cast<const BlockQ4_0*>(w.data) + r * n_blocks;
  Lanes<8> total[kPositions];
  for (auto& v : total) v = ZeroLanes<8>();
  for (size_t b = 0; b < n_blocks; ++b) {
    HWY_ALIGN int8_t rows[8][32];
    HWY_ALIGN float scales[8];
    for (size_t k = 0; k < 8; ++k) {
      const BlockQ4_0& block = from[k * n_blocks + b];
      const Parts<DI8> codes = Codes(block);
      for (size_t p = 0; p < kParts; ++p) hn::Store(codes.part[p], DI8(), rows[k] + p * kPartBytes);
      scales[k] = hwy::F32FromF16(hwy::float16_t::FromBits(block.d));
    }
    // Four neighbours of each row beside each other.
    HWY_ALIGN int8_t fours[8][32];
    for (size_t c = 0; c < 8; ++c) {
      for (size_t k = 0; k < 8; ++k) std::memcpy(fours[c] + 4 * k, rows[k] + 4 * c, 4);
    }
    const Lanes<8> d = LoadLanes<8>(scales);
    for (size_t i = 0; i < kPositions; ++i) {
      const int8_t* q = x.q.data() + (position + i) * x.q_stride + b * 32;
      auto sum = MakeParts<DI32>([](size_t) HWY_ATTR { return hn::Zero(DI32()); });
      for (size_t c = 0; c < 8; ++c) {
        int32_t four;
        std::memcpy(&four, q + 4 * c, 4);
        const auto all = MakeParts<DI8>([four](size_t) HWY_ATTR { return hn::BitCast(DI8(), hn::Set(DI32(), four)); });
        const Parts<DI32> more = SumsOfFour(LoadParts<DI8>(fours[c]), all);
        for (size_t p = 0; p < kParts; ++p) sum.part[p] = hn::Add(sum.part[p], more.part[p]);
      }
      const float d_q = x.d[(position + i) * n_blocks + b];
      const Lanes<8> scale = MakeLanes<8>([&](size_t p) HWY_ATTR { return hn::Mul(d.part[p], hn::Set(DF32(), d_q)); });
      total[i] = MulAdd(ToFloat(sum), scale, total[i]);
    }
  }
  for (size_t i = 0; i < kPositions; ++i) StoreLanes(total[i], y + (position + i) * w.rows + r);
}

// Row r against kPositions positions from `position` on.
template <class Block, size_t kPositions>
HWY_INLINE void Tile(const WeightMatrix& w, const Activations& x, size_t r, size_t position, float* y) {
  constexpr bool kHasMin = requires(Block b) { b.m; };
  const size_t n_blocks = w.cols / 32;
  const auto* from = reinterpret_cast<const Block*>(w.data) + r * n_blocks;
  Lanes<8> lanes[kPositions];
  for (auto& v : lanes) v = ZeroLanes<8>();
  float mins[kPositions] = {};
  for (size_t b = 0; b < n_blocks; ++b) {
    const float d = hwy::F32FromF16(hwy::float16_t::FromBits(from[b].d));
    const auto codes = Codes(from[b]);
    for (size_t i = 0; i < kPositions; ++i) {
      const size_t at = position + i;
      const auto sums = SumsOfFour(codes, LoadParts<DI8>(x.q.data() + at * x.q_stride + b * 32));
      const float scale = d * x.d[at * n_blocks + b];
      lanes[i] = MulAdd(SetLanes(scale), ToFloat(sums), lanes[i]);
      if constexpr (kHasMin) {
        const float min = hwy::F32FromF16(hwy::float16_t::FromBits(from[b].m));
        mins[i] = std::fma(min, x.scaled_sums[at * n_blocks + b], mins[i]);
      }
    }
  }
  for (size_t i = 0; i < kPositions; ++i) {
    float& to = y[(position + i) * w.rows + r];
    to = Fold(lanes[i]);
    if constexpr (kHasMin) to += mins[i];
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

// begin and end are multiples of 8: threads get rows by 16.
void RepackedRows(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  for (size_t r = begin; r < end; r += 8) {
    size_t p = 0;
    for (; p + 4 <= x.n; p += 4) RepackedTile<4>(w, x, r, p, y);
    for (; p < x.n; ++p) RepackedTile<1>(w, x, r, p, y);
  }
}

void BlocksOf32(const WeightMatrix& w, const Activations& x, bool repacked, size_t begin, size_t end, float* y) {
  switch (w.type) {
    case TensorType::kQ4_0:
      return repacked ? RepackedRows(w, x, begin, end, y) : Rows<BlockQ4_0>(w, x, begin, end, y);
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
