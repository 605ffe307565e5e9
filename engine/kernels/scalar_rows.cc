#include <bit>
#include <cmath>
#include <limits>

#include "engine/formats/half.h"
#include "engine/kernels/scalar.h"

namespace bitnet::scalar {

float FoldLanes(float* lane, size_t lanes, bool adjacent) {
  for (size_t half = lanes / 2; half >= 4; half /= 2) {
    for (size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return adjacent ? (lane[0] + lane[1]) + (lane[2] + lane[3]) : (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

float Exp(float x, int lanes) {
  const float r = 0x1.8p23f;
  const float z = std::fma(x, 0x1.715476p+0f, r);
  const float n = z - r;
  const float b = std::fma(-n, 0x1.7f7d1cp-20f, std::fma(-n, 0x1.62e4p-1f, x));
  const float u = b * b;
  const float hi = std::fma(0x1.0e4020p-7f, b, 0x1.573e2ep-5f);
  const float lo = std::fma(0x1.555e66p-3f, b, 0x1.fffdb6p-2f);
  if (lanes == 16) {
    if (std::fabs(n) > 192) return n <= 0 ? 0.0f : std::numeric_limits<float>::infinity();
    const float j = std::fma(std::fma(hi, u, lo), u, std::fma(0x1.ffffecp-1f, b, 1.0f));
    return std::isnan(j) ? j : std::ldexp(j, static_cast<int>(n));
  }
  const float j = std::fma(std::fma(hi, u, lo), u, 0x1.ffffecp-1f * b);
  const uint32_t e = std::bit_cast<uint32_t>(z) << 23;
  const float k = std::bit_cast<float>(e + 0x3f800000u);
  const uint32_t g = n <= 0 ? 0x82000000u : 0u;
  const float s1 = std::bit_cast<float>(g + 0x7f000000u);
  const float s2 = std::bit_cast<float>(e - g);
  if (std::fabs(n) > 192) return s1 * s1;
  if (std::fabs(n) > 126) return std::fma(s2, j, s2) * s1;
  return std::fma(j, k, k);
}

void SiluMul(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out) {
  const size_t whole = n - n % order.lanes;
  for (size_t i = 0; i < n; ++i) {
    const float e = i < whole ? Exp(0.0f - gate[i], order.lanes) : std::exp(-gate[i]);
    out[i] = gate[i] / (1.0f + e) * up[i];
  }
}

void SquaredReluMul(const float* gate, const float* up, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) {
    const float r = gate[i] > 0 ? gate[i] : 0.0f;
    out[i] = r * r * up[i];
  }
}

void GeluMul(const float* gate, const float* up, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) {
    const float x = F32FromF16(F16FromF32(gate[i]));
    const float t = std::tanh(0x1.988454p-1f * x * std::fma(0x1.6e4e26p-5f * x, x, 1.0f));
    const float gelu = F32FromF16(F16FromF32(0.5f * x * (1.0f + t)));
    out[i] = gate[i] <= -10 ? 0.0f : (gate[i] >= 10 ? gate[i] : gelu) * up[i];
  }
}

void RmsNormRow(const float* x, size_t cols, const float* gamma, float eps, float* y) {
  double sum = 0;
  for (size_t i = 0; i < cols; ++i) sum += static_cast<double>(x[i] * x[i]);
  const float mean = static_cast<float>(sum / static_cast<double>(cols));
  const float scale = 1.0f / std::sqrt(mean + eps);
  for (size_t i = 0; i < cols; ++i) y[i] = x[i] * scale * gamma[i];
}

void Rope(float* x, size_t n_heads, size_t head_dim, size_t n_rot, const RopeAngles& angles, RopeLayout layout) {
  const size_t half = n_rot / 2;
  for (size_t h = 0; h < n_heads; ++h) {
    float* head = x + h * head_dim;
    for (size_t i = 0; i < half; ++i) {
      float& first = head[layout == RopeLayout::kNeox ? i : 2 * i];
      float& second = head[layout == RopeLayout::kNeox ? i + half : 2 * i + 1];
      const float x0 = first;
      const float x1 = second;
      first = std::fma(x0, angles.cos[i], -(x1 * angles.sin[i]));
      second = std::fma(x0, angles.sin[i], x1 * angles.cos[i]);
    }
  }
}

}  // namespace bitnet::scalar
