// RMSNorm: y = x / sqrt(mean(x^2) + eps) * gamma.
#ifndef BITNET_PARITY_ENGINE_KERNELS_RMS_NORM_H_
#define BITNET_PARITY_ENGINE_KERNELS_RMS_NORM_H_

#include <cstddef>

#include "engine/kernels/thread_pool.h"

namespace bitnet {

// x, y: [n, cols] (may be the same); gamma: [cols]. Each square is rounded to float32, the squares are added in double
// from left to right; x * scale is rounded before it is multiplied by gamma (ggml_compute_forward_rms_norm_f32 in
// ggml's ops.cpp).
void RmsNorm(const float* x, size_t n, size_t cols, const float* gamma, float eps, float* y, ThreadPool& pool);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_RMS_NORM_H_
