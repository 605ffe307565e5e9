// I2_S weights with int8 activations of one scale a row: (float32(sum code*q) - sum q) / s * scale. Sums of integers,
// so every order gives the same bits. (bitnet.cpp's ggml_compute_forward_mul_mat)
#include <algorithm>

#include "engine/kernels/vectors.h"
#include "hwy/aligned_allocator.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/i2_s_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h: compiled once a target.
#include "engine/kernels/ternary-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Codes 32*v .. 32*v + 31 of each block of 128: byte j of its 32 bytes holds weights j, 32+j, 64+j, 96+j from the high
// bits down.
HWY_INLINE void UnpackI2S(VU8 bytes, VU8 (&codes)[4]) {
  codes[0] = TwoBits<6>(bytes);
  codes[1] = TwoBits<4>(bytes);
  codes[2] = TwoBits<2>(bytes);
  codes[3] = TwoBits<0>(bytes);
}

// Where Activations::q keeps what the codes of the register at byte `i` of a row multiply; 64 further for each v. Two
// blocks fill an AVX-512 register; with AVX2 block 0 of a pair takes every other 32 bytes, block 1 the others.
HWY_INLINE size_t PlaceOfBytes(size_t i) { return kVectorBytes == 64 ? i * 4 : i / 64 * 256 + i % 64; }

// The row's end may be half a register away: codes 0 there, beside q 0.
HWY_INLINE VU8 LoadRow(const uint8_t* row, size_t i, size_t row_bytes) {
  return i + kVectorBytes <= row_bytes ? hn::LoadU(D8(), row + i) : hn::LoadN(D8(), row + i, row_bytes - i);
}

HWY_INLINE const uint8_t* RowOf(const WeightMatrix& w, size_t row) {
  return reinterpret_cast<const uint8_t*>(w.data) + row * (w.cols / 4);
}

// sums: [kRows, kPositions] registers.
template <size_t kRows, size_t kPositions>
HWY_INLINE void StoreOutputs(const WeightMatrix& w, const Activations& x, size_t row, size_t position,
                             const int32_t* sums, float* y) {
  const DI32 d;
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t p = 0; p < kPositions; ++p) {
      const VI32 sum = hn::Load(d, sums + (r * kPositions + p) * hn::Lanes(d));
      const float dot = static_cast<float>(hn::ReduceSum(d, sum));
      y[(position + p) * w.rows + row + r] =
          (dot - static_cast<float>(x.sums[position + p])) / x.d[position + p] * w.scale;
    }
  }
}

// Sums over a row of one position's products, with its bytes shifted once for all four codes: bits 0-1 of each half
// byte are codes, bits 2-3 are codes times 4, which are added up apart.
struct RowSum {
  VI32 low, high;
};

HWY_INLINE void AddBytes(VU8 bytes, const uint8_t* q, VSum& low, VSum& high) {
  const VU8 low_bits = hn::Set(D8(), 0x03), high_bits = hn::Set(D8(), 0x0C);
  const hn::Repartition<uint16_t, D8> d16;
  const VU8 shifted = hn::BitCast(D8(), hn::ShiftRight<4>(hn::BitCast(d16, bytes)));
  high = AddProducts(hn::And(shifted, high_bits), hn::LoadU(D8(), q), high);
  low = AddProducts(hn::And(shifted, low_bits), hn::LoadU(D8(), q + 64), low);
  high = AddProducts(hn::And(bytes, high_bits), hn::LoadU(D8(), q + 128), high);
  low = AddProducts(hn::And(bytes, low_bits), hn::LoadU(D8(), q + 192), low);
}

