#include <cmath>
#include <cstring>

#include "engine/kernels/matmul_internal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/ternary_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Bytes of as many weight rows as fit in a register, 32 of each: two rows with AVX-512, one with AVX2.
using D8 = hn::CappedTag<uint8_t, 64>;
using DI8 = hn::RebindToSigned<D8>;
using DI32 = hn::Repartition<int32_t, D8>;
using DF32 = hn::RebindToFloat<DI32>;
using DHalf8 = hn::CappedTag<uint8_t, 32>;
using VU8 = hn::Vec<D8>;
using VI32 = hn::Vec<DI32>;
using VF32 = hn::Vec<DF32>;
constexpr size_t kRowsPerVector = HWY_MAX_LANES_D(D8) / 32;

// The 32 bytes at `p`, once for each row.
HWY_INLINE VU8 Repeat32(const void* p) {
#if HWY_TARGET <= HWY_AVX3
  return VU8{_mm512_broadcast_i64x4(_mm256_loadu_si256(static_cast<const __m256i*>(p)))};
#else
  return hn::LoadU(D8(), static_cast<const uint8_t*>(p));
#endif
}

// 32 bytes of one row and of the next.
HWY_INLINE VU8 LoadRows32(const uint8_t* a, const uint8_t* b) {
#if HWY_TARGET <= HWY_AVX3
  const DHalf8 dh;
  return hn::Combine(D8(), hn::LoadU(dh, b), hn::LoadU(dh, a));
#else
  (void)b;
  return hn::LoadU(D8(), a);
#endif
}

// sum + groups of four products; codes are at most 2, so 16 bits are never exceeded on the way.
HWY_INLINE VI32 AddProducts(VU8 codes, VU8 q, VI32 sum) {
#if HWY_TARGET <= HWY_AVX3_DL
  return hn::SumOfMulQuadAccumulate(DI32(), codes, hn::BitCast(DI8(), q), sum);
#else
  const hn::Repartition<int16_t, D8> d16;
  const auto pairs = hn::SatWidenMulPairwiseAdd(d16, codes, hn::BitCast(DI8(), q));
  return hn::Add(sum, hn::WidenMulPairwiseAdd(DI32(), pairs, hn::Set(d16, 1)));
#endif
}

struct Tq20 {
  static constexpr size_t kBlockBytes = 66;  // 64 bytes of codes, F16 scale
  static float Scale(const uint8_t* block) { return F16At(block + 64); }
  static float F16At(const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p, 2);
    return hwy::F32FromF16(hwy::float16_t::FromBits(bits));
  }
  // codes[v]: weights 32*v .. 32*v+31 of both rows' blocks.
  static HWY_INLINE void Unpack(const uint8_t* a, const uint8_t* b, VU8 (&codes)[8]) {
    const hn::Repartition<uint16_t, D8> d16;
    const auto mask = hn::Set(D8(), 3);
    for (size_t half = 0; half < 2; ++half) {
      const VU8 bytes = LoadRows32(a + 32 * half, b + 32 * half);
      const auto words = hn::BitCast(d16, bytes);
      codes[4 * half + 0] = hn::And(bytes, mask);
      codes[4 * half + 1] = hn::And(hn::BitCast(D8(), hn::ShiftRight<2>(words)), mask);
      codes[4 * half + 2] = hn::And(hn::BitCast(D8(), hn::ShiftRight<4>(words)), mask);
      codes[4 * half + 3] = hn::And(hn::BitCast(D8(), hn::ShiftRight<6>(words)), mask);
    }
  }
};

// A byte holds five trits as the fraction ceil(value * 256 / 243); the next digit is the integer part of three times
// it. Bytes 0-31: weights 32*k + byte; bytes 32-47: weights 160 + 16*k + byte; 4 more bytes: weights 240 + 4*k + byte,
// k < 4.
struct Tq10 {
  static constexpr size_t kBlockBytes = 54;  // 48 + 4 bytes of codes, F16 scale
  static float Scale(const uint8_t* block) { return Tq20::F16At(block + 52); }
  static void UnpackOne(const uint8_t* block, uint8_t* codes) {
    static constexpr uint8_t kPow3[5] = {1, 3, 9, 27, 81};
    for (size_t k = 0; k < 5; ++k) {
      for (size_t i = 0; i < 32; ++i) codes[32 * k + i] = Digit(block[i], kPow3[k]);
    }
    for (size_t k = 0; k < 5; ++k) {
      for (size_t i = 0; i < 16; ++i) codes[160 + 16 * k + i] = Digit(block[32 + i], kPow3[k]);
    }
    for (size_t k = 0; k < 4; ++k) {
      for (size_t i = 0; i < 4; ++i) codes[240 + 4 * k + i] = Digit(block[48 + i], kPow3[k]);
    }
  }
  static uint8_t Digit(uint8_t byte, uint8_t pow3) {
    const uint8_t fraction = static_cast<uint8_t>(byte * pow3);
    return static_cast<uint8_t>((uint16_t{fraction} * 3) >> 8);
  }
  static HWY_INLINE void Unpack(const uint8_t* a, const uint8_t* b, VU8 (&codes)[8]) {
    alignas(64) uint8_t unpacked[2][256];
    UnpackOne(a, unpacked[0]);
    if (kRowsPerVector == 2) UnpackOne(b, unpacked[1]);
    for (size_t v = 0; v < 8; ++v) codes[v] = LoadRows32(unpacked[0] + 32 * v, unpacked[1] + 32 * v);
  }
};

