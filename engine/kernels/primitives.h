// What the kernels are made of, twice: in vectors, on Highway, and in plain loops. Both give the bits that scalar.h
// defines. A build without Highway (PARITY_NATIVE=OFF) has the plain ones alone, and they run on a CPU that lacks what
// the vectors need, and for an order that the vectors do not follow.
//
//   const Primitives& run = PrimitivesFor(order);
//   run.softmax(row, n, scale, order);
#ifndef BITNET_PARITY_ENGINE_KERNELS_PRIMITIVES_H_
#define BITNET_PARITY_ENGINE_KERNELS_PRIMITIVES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/kernels/matmul.h"
#include "engine/kernels/order.h"
#include "engine/kernels/rope.h"

namespace bitnet {

// Rows [row_begin, row_end) of W against all positions of x; what stands behind the product (side scale, bias) is left
// to the caller.
using MatMulRows = void(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                        size_t row_end, float* y);

struct Primitives {
  // Elements.
  void (*silu_mul)(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out);
  void (*squared_relu_mul)(const float* gate, const float* up, size_t n, float* out);
  void (*add)(const float* a, const float* b, size_t n, float* out);
  void (*to_f16)(const float* x, size_t n, uint16_t* out);
  void (*round_to_f16)(const float* x, size_t n, float* out);
  void (*round_to_bf16)(const float* x, size_t n, float* out);
  // Rows.
  void (*rms_norm)(const float* x, size_t n, size_t cols, const float* gamma, float eps, float* y);
  void (*rope)(float* x, size_t n_heads, size_t head_dim, size_t n_rot, const RopeAngles& angles, RopeLayout layout);
  // x has room for a whole number of order.lanes.
  void (*softmax)(float* x, size_t n, float scale, const ArithmeticOrder& order);
  // One row in one of the int8 kinds.
  void (*quantize)(ActivationKind kind, const float* x, size_t cols, const QuantizedRow& row);
  // y[c, r] = row r of w (F16) times row c of x.
  void (*dots)(const uint16_t* w, size_t rows, size_t w_stride, const float* x, size_t cols, size_t x_stride, size_t n,
               const DotOrder& order, float* y, size_t y_stride);
  // nullptr: there is no product with weights of this type.
  MatMulRows* (*product)(TensorType type);
};

extern const Primitives kPlainPrimitives;

// In vectors.cc, or where Highway is not to be had in no_vectors.cc.

// nullptr: this build has none, or none that this CPU runs.
const Primitives* VectorPrimitives();
// Names of the instruction sets that were compiled and that this CPU has, the best first; and the one that is used.
std::vector<std::string> VectorTargets();
std::string VectorTarget();
// Binds the vectors to one of these; "": to the best.
void BindVectorTarget(const std::string& name);

// What runs in an order; and for an operation that is the same in every order.
const Primitives& PrimitivesFor(const ArithmeticOrder& order);
const Primitives& AnyPrimitives();

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_PRIMITIVES_H_
