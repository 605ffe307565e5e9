// Products of ternary blocks of 256 weights with Q8_K activations, in eight lanes a row.
//
// Lane l collects code*q of the bytes whose index in their chunk of 32 has l as quotient by 4, minus the sum of
// q[32*l .. 32*l+31]; lane = fma(float32(that), d_q * d_w, lane) block by block (ArithmeticOrder::tq_rounds_products:
// the product is rounded first); then (4..7)+(0..3), (2,3)+(0,1), 1+0. (ggml_vec_dot_tq2_0_q8_K in
// ggml-cpu/arch/x86/quants.c)
//
// Format, of one that stores such blocks: kBlockBytes; kScaleAt, where a block has its F16 scale; and Unpack(a, b,
// half, codes): codes[v] are weights 32*v .. 32*v+31 of the blocks of both rows; with NEON the 16 of that half.
#if defined(BITNET_PARITY_ENGINE_KERNELS_TERNARY_Q8K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITNET_PARITY_ENGINE_KERNELS_TERNARY_Q8K_INL_H_
#undef BITNET_PARITY_ENGINE_KERNELS_TERNARY_Q8K_INL_H_
#else
#define BITNET_PARITY_ENGINE_KERNELS_TERNARY_Q8K_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/kernels/ternary-inl.h"
#include "engine/kernels/vectors.h"
#include "hwy/aligned_allocator.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

// A register holds 32 bytes of each of as many weight rows as fit: two with AVX-512, one with AVX2. With NEON it holds
// half of them: no lane needs the other half.
constexpr size_t kRowsPerVector = kVectorBytes > 32 ? kVectorBytes / 32 : 1;
constexpr size_t kHalves = kVectorBytes < 32 ? 32 / kVectorBytes : 1;
constexpr size_t kLanes = kVectorBytes / 4;       // of a register
constexpr size_t kRowLanes = 8 * kRowsPerVector;  // of the rows that it holds or is a half of
using D256 = hn::CappedTag<uint8_t, 32>;
using D128 = hn::CappedTag<uint8_t, 16>;

// The 32 bytes at `p`, once for each row; or a half of them.
HWY_INLINE VU8 Repeat32(const void* p, size_t half) {
#if HWY_TARGET <= HWY_AVX3
  (void)half;
  return VU8{_mm512_broadcast_i64x4(_mm256_loadu_si256(static_cast<const __m256i*>(p)))};
#else
  return hn::LoadU(D8(), static_cast<const uint8_t*>(p) + half * kVectorBytes);
#endif
}

HWY_INLINE VU8 RowsFrom(hn::Vec<D256> a, hn::Vec<D256> b) {
#if HWY_TARGET <= HWY_AVX3
  return hn::Combine(D8(), b, a);
#else
  (void)b;
  return a;
#endif
}

HWY_INLINE VU8 LoadRows32(const uint8_t* a, const uint8_t* b, size_t half) {
  const D256 d;
  return RowsFrom(hn::LoadU(d, a + half * kVectorBytes), hn::LoadU(d, b + half * kVectorBytes));
}

HWY_INLINE float F16At(const uint8_t* p) {
  const hn::CappedTag<float, 1> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> d16;
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return hn::GetLane(hn::PromoteTo(d, hn::Set(d16, hwy::float16_t::FromBits(bits))));
}

HWY_INLINE VF32 ScaleOfRows(float a, float b) {
  const DF32 df;
#if HWY_TARGET <= HWY_AVX3
  const hn::Half<DF32> dh;
  return hn::Combine(df, hn::Set(dh, b), hn::Set(dh, a));
#else
  (void)b;
  return hn::Set(df, a);
#endif
}

// A pair of rows (with AVX2 one row) as the file holds it.
template <class Format>
struct PackedRows {
  const uint8_t* a;
  const uint8_t* b;
  HWY_INLINE void Codes(size_t block, size_t half, VU8 (&codes)[8]) const {
    hwy::Prefetch(a + block * Format::kBlockBytes + kPrefetchBytes);
    if (kRowsPerVector == 2) hwy::Prefetch(b + block * Format::kBlockBytes + kPrefetchBytes);
    Format::Unpack(a + block * Format::kBlockBytes, b + block * Format::kBlockBytes, half, codes);
  }
  HWY_INLINE VF32 Scale(size_t block) const {
    const size_t at = block * Format::kBlockBytes + Format::kScaleAt;
    return ScaleOfRows(F16At(a + at), F16At(b + at));
  }
};

