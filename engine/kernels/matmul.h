// y[n, rows] = x[n, cols] . W[rows, cols]^T, for every weight format, in the order of operations of the reference.
#ifndef BITNET_PARITY_ENGINE_KERNELS_MATMUL_H_
#define BITNET_PARITY_ENGINE_KERNELS_MATMUL_H_

#include <cstddef>
#include <cstdint>

#include "engine/formats/format.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/order.h"
#include "engine/kernels/thread_pool.h"

namespace bitnet {

// A view into a file: [rows, cols], cols contiguous.
struct WeightMatrix {
  TensorType type = TensorType::kF32;
  size_t rows = 0;
  size_t cols = 0;
  const std::byte* data = nullptr;
  float scale = 1.0f;      // of the whole tensor, where the format has one behind its rows (I2_S)
  bool looked_up = false;  // rows are embeddings too
  // From tensors beside it, `<name>.scale` and `<name>.bias`: the product is multiplied by the one, then the other is
  // added to it, each rounded on its own.
  float side_scale = 1.0f;
  const float* bias = nullptr;  // [rows]

  bool operator==(const WeightMatrix&) const = default;
};

// The order of a product with F32, F16 or BF16 weights.
const DotOrder& DotOrderFor(const WeightMatrix& w, size_t n, const ArithmeticOrder& order);

// The form in which the references multiply `n` rows with these weights: the format's, as the order changes it.
ActivationKind ActivationKindFor(const WeightMatrix& w, size_t n, const ArithmeticOrder& order);

// Whether there is a product with weights of this type.
bool HasMatMul(TensorType type);

// Whether the reference lays these weights out anew when it loads them, eight rows side by side, and then adds in
// another order: where it multiplies, not where it looks up embeddings.
bool IsRepacked(const WeightMatrix& w, const ArithmeticOrder& order);

// `x` must have been prepared with ActivationKindFor(w, n, order). y: [n, rows]. What is added in which order is
// said at the top of each x_matmul.cc.
void MatMul(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, float* y, ThreadPool& pool);

// One row of W as float32, out: [cols] (the embedding of a token).
void WeightRow(const WeightMatrix& w, size_t row, float* out);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_MATMUL_H_