// kPositions positions against one pair of rows.
template <class Format, size_t kPositions>
HWY_INLINE void Q8KTile(const uint8_t* a, const uint8_t* b, const Activations& x, size_t position, size_t n_blocks,
                        VF32 (&lanes)[kPositions]) {
  const DI32 di;
  const DF32 df;
  for (VF32& v : lanes) v = hn::Zero(df);
  const int8_t* q = x.q.data() + position * x.q_stride;
  const float* d = x.d.data() + position * n_blocks;
  const int32_t* minus_sums = x.sums.data() + position * n_blocks * 8;
  for (size_t block = 0; block < n_blocks; ++block) {
    VU8 codes[8];
    Format::Unpack(a, b, codes);
    const auto first_row = hn::FirstN(df, 8);
    const VF32 d_w = hn::IfThenElse(first_row, hn::Set(df, Format::Scale(a)), hn::Set(df, Format::Scale(b)));
    for (size_t p = 0; p < kPositions; ++p) {
      const int8_t* qp = q + p * x.q_stride + block * 256;
      VI32 sum = hn::BitCast(di, Repeat32(minus_sums + (p * n_blocks + block) * 8));
      for (size_t v = 0; v < 8; ++v) sum = AddProducts(codes[v], Repeat32(qp + 32 * v), sum);
      const VF32 scale = hn::Mul(hn::Set(df, d[p * n_blocks + block]), d_w);
      lanes[p] = hn::MulAdd(hn::ConvertTo(df, sum), scale, lanes[p]);
    }
    a += Format::kBlockBytes;
    b += Format::kBlockBytes;
  }
}

// (4..7)+(0..3), (2,3)+(0,1), 1+0 of eight lanes.
HWY_INLINE float Fold8(const float* l) { return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7])); }

template <class Format, size_t kPositions>
HWY_NOINLINE void Q8KRows(const WeightMatrix& w, const Activations& x, size_t position, size_t begin, size_t end,
                          float* y) {
  const DF32 df;
  const size_t n_blocks = w.cols / 256;
  const size_t row_bytes = n_blocks * Format::kBlockBytes;
  const uint8_t* base = reinterpret_cast<const uint8_t*>(w.data);
  for (size_t r = begin; r < end; r += kRowsPerVector) {
    const size_t next = r + 1 < end ? r + 1 : r;
    VF32 lanes[kPositions];
    Q8KTile<Format, kPositions>(base + r * row_bytes, base + next * row_bytes, x, position, n_blocks, lanes);
    for (size_t p = 0; p < kPositions; ++p) {
      alignas(64) float l[16];
      hn::Store(lanes[p], df, l);
      float* out = y + (position + p) * w.rows;
      out[r] = Fold8(l);
      if (kRowsPerVector == 2 && r + 1 < end) out[r + 1] = Fold8(l + 8);
    }
  }
}

template <class Format>
void Q8KAllPositions(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  constexpr size_t kTile = HWY_TARGET <= HWY_AVX3 ? 16 : 4;
  // A strip of rows stays in cache while the positions pass.
  constexpr size_t kStrip = 32;
  for (size_t r = begin; r < end; r += kStrip) {
    const size_t r_end = r + kStrip < end ? r + kStrip : end;
    size_t p = 0;
    for (; p + kTile <= x.n; p += kTile) Q8KRows<Format, kTile>(w, x, p, r, r_end, y);
    for (; p + 4 <= x.n; p += 4) Q8KRows<Format, 4>(w, x, p, r, r_end, y);
    for (; p < x.n; ++p) Q8KRows<Format, 1>(w, x, p, r, r_end, y);
  }
}

void TernaryQ8K(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  if (w.type == TensorType::kTQ2_0) {
    Q8KAllPositions<Tq20>(w, x, begin, end, y);
  } else {
    Q8KAllPositions<Tq10>(w, x, begin, end, y);
  }
}

// I2_S. Byte j of a block of 32 holds weights j, 32+j, 64+j, 96+j of 128 from the high bits down; two blocks fill an
// AVX-512 register, and Activations::q is in the order in which they unpack.
HWY_INLINE void UnpackI2S(VU8 bytes, VU8 (&codes)[4]) {
  const hn::Repartition<uint16_t, D8> d16;
  const auto mask = hn::Set(D8(), 3);
  const auto words = hn::BitCast(d16, bytes);
  codes[0] = hn::And(hn::BitCast(D8(), hn::ShiftRight<6>(words)), mask);
  codes[1] = hn::And(hn::BitCast(D8(), hn::ShiftRight<4>(words)), mask);
  codes[2] = hn::And(hn::BitCast(D8(), hn::ShiftRight<2>(words)), mask);
  codes[3] = hn::And(bytes, mask);
}

