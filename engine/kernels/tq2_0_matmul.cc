// TQ2_0 weights with Q8_K activations; see ternary_q8k-inl.h.
#include "engine/formats/tq2_0.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/tq2_0_matmul.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h: compiled once a target.
#include "engine/kernels/ternary_q8k-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

struct Tq20 {
  static constexpr size_t kBlockBytes = sizeof(BlockTQ2_0);
  static constexpr size_t kScaleAt = offsetof(BlockTQ2_0, d);
  static HWY_INLINE void Unpack(const uint8_t* a, const uint8_t* b, size_t half, VU8 (&codes)[8]) {
    for (size_t i = 0; i < 2; ++i) {
      const VU8 bytes = LoadRows32(a + 32 * i, b + 32 * i, half);
      codes[4 * i + 0] = TwoBits<0>(bytes);
      codes[4 * i + 1] = TwoBits<2>(bytes);
      codes[4 * i + 2] = TwoBits<4>(bytes);
      codes[4 * i + 3] = TwoBits<6>(bytes);
    }
  }
};

void Tq20Rows(const WeightMatrix& w, const Activations& x, bool rounds, size_t begin, size_t end, float* y) {
  TernaryQ8KRows<Tq20>(w, x, rounds, begin, end, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {

HWY_EXPORT(Tq20Rows);

void TQ20MatMulRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                    size_t row_end, float* y) {
  HWY_DYNAMIC_DISPATCH(Tq20Rows)(w, x, order.tq_rounds_products, row_begin, row_end, y);
}

}  // namespace bitnet
#endif  // HWY_ONCE