constexpr size_t kLine = 64;  // bytes
// As many lines as a VSum has room for, of codes times 4 and of codes; a register of bytes is two products of each.
constexpr size_t kHighLines = std::min<size_t>(kRoom / 4 / 2 / (kLine / kVectorBytes), 8);
constexpr size_t kLowLines = std::min<size_t>(kRoom / 2 / (kLine / kVectorBytes), 64) / kHighLines * kHighLines;
// Adds the bytes [begin, end) of each row, whole lines, no more than kLowLines.
template <size_t kRows>
HWY_INLINE void AddLines(const uint8_t* const (&bytes)[kRows], const uint8_t* q, size_t begin, size_t end,
                         RowSum (&sum)[kRows]) {
  VSum low[kRows];
  for (size_t r = 0; r < kRows; ++r) low[r] = StartFrom(sum[r].low);
  const auto add = [&](size_t i, size_t lines) HWY_ATTR {
    VSum high[kRows];
    for (size_t r = 0; r < kRows; ++r) high[r] = StartFrom(sum[r].high);
    for (size_t line = i; line < i + lines * kLine; line += kLine) {
      for (size_t r = 0; r < kRows; ++r) {
        hwy::Prefetch(bytes[r] + line + kPrefetchBytes);
        for (size_t part = 0; part < kLine; part += kVectorBytes) {
          AddBytes(hn::LoadU(D8(), bytes[r] + line + part), q + line * 4 + part, low[r], high[r]);
        }
      }
    }
    for (size_t r = 0; r < kRows; ++r) sum[r].high = Finish(high[r], sum[r].high);
  };
  size_t i = begin;
  for (; i + kHighLines * kLine <= end; i += kHighLines * kLine) add(i, kHighLines);
  for (; i < end; i += kLine) add(i, 1);
  for (size_t r = 0; r < kRows; ++r) sum[r].low = Finish(low[r], sum[r].low);
}

// dots[r] = codes of row `row` + r times one position's q. Each weight is unpacked, used once and forgotten.
template <size_t kRows>
HWY_INLINE void Dots(const WeightMatrix& w, const uint8_t* q, size_t row, int32_t* dots) {
  const size_t row_bytes = w.cols / 4, whole = row_bytes / kLine * kLine;
  const uint8_t* bytes[kRows];
  RowSum sum[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    bytes[r] = RowOf(w, row + r);
    sum[r].low = sum[r].high = hn::Zero(DI32());
  }
  for (size_t begin = 0; begin < whole; begin += kLowLines * kLine) {
    AddLines<kRows>(bytes, q, begin, std::min(begin + kLowLines * kLine, whole), sum);
  }
  for (size_t i = whole; i < row_bytes; i += kVectorBytes) {
    for (size_t r = 0; r < kRows; ++r) {
      VSum low = StartFrom(sum[r].low), high = StartFrom(sum[r].high);
      AddBytes(LoadRow(bytes[r], i, row_bytes), q + whole * 4 + (i - whole), low, high);
      sum[r].low = Finish(low, sum[r].low);
      sum[r].high = Finish(high, sum[r].high);
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    dots[r] = hn::ReduceSum(DI32(), hn::Add(sum[r].low, hn::ShiftRight<2>(sum[r].high)));
  }
}

void OnePosition(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, size_t position, float* y) {
  // Long rows side by side hide the latency of AVX-512's sums; AVX2 is done with a row before the next is there.
  constexpr size_t kRows = HWY_TARGET <= HWY_AVX3 ? 4 : 1;
  const uint8_t* q = reinterpret_cast<const uint8_t*>(x.q.data()) + position * x.q_stride;
  const DF32 df;
  const VF32 sum = hn::Set(df, static_cast<float>(x.sums[position])), d = hn::Set(df, x.d[position]),
             scale = hn::Set(df, w.scale);
  HWY_ALIGN int32_t dots[hn::MaxLanes(df)] = {};
  for (size_t first = begin; first < end; first += hn::Lanes(df)) {
    const size_t rows = std::min(hn::Lanes(df), end - first);
    size_t r = 0;
    for (; r + kRows <= rows; r += kRows) Dots<kRows>(w, q, first + r, dots + r);
    for (; r < rows; ++r) Dots<1>(w, q, first + r, dots + r);
    const VF32 dot = hn::ConvertTo(df, hn::Load(DI32(), dots));
    hn::StoreN(hn::Mul(hn::Div(hn::Sub(dot, sum), d), scale), df, y + position * w.rows + first, rows);
  }
}

// Rows [begin, end) as a byte a code, each in the order of Activations::q.
void UnpackStrip(const WeightMatrix& w, size_t begin, size_t end, size_t stride, uint8_t* strip) {
  const size_t row_bytes = w.cols / 4;
  for (size_t r = begin; r < end; ++r) {
    uint8_t* out = strip + (r - begin) * stride;
    // The last block of an odd number has no neighbour.
    for (size_t i = row_bytes * 4 / 256 * 256; i < stride; ++i) out[i] = 0;
    for (size_t i = 0; i < row_bytes; i += kVectorBytes) {
      VU8 codes[4];
      UnpackI2S(LoadRow(RowOf(w, r), i, row_bytes), codes);
      for (size_t v = 0; v < 4; ++v) hn::StoreU(codes[v], D8(), out + PlaceOfBytes(i) + 64 * v);
    }
  }
}

template <size_t kRows, size_t kPositions>
HWY_INLINE void Tile(const WeightMatrix& w, const Activations& x, const uint8_t* codes, size_t row, size_t position,
                     float* y) {
  const uint8_t* q = reinterpret_cast<const uint8_t*>(x.q.data()) + position * x.q_stride;
  VI32 sum[kRows][kPositions];
  for (auto& sums : sum) {
    for (VI32& s : sums) s = hn::Zero(DI32());
  }
  for (size_t begin = 0; begin < x.q_stride; begin += kRoom * kVectorBytes) {
    const size_t end = std::min(begin + kRoom * kVectorBytes, x.q_stride);
    VSum part[kRows][kPositions];
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t p = 0; p < kPositions; ++p) part[r][p] = StartFrom(sum[r][p]);
    }
    for (size_t i = begin; i < end; i += kVectorBytes) {
      VU8 c[kRows];
      for (size_t r = 0; r < kRows; ++r) c[r] = hn::Load(D8(), codes + r * x.q_stride + i);
      for (size_t p = 0; p < kPositions; ++p) {
        const VU8 qp = hn::LoadU(D8(), q + p * x.q_stride + i);
        for (size_t r = 0; r < kRows; ++r) part[r][p] = AddProducts(c[r], qp, part[r][p]);
      }
    }
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t p = 0; p < kPositions; ++p) sum[r][p] = Finish(part[r][p], sum[r][p]);
    }
  }
  HWY_ALIGN int32_t sums[kRows * kPositions * hn::MaxLanes(DI32())];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t p = 0; p < kPositions; ++p) {
      hn::Store(sum[r][p], DI32(), sums + (r * kPositions + p) * hn::MaxLanes(DI32()));
    }
  }
  StoreOutputs<kRows, kPositions>(w, x, row, position, sums, y);
}