template <size_t kRows, size_t kPositions>
HWY_INLINE void I8Tile(const WeightMatrix& w, const Activations& x, size_t row, size_t position, float* y) {
  const D8 d8;
  const DI32 di;
  constexpr size_t kBytes = HWY_MAX_LANES_D(D8);
  const size_t row_bytes = w.cols / 4;
  const uint8_t* base = reinterpret_cast<const uint8_t*>(w.data) + row * row_bytes;
  const uint8_t* q = reinterpret_cast<const uint8_t*>(x.q.data()) + position * x.q_stride;
  VI32 sum[kRows][kPositions];
  for (auto& row_sums : sum) {
    for (VI32& s : row_sums) s = hn::Zero(di);
  }
  for (size_t i = 0; i < row_bytes; i += kBytes) {
    for (size_t r = 0; r < kRows; ++r) {
      const uint8_t* bytes = base + r * row_bytes + i;
      // The row's end may be half a register away: codes 0 there, beside q 0.
      const VU8 packed = i + kBytes <= row_bytes ? hn::LoadU(d8, bytes) : hn::LoadN(d8, bytes, row_bytes - i);
      VU8 codes[4];
      UnpackI2S(packed, codes);
      for (size_t p = 0; p < kPositions; ++p) {
        // AVX2: block 0 of a pair takes every other 32 bytes from the pair's start, block 1 the others.
        const uint8_t* qp = q + p * x.q_stride + (kBytes == 64 ? i * 4 : i / 64 * 256 + i % 64);
        for (size_t v = 0; v < 4; ++v) sum[r][p] = AddProducts(codes[v], hn::LoadU(d8, qp + 64 * v), sum[r][p]);
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t p = 0; p < kPositions; ++p) {
      const float dot = static_cast<float>(hn::ReduceSum(di, sum[r][p]));
      y[(position + p) * w.rows + row + r] =
          (dot - static_cast<float>(x.sums[position + p])) / x.d[position + p] * w.scale;
    }
  }
}

template <size_t kPositions>
HWY_NOINLINE void I8Rows(const WeightMatrix& w, const Activations& x, size_t position, size_t begin, size_t end,
                         float* y) {
  constexpr size_t kRows = kPositions == 1 ? 4 : 2;
  size_t r = begin;
  for (; r + kRows <= end; r += kRows) I8Tile<kRows, kPositions>(w, x, r, position, y);
  for (; r < end; ++r) I8Tile<1, kPositions>(w, x, r, position, y);
}

void TernaryI8(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  constexpr size_t kTile = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
  constexpr size_t kStrip = 32;
  for (size_t r = begin; r < end; r += kStrip) {
    const size_t r_end = r + kStrip < end ? r + kStrip : end;
    size_t p = 0;
    for (; p + kTile <= x.n; p += kTile) I8Rows<kTile>(w, x, p, r, r_end, y);
    for (; p < x.n; ++p) I8Rows<1>(w, x, p, r, r_end, y);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(TernaryQ8K);
HWY_EXPORT(TernaryI8);

void TernaryQ8KMatMulRows(const WeightMatrix& w, const Activations& x, size_t row_begin, size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(TernaryQ8K)(w, x, row_begin, row_end, y);
}
void TernaryI8MatMulRows(const WeightMatrix& w, const Activations& x, size_t row_begin, size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(TernaryI8)(w, x, row_begin, row_end, y);
}

namespace scalar {

float DotTernaryQ8K(const uint8_t* codes, const float* d_w, const int8_t* q, const float* d, size_t cols) {
  float lane[8] = {};
  for (size_t b = 0; b < cols / 256; ++b) {
    for (size_t l = 0; l < 8; ++l) {
      int32_t sum = 0;
      for (size_t i = 0; i < 256; ++i) {
        if (i % 32 / 4 == l) sum += codes[b * 256 + i] * q[b * 256 + i];
      }
      for (size_t i = 0; i < 32; ++i) sum -= q[b * 256 + l * 32 + i];
      lane[l] = std::fma(static_cast<float>(sum), d[b] * d_w[b], lane[l]);
    }
  }
  for (size_t half = 4; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}

float DotTernaryI8(const uint8_t* codes, float scale, const int8_t* q, float s, size_t cols) {
  int32_t dot = 0;
  int32_t sum = 0;
  for (size_t i = 0; i < cols; ++i) {
    dot += codes[i] * q[i];
    sum += q[i];
  }
  return (static_cast<float>(dot) - static_cast<float>(sum)) / s * scale;
}

}  // namespace scalar
}  // namespace bitnet
#endif  // HWY_ONCE
