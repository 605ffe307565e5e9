// Named orders of operations.
//
// A float sum depends on the order in which it is added up, and the references were compiled for particular vectors. An
// ArithmeticOrder says what a reference's build does where that shows in a bit; the kernels take it as a parameter.
//
//   const ArithmeticOrder& order = FindOrder("llama.cpp-avx512");
//   MatMul(weights, activations, order, y, pool);
//
// Sources: ggml's vec.cpp (dot products, softmax, SiLU), simd-mappings.h (lanes, how accumulators are added up) and
// llamafile/sgemm.cpp (batches).
#ifndef BITNET_PARITY_ENGINE_KERNELS_ORDER_H_
#define BITNET_PARITY_ENGINE_KERNELS_ORDER_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "engine/formats/format.h"

namespace bitnet {

// A dot product: step of lanes * accumulators products, fused into `accumulators` vectors of `lanes` float32. Four
// accumulators are added as (0+2)+(1+3), then the lanes by halves (16, 8, 4, 2, 1); of two the lanes of each are added
// first, and the two sums in double; one is folded by itself. With none the whole row is what is left. What is left of
// the row after the last whole step is multiplied in float32 and added one by one (F16 and BF16: in double, F32: in
// float32 as rounded_tail says).
struct DotOrder {
  int lanes = 0;
  int accumulators = 0;
  // The last four lanes are added as (0+1)+(2+3) where true, as (0+2)+(1+3) where false.
  bool adjacent_fold = false;
  // F32, what is left of the row: where true each product is rounded before it is added, as long as lanes / 2 of them
  // are left; the last ones, and where false all, are fused.
  bool rounded_tail = false;
  // Each step takes two neighbours into a lane, the second first, and subnormal numbers are zero on the way in and out:
  // the instruction vdpbf16ps.
  bool pairs = false;
  // The lanes hold F16: each product is fused into one and rounded to F16, and the accumulators are added in it; the
  // lanes of their sum are float32 again.
  bool f16_sums = false;
  bool operator==(const DotOrder&) const = default;
};

// The weights of a product that has no integers in it; keys and values are F16.
enum class FloatRows { kF32, kF16, kBF16 };

// Where the eight bytes-by-fours of 32 products of Q8_0 are added.
enum class Q80Lanes {
  kEight,        // lane l takes bytes 4l .. 4l+3 of each block
  kNeon,         // four lanes, twice, by turns of blocks; lane l takes bytes 2l, 2l+1, 2l+8, 2l+9 of each 16
  kNeonDotProd,  // the same, with bytes 4l .. 4l+3 of each 16
};

struct ArithmeticOrder {
  std::string_view name;
  std::string_view description;
  int lanes;             // of exp, softmax and SiLU: 16 (AVX-512), 8 (AVX2) or 4 (NEON, which adds neighbours first)
  DotOrder single;       // F32 and F16 rows with one position
  DotOrder batch;        // ... of a batch (f32_batch_from, f16_batch_from), where the width is a multiple of its step
  DotOrder bf16_single;  // the same for BF16 rows
  DotOrder bf16_batch;
  int batch_rows;           // a batch whose number of weight rows is no multiple of this takes the one-position way
  bool round_batch_to_f16;  // F16 rows in a batch: is the float32 side rounded to F16? (elsewhere: always)
  bool scores_as_single;    // scores in a batch take the one-position way
  bool q6_k_offset_apart;   // Q6_K: see MatMul
  bool tq_rounds_products;  // TQ1_0, TQ2_0: a block's sums times its scale are rounded, then added to the lanes; not
                            // fused
  bool repacks_q4;          // Q4_0, Q4_K: see IsRepacked
  bool repacks_q2_k;        // Q2_K
  bool i8_rounds_once;      // I2_S activations: x * s is rounded to an integer at once, not to float32 before
  int kv_padding;           // the attention row is as long as the cells in use, rounded up to this many
  // What only ARM does otherwise.
  DotOrder f16_single = {};  // F16 rows; no lanes: as `single` and `batch`
  DotOrder f16_batch = {};
  int f32_batch_from = 2;        // so many positions are a batch for F32 rows
  int f16_batch_from = 2;        // ... for F16 rows
  bool one_sum_a_block = false;  // TQ1_0, TQ2_0, Q6_K: y = fma(float32(sum of a block), d_q * d_w, y)
  Q80Lanes q8_0_lanes = Q80Lanes::kEight;
  bool q8_0_inverts = false;               // activations as Q8_0: x * (1 / d), not x * (127 / max|x|)
  bool repacks_q8_0 = false;               // see IsRepacked; four rows side by side
  bool repacks_q6_k = false;               // the same; y = y + float32(sum of a block) * (d_q * d_w), rounded twice
  bool q8_0_batch = false;                 // a batch of Q8_0 adds every block into the same four lanes
  bool has_vectors = true;                 // false: plain loops follow it, and no kernel in vectors does
  std::span<const TensorType> types = {};  // the weights whose products it knows; none: all that there are
};

// Whether the order says how a product with weights of this type is added up.
bool Knows(const ArithmeticOrder& order, TensorType type);

// Whether a product of `n` positions with `rows` rows of `cols` elements is a batch's; and its order.
bool IsBatch(const ArithmeticOrder& order, FloatRows type, size_t n, size_t cols, size_t rows);
const DotOrder& DotOrderOf(const ArithmeticOrder& order, FloatRows type, size_t n, size_t cols, size_t rows);

// By the name of an order in order.cc ("llama.cpp-avx512"); throws and lists them otherwise.
const ArithmeticOrder& FindOrder(std::string_view name);
std::span<const ArithmeticOrder> AllOrders();

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_ORDER_H_