template <size_t kPositions>
HWY_NOINLINE void StripTimes(const WeightMatrix& w, const Activations& x, const uint8_t* strip, size_t begin,
                             size_t end, size_t position, float* y) {
  constexpr size_t kRows = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
  size_t r = begin;
  for (; r + kRows <= end; r += kRows) {
    Tile<kRows, kPositions>(w, x, strip + (r - begin) * x.q_stride, r, position, y);
  }
  for (; r < end; ++r) Tile<1, kPositions>(w, x, strip + (r - begin) * x.q_stride, r, position, y);
}

void I2S(const WeightMatrix& w, const Activations& x, size_t begin, size_t end, float* y) {
  // As many positions as registers hold sums for, beside the codes of four or two rows.
  constexpr size_t kPositions = HWY_TARGET <= HWY_AVX3 ? 6 : 4;
  if (x.n < kPositions) {
    for (size_t p = 0; p < x.n; ++p) OnePosition(w, x, begin, end, p, y);
    return;
  }
  hwy::AlignedVector<uint8_t> strip(kStripRows * x.q_stride);
  for (size_t r = begin; r < end; r += kStripRows) {
    const size_t r_end = r + kStripRows < end ? r + kStripRows : end;
    UnpackStrip(w, r, r_end, x.q_stride, strip.data());
    size_t p = 0;
    for (; p + kPositions <= x.n; p += kPositions) StripTimes<kPositions>(w, x, strip.data(), r, r_end, p, y);
    for (; p + 2 <= x.n; p += 2) StripTimes<2>(w, x, strip.data(), r, r_end, p, y);
    for (; p < x.n; ++p) StripTimes<1>(w, x, strip.data(), r, r_end, p, y);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(I2S);

void I2SMatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder&, size_t row_begin,
                   size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(I2S)(w, x, row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