// lane + sum * scale; the product is rounded before it is added where the order says so.
HWY_INLINE VF32 AddScaled(VF32 sum, VF32 scale, VF32 lane, bool rounds_product) {
  return rounds_product ? hn::Add(hn::Mul(sum, scale), lane) : hn::MulAdd(sum, scale, lane);
}

// kPositions positions against one pair of rows, or half of one row, which are unpacked on the way. out: [kPositions,
// kRowLanes].
template <class Format, size_t kPositions>
HWY_INLINE void PackedTile(const PackedRows<Format>& rows, const Activations& x, bool rounds, size_t position,
                           size_t half, float* out) {
  const DF32 df;
  const size_t n_blocks = x.cols / 256;
  const int8_t* q = x.q.data() + position * x.q_stride;
  const float* d = x.d.data() + position * n_blocks;
  const int32_t* minus_sums = x.sums.data() + position * n_blocks * 8;
  VF32 lanes[kPositions];
  for (VF32& v : lanes) v = hn::Zero(df);
  for (size_t block = 0; block < n_blocks; ++block) {
    VU8 codes[8];
    rows.Codes(block, half, codes);
    const VF32 d_w = rows.Scale(block);
    for (size_t p = 0; p < kPositions; ++p) {
      const int8_t* qp = q + p * x.q_stride + block * 256;
      const VI32 start = hn::BitCast(DI32(), Repeat32(minus_sums + (p * n_blocks + block) * 8, half));
      VSum sum = StartFrom(start);
      for (size_t v = 0; v < 8; ++v) sum = AddProducts(codes[v], Repeat32(qp + 32 * v, half), sum);
      const VF32 scale = hn::Mul(hn::Set(df, d[p * n_blocks + block]), d_w);
      lanes[p] = AddScaled(hn::ConvertTo(df, Finish(sum, start)), scale, lanes[p], rounds);
    }
  }
  // Through memory: an array that is indexed by a variable would leave its registers in the loop above.
  for (size_t p = 0; p < kPositions; ++p) hn::Store(lanes[p], df, out + p * kRowLanes + half * kLanes);
}

// (4..7)+(0..3), (2,3)+(0,1), 1+0 of eight lanes.
HWY_INLINE float Fold8(const float* l) { return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7])); }

// lanes: of rows r and r + 1 at kPositions positions.
template <size_t kPositions>
HWY_INLINE void StoreRows(const WeightMatrix& w, size_t position, size_t r, size_t end, const float* lanes, float* y) {
  for (size_t p = 0; p < kPositions; ++p) {
    const float* l = lanes + p * kRowLanes;
    float* out = y + (position + p) * w.rows;
    out[r] = Fold8(l);
    if (kRowsPerVector == 2 && r + 1 < end) out[r + 1] = Fold8(l + 8);
  }
}

template <class Format>
HWY_INLINE const uint8_t* RowOf(const WeightMatrix& w, size_t row) {
  return reinterpret_cast<const uint8_t*>(w.data) + row * (w.cols / 256) * Format::kBlockBytes;
}

template <class Format, size_t kPositions>
HWY_NOINLINE void PackedTimes(const WeightMatrix& w, const Activations& x, bool rounds, size_t position, size_t begin,
                              size_t end, float* y) {
  HWY_ALIGN float lanes[kPositions * kRowLanes];
  for (size_t r = begin; r < end; r += kRowsPerVector) {
    const PackedRows<Format> rows = {RowOf<Format>(w, r), RowOf<Format>(w, r + 1 < end ? r + 1 : r)};
    for (size_t half = 0; half < kHalves; ++half) {
      PackedTile<Format, kPositions>(rows, x, rounds, position, half, lanes);
    }
    StoreRows<kPositions>(w, position, r, end, lanes, y);
  }
}

// A strip of rows, unpacked once for all positions.
struct Strip {
  bool rounds;        // see AddScaled
  size_t begin, end;  // rows
  size_t n_blocks;
  hwy::AlignedVector<uint8_t> codes;  // [row pairs, kHalves, n_blocks, 8] registers
  hwy::AlignedVector<float> d_w;      // [rows, n_blocks]
  // Trained 1-bit models have one scale in all blocks of a tensor. Then d * d_w is the same for every row:
  bool one_scale;
  float scale_of_products = std::numeric_limits<float>::quiet_NaN();
  hwy::AlignedVector<float> products;  // [n, n_blocks]

  Strip(size_t n, size_t cols, bool rounds_products)
      : rounds(rounds_products),
        n_blocks(cols / 256),
        codes(kStripRows * cols),
        d_w(kStripRows * n_blocks),
        products(n * n_blocks) {}

