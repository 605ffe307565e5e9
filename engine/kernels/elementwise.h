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

// out[i] = gelu(gate[i]) * up[i]; between -10 and 10 the gate is rounded to F16, and so is gelu of that, 0.5 x (1 +
// tanh(sqrt(2/pi) x fma(0.044715 x, x, 1))) with the C library's tanhf (ggml_vec_geglu_f32 in ggml's vec.h; the
// compiler fuses it so).
void GeluMul(const float* gate, const float* up, size_t n, float* out);

enum class Activation { kSilu, kSquaredRelu, kGelu };

// out[i] = activation(gate[i]) * up[i]: one of the above.
void GateMul(Activation activation, const float* gate, const float* up, size_t n, const ArithmeticOrder& order,
             float* out);

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
