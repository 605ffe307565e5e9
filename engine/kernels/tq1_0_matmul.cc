// TQ1_0 weights with Q8_K activations; see ternary_q8k-inl.h.
#include "engine/formats/tq1_0.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/tq1_0_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h: compiled once a target.
#include "engine/kernels/ternary_q8k-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

// A byte is a fraction; its next digit is the integer part of three times it.
struct Tq10 {
  static constexpr size_t kBlockBytes = sizeof(BlockTQ1_0);
  static constexpr size_t kScaleAt = offsetof(BlockTQ1_0, d);

  // floor(3 * fraction / 256)
  static HWY_INLINE VU8 Digit(VU8 fraction) {
    const VU8 one = hn::Set(D8(), 1);
    return hn::Add(hn::Min(hn::SaturatedSub(fraction, hn::Set(D8(), 85)), one),
                   hn::Min(hn::SaturatedSub(fraction, hn::Set(D8(), 170)), one));
  }
  static HWY_INLINE VU8 TimesThree(VU8 v) { return hn::Add(hn::Add(v, v), v); }
  static HWY_INLINE VU8 TimesBytes(VU8 v, VU8 factors) {
    const hn::Repartition<uint16_t, D8> d16;
    const auto low = hn::Set(d16, 0x00ff);
    const auto v16 = hn::BitCast(d16, v), f16 = hn::BitCast(d16, factors);
    const auto even = hn::And(hn::Mul(v16, f16), low);
    const auto odd = hn::ShiftLeft<8>(hn::Mul(hn::ShiftRight<8>(v16), hn::ShiftRight<8>(f16)));
    return hn::BitCast(D8(), hn::Or(even, odd));
  }

  // Both, or with NEON one of them.
  static HWY_INLINE hn::Vec<D256> TwoHalves(hn::Vec<D128> low, hn::Vec<D128> high, size_t half) {
#if HWY_MAX_BYTES >= 32
    (void)half;
    return hn::Combine(D256(), high, low);
#else
    return half == 0 ? low : high;
#endif
  }
  static HWY_INLINE hn::Vec<D128> Repeat4(const uint8_t* p) {
    uint32_t four;
    std::memcpy(&four, p, 4);
    return hn::BitCast(D128(), hn::Set(hn::Repartition<uint32_t, D128>(), four));
  }

  static HWY_INLINE void Unpack(const uint8_t* a, const uint8_t* b, size_t half, VU8 (&codes)[8]) {
    alignas(32) static constexpr uint8_t kDigits01[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                          3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3};
    alignas(32) static constexpr uint8_t kDigit4AndLast[32] = {81, 81, 81, 81, 81, 81, 81, 81, 81, 81, 81,
                                                               81, 81, 81, 81, 81, 1,  1,  1,  1,  3,  3,
                                                               3,  3,  9,  9,  9,  9,  27, 27, 27, 27};
    VU8 first = LoadRows32(a, b, half);
    for (size_t k = 0; k < 5; ++k) {
      codes[k] = Digit(first);
      first = TimesThree(first);
    }
    const D128 d;
    const auto a16 = hn::LoadU(d, a + 32), b16 = hn::LoadU(d, b + 32);
    const VU8 two =
        TimesBytes(RowsFrom(TwoHalves(a16, a16, half), TwoHalves(b16, b16, half)), Repeat32(kDigits01, half));
    codes[5] = Digit(two);
    codes[6] = Digit(TimesThree(TimesThree(two)));
    const VU8 rest = RowsFrom(TwoHalves(a16, Repeat4(a + 48), half), TwoHalves(b16, Repeat4(b + 48), half));
    codes[7] = Digit(TimesBytes(rest, Repeat32(kDigit4AndLast, half)));
  }
};

void Tq10Rows(const WeightMatrix& w, const Activations& x, bool rounds, size_t begin, size_t end, float* y) {
  TernaryQ8KRows<Tq10>(w, x, rounds, begin, end, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(Tq10Rows);

void TQ10MatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                    size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(Tq10Rows)(w, x, order.tq_rounds_products, row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