  template <class Format>
  void Unpack(const WeightMatrix& w, size_t row_begin, size_t row_end) {
    begin = row_begin;
    end = row_end;
    for (size_t r = begin; r < end; r += kRowsPerVector) {
      const uint8_t* a = RowOf<Format>(w, r);
      const uint8_t* b = RowOf<Format>(w, r + 1 < end ? r + 1 : r);
      uint8_t* out = codes.data() + (r - begin) * n_blocks * 256;
      for (size_t i = 0; i < kHalves * n_blocks; ++i) {
        const size_t half = i / n_blocks, at = i % n_blocks * Format::kBlockBytes;
        VU8 c[8];
        Format::Unpack(a + at, b + at, half, c);
        for (size_t v = 0; v < 8; ++v) hn::Store(c[v], D8(), out + (i * 8 + v) * kVectorBytes);
      }
    }
    one_scale = true;
    for (size_t i = 0; i < (end - begin) * n_blocks; ++i) {
      d_w[i] = F16At(RowOf<Format>(w, begin) + i * Format::kBlockBytes + Format::kScaleAt);
      one_scale = one_scale && d_w[i] == d_w[0];
    }
  }

  void ComputeProducts(const Activations& x) {
    if (!one_scale || scale_of_products == d_w[0]) return;
    scale_of_products = d_w[0];
    for (size_t i = 0; i < products.size(); ++i) products[i] = x.d[i] * scale_of_products;
  }

  size_t Vectors() const { return (end - begin + kRowsPerVector - 1) / kRowsPerVector; }
  const uint8_t* Codes(size_t vector, size_t half, size_t block) const {
    return codes.data() + ((vector * kHalves + half) * n_blocks + block) * 8 * kVectorBytes;
  }
  HWY_INLINE VF32 Scale(size_t vector, size_t block) const {
    const float* a = d_w.data() + vector * kRowsPerVector * n_blocks + block;
    return ScaleOfRows(a[0], begin + vector * kRowsPerVector + 1 < end ? a[(kRowsPerVector - 1) * n_blocks] : a[0]);
  }
};

// What the first-level cache holds beside the codes of a tile: this many positions ...
constexpr size_t kPanel = 8;
// ... of this many blocks.
constexpr size_t kMaxChunk = 10;

// kVectors vectors of rows, or a half of each, times kPositions positions over some blocks, added to lanes: [kVectors,
// kPanel, kRowLanes]. kProduct: the weights' scale is in d already.
template <bool kProduct, size_t kVectors, size_t kPositions>
HWY_INLINE void Tile(const Strip& strip, size_t vector, size_t part, const Activations& x, size_t position,
                     size_t block_begin, size_t block_end, const float* d, float* lanes) {
  const DF32 df;
  const size_t n_blocks = strip.n_blocks;
  const int8_t* q = x.q.data() + position * x.q_stride;
  const int32_t* minus_sums = x.sums.data() + position * n_blocks * 8;
  VF32 lane[kVectors][kPositions];
  for (size_t r = 0; r < kVectors; ++r) {
    for (size_t p = 0; p < kPositions; ++p)
      lane[r][p] = hn::Load(df, lanes + (r * kPanel + p) * kRowLanes + part * kLanes);
  }
  for (size_t block = block_begin; block < block_end; ++block) {
    const auto start = [&](size_t p) HWY_ATTR {
      return hn::BitCast(DI32(), Repeat32(minus_sums + (p * n_blocks + block) * 8, part));
    };
    VSum sum[kVectors][kPositions];
    for (size_t p = 0; p < kPositions; ++p) {
      for (size_t r = 0; r < kVectors; ++r) sum[r][p] = StartFrom(start(p));
    }
    // By halves, or the codes would not leave enough registers.
    for (size_t half = 0; half < 2; ++half) {
      VU8 codes[kVectors][4];
      for (size_t r = 0; r < kVectors; ++r) {
        const uint8_t* from = strip.Codes(vector + r, part, block) + half * 4 * kVectorBytes;
        for (size_t v = 0; v < 4; ++v) codes[r][v] = hn::Load(D8(), from + v * kVectorBytes);
      }
      for (size_t v = 0; v < 4; ++v) {
        for (size_t p = 0; p < kPositions; ++p) {
          const VU8 qp = Repeat32(q + p * x.q_stride + block * 256 + half * 128 + v * 32, part);
          for (size_t r = 0; r < kVectors; ++r) sum[r][p] = AddProducts(codes[r][v], qp, sum[r][p]);
        }
      }
    }
    for (size_t p = 0; p < kPositions; ++p) {
      const VF32 d_p = hn::Set(df, d[p * n_blocks + block]);
      for (size_t r = 0; r < kVectors; ++r) {
        const VF32 scale = kProduct ? d_p : hn::Mul(d_p, strip.Scale(vector + r, block));
        lane[r][p] = AddScaled(hn::ConvertTo(df, Finish(sum[r][p], start(p))), scale, lane[r][p], strip.rounds);
      }
    }
  }
  for (size_t r = 0; r < kVectors; ++r) {
    for (size_t p = 0; p < kPositions; ++p)
      hn::Store(lane[r][p], df, lanes + (r * kPanel + p) * kRowLanes + part * kLanes);
  }
}

