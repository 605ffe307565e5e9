// Operations on single elements: gated activations, residual additions, rounding to F16.
#ifndef BITNET_PARITY_ENGINE_KERNELS_ELEMENTWISE_H_
#define BITNET_PARITY_ENGINE_KERNELS_ELEMENTWISE_H_

#include <cstddef>
#include <cstdint>

#include "engine/kernels/order.h"

namespace bitnet {

// out[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + exp(-x)) (ggml_vec_swiglu_f32 in ggml's vec.cpp). The last n %
// order.lanes elements take the C library's expf, as there.
void SiluMul(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out);

// out[i] = relu(gate[i])^2 * up[i], the square rounded first (LLM_FFN_RELU_SQR of bitnet.cpp).
void SquaredReluMul(const float* gate, const float* up, size_t n, float* out);

// out[i] = a[i] + b[i]
void AddRows(const float* a, const float* b, size_t n, float* out);

// Rounds to F16 (to nearest, ties to even).
void RoundToF16(const float* x, size_t n, uint16_t* out);
void RoundToF16(const float* x, size_t n, float* out);

// The largest error of Exp where its result is a normal number, in units of the last place. Measured over every seventh
// float32: 2.22 with 16 lanes, 1.93 with 8.
inline constexpr double kExpMaxUlp = 2.25;

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_ELEMENTWISE_H_
