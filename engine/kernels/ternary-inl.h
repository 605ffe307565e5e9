// What the products of ternary weights share: vectors of codes 0, 1, 2 and of int8, and their dot product.
#if defined(BITNET_PARITY_ENGINE_KERNELS_TERNARY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITNET_PARITY_ENGINE_KERNELS_TERNARY_INL_H_
#undef BITNET_PARITY_ENGINE_KERNELS_TERNARY_INL_H_
#else
#define BITNET_PARITY_ENGINE_KERNELS_TERNARY_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D8 = hn::CappedTag<uint8_t, 64>;
using DI8 = hn::RebindToSigned<D8>;
using DI32 = hn::Repartition<int32_t, D8>;
using DF32 = hn::RebindToFloat<DI32>;
using VU8 = hn::Vec<D8>;
using VI32 = hn::Vec<DI32>;
using VF32 = hn::Vec<DF32>;
constexpr size_t kVectorBytes = HWY_MAX_LANES_D(D8);

// Rows of a strip stay in cache while the positions pass.
constexpr size_t kStripRows = 32;

// With one position memory is the limit, and several short rows side by side are no stream that a CPU foresees: rows
// are asked for this many bytes ahead.
constexpr size_t kPrefetchBytes = 8192;

// Products of codes and int8, added up: with VNNI or ARM's dot product in 32 bits, else in 16, where codes up to 3 (a
// damaged file has that too) leave room for kRoom registers of products.
//
//   VSum sum = StartFrom(total);
//   ... at most kRoom times: sum = AddProducts(codes, q, sum);
//   total = Finish(sum, total);
#if HWY_TARGET <= HWY_AVX3_DL || HWY_TARGET == HWY_NEON_BF16
using VSum = VI32;
constexpr size_t kRoom = size_t{1} << 20;
HWY_INLINE VSum StartFrom(VI32 total) { return total; }
HWY_INLINE VI32 Finish(VSum sum, VI32) { return sum; }
HWY_INLINE VSum AddProducts(VU8 codes, VU8 q, VSum sum) {
  return hn::SumOfMulQuadAccumulate(DI32(), codes, hn::BitCast(DI8(), q), sum);
}
#else
using DI16 = hn::Repartition<int16_t, D8>;
using VSum = hn::Vec<DI16>;
constexpr size_t kRoom = 32767 / (2 * 3 * 128);  // pairs of products, each at most 3 * 128
HWY_INLINE VSum StartFrom(VI32) { return hn::Zero(DI16()); }
HWY_INLINE VI32 Finish(VSum sum, VI32 total) {
  return hn::Add(total, hn::WidenMulPairwiseAdd(DI32(), sum, hn::Set(DI16(), 1)));
}
HWY_INLINE VSum AddProducts(VU8 codes, VU8 q, VSum sum) {
  return hn::Add(sum, hn::SatWidenMulPairwiseAdd(DI16(), codes, hn::BitCast(DI8(), q)));
}
#endif

// Bits kBit, kBit + 1 of each byte.
template <int kBit>
HWY_INLINE VU8 TwoBits(VU8 bytes) {
  const hn::Repartition<uint16_t, D8> d16;
  const VU8 mask = hn::Set(D8(), 3);
  if constexpr (kBit == 0) return hn::And(bytes, mask);
  return hn::And(hn::BitCast(D8(), hn::ShiftRight<kBit>(hn::BitCast(d16, bytes))), mask);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#endif  // BITNET_PARITY_ENGINE_KERNELS_TERNARY_INL_H_