// A strip times kPanel positions and fewer, which come in groups of kPositions.
template <bool kProduct, size_t kPositions>
HWY_NOINLINE void PanelTimes(const WeightMatrix& w, const Activations& x, const Strip& strip, size_t position, size_t n,
                             float* y) {
  constexpr size_t kVectors = HWY_TARGET <= HWY_AVX3 ? 2 : 1;
  const size_t n_blocks = strip.n_blocks;
  const float* d = (kProduct ? strip.products.data() : x.d.data()) + position * n_blocks;
  HWY_ALIGN float lanes[kStripRows / kRowsPerVector * kPanel * kRowLanes] = {};
  const size_t chunks = (n_blocks + kMaxChunk - 1) / kMaxChunk;
  for (size_t c = 0; c < chunks; ++c) {
    const size_t first = n_blocks * c / chunks, last = n_blocks * (c + 1) / chunks;
    for (size_t v = 0; v < strip.Vectors();) {
      const size_t vectors = v + kVectors <= strip.Vectors() ? kVectors : 1;
      for (size_t p = 0; p < n; p += kPositions) {
        float* out = lanes + (v * kPanel + p) * kRowLanes;
        for (size_t half = 0; half < kHalves; ++half) {
          if (vectors == kVectors) {
            Tile<kProduct, kVectors, kPositions>(strip, v, half, x, position + p, first, last, d + p * n_blocks, out);
          } else {
            Tile<kProduct, 1, kPositions>(strip, v, half, x, position + p, first, last, d + p * n_blocks, out);
          }
        }
      }
      v += vectors;
    }
  }
  for (size_t v = 0; v < strip.Vectors(); ++v) {
    const float* of_rows = lanes + v * kPanel * kRowLanes;
    for (size_t p = 0; p < n; ++p) {
      StoreRows<1>(w, position + p, strip.begin + v * kRowsPerVector, strip.end, of_rows + p * kRowLanes, y);
    }
  }
}

template <size_t kPositions>
void StripTimes(const WeightMatrix& w, const Activations& x, const Strip& strip, size_t position, size_t n, float* y) {
  if (strip.one_scale) {
    PanelTimes<true, kPositions>(w, x, strip, position, n, y);
  } else {
    PanelTimes<false, kPositions>(w, x, strip, position, n, y);
  }
}

template <class Format>
HWY_INLINE void TernaryQ8KRows(const WeightMatrix& w, const Activations& x, bool rounds, size_t begin, size_t end,
                               float* y) {
  if (x.n < kPanel) {
    for (size_t r = begin; r < end; r += kStripRows) {
      const size_t r_end = std::min(r + kStripRows, end);
      size_t p = 0;
      for (; p + 4 <= x.n; p += 4) PackedTimes<Format, 4>(w, x, rounds, p, r, r_end, y);
      for (; p < x.n; ++p) PackedTimes<Format, 1>(w, x, rounds, p, r, r_end, y);
    }
    return;
  }
  Strip strip(x.n, x.cols, rounds);
  for (size_t r = begin; r < end; r += kStripRows) {
    strip.Unpack<Format>(w, r, std::min(r + kStripRows, end));
    strip.ComputeProducts(x);
    size_t p = 0;
    for (; p + kPanel <= x.n; p += kPanel) StripTimes<4>(w, x, strip, p, kPanel, y);
    if (p + 4 <= x.n) {
      StripTimes<4>(w, x, strip, p, 4, y);
      p += 4;
    }
    if (p < x.n) StripTimes<1>(w, x, strip, p, x.n - p, y);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#endif  // BITNET_PARITY_ENGINE_KERNELS_TERNARY_Q8K_INL_H_
