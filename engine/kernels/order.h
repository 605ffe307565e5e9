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

#include <span>
#include <string_view>

namespace bitnet {

// A dot product: step of lanes * accumulators products, fused into `accumulators` vectors of `lanes` float32. Four
// accumulators are added as (0+2)+(1+3), then the lanes by halves (16, 8, 4, 2, 1); of two the lanes of each are added
// first, and the two sums in double. What is left of the row after the last whole step is multiplied in float32 and
// added one by one (F16 and BF16: in double, F32: in float32 as rounded_tail says).
struct DotOrder {
  int lanes;
  int accumulators;
  // The last four lanes are added as (0+1)+(2+3) where true, as (0+2)+(1+3) where false.
  bool adjacent_fold;
  // F32, what is left of the row: where true each product is rounded before it is added, as long as lanes / 2 of them
  // are left; the last ones, and where false all, are fused.
  bool rounded_tail = false;
  // Each step takes two neighbours into a lane, the second first, and subnormal numbers are zero on the way in and out:
  // the instruction vdpbf16ps.
  bool pairs = false;
  bool operator==(const DotOrder&) const = default;
};

struct ArithmeticOrder {
  std::string_view name;
  std::string_view description;
  int lanes;             // of exp, softmax and SiLU: 16 (AVX-512) or 8 (AVX2)
  DotOrder single;       // F32 and F16 rows with one position
  DotOrder batch;        // ... with two positions and more, where the width is a multiple of its step
  DotOrder bf16_single;  // the same for BF16 rows
  DotOrder bf16_batch;
  int batch_rows;           // a batch whose number of weight rows is no multiple of this takes the one-position way
  bool round_batch_to_f16;  // F16 rows in a batch: is the float32 side rounded to F16? (one position: always)
  bool scores_as_single;    // scores in a batch take the one-position way
  bool q6_k_offset_apart;   // Q6_K: see MatMul
  bool tq_rounds_products;  // TQ1_0, TQ2_0: a block's sums times its scale are rounded, then added to the lanes; not
                            // fused
  bool repacks_q4;          // Q4_0, Q4_K: see IsRepacked
  bool repacks_q2_k;        // Q2_K
  bool i8_rounds_once;      // I2_S activations: x * s is rounded to an integer at once, not to float32 before
  int kv_padding;           // the attention row is as long as the cells in use, rounded up to this many
};

// By the name of an order in order.cc ("llama.cpp-avx512"); throws and lists them otherwise.
const ArithmeticOrder& FindOrder(std::string_view name);
std::span<const ArithmeticOrder> AllOrders();

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_ORDER_H_
