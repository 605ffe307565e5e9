#include <algorithm>
#include <cmath>

#include "engine/formats/half.h"
#include "engine/kernels/scalar.h"

namespace bitnet::scalar {

namespace {

// What is no number is 0.
int8_t Int8Of(float v) { return static_cast<int8_t>(std::isnan(v) ? 0.0f : std::clamp(v, -128.0f, 127.0f)); }

void QuantizeBlocksOf32(const float* x, size_t cols, bool inverts, int8_t* q, float* d) {
  for (size_t b = 0; b < cols / 32; ++b, x += 32, q += 32) {
    float amax = 0;
    for (size_t i = 0; i < 32; ++i) amax = std::max(amax, std::fabs(x[i]));
    d[b] = amax / 127.0f;
    const float scale = inverts ? 1.0f / d[b] : 127.0f / amax;
    for (size_t i = 0; i < 32; ++i) q[i] = std::isinf(scale) ? int8_t{0} : Int8Of(std::nearbyint(x[i] * scale));
  }
}

}  // namespace

void QuantizeQ81(const float* x, size_t cols, int8_t* q, float* d) { QuantizeBlocksOf32(x, cols, false, q, d); }

void QuantizeQ80(const float* x, size_t cols, int8_t* q, float* d, bool inverts) {
  QuantizeBlocksOf32(x, cols, inverts, q, d);
  for (size_t b = 0; b < cols / 32; ++b) d[b] = F32FromF16(F16FromF32(d[b]));
}

void QuantizeQ8K(const float* x, size_t cols, int8_t* q, float* d) {
  for (size_t b = 0; b < cols / 256; ++b) {
    float amax = 0;
    float m = 0;
    for (size_t i = 0; i < 256; ++i) {
      const float a = std::fabs(x[b * 256 + i]);
      if (a > amax) {
        amax = a;
        m = x[b * 256 + i];
      }
    }
    const bool is_zero = amax == 0 || std::isinf(-127.0f / m);
    const float iscale = is_zero ? 0.0f : -127.0f / m;
    for (size_t i = 0; i < 256; ++i) {
      q[b * 256 + i] = Int8Of(std::nearbyint(iscale * x[b * 256 + i]));
    }
    d[b] = is_zero ? 0.0f : 1.0f / iscale;
  }
}

float QuantizeI8Row(const float* x, size_t cols, int8_t* q, bool once) {
  double amax = 0.00001;
  for (size_t i = 0; i < cols; ++i) amax = std::max(amax, static_cast<double>(std::fabs(x[i])));
  const float s = static_cast<float>(127.0 / amax);
  for (size_t i = 0; i < cols; ++i) {
    const float rounded = once ? std::fma(x[i], s, 0x1.8p23f) - 0x1.8p23f : std::nearbyint(x[i] * s);
    q[i] = Int8Of(rounded);
  }
  return s;
}

Input Prepare(const float* x, size_t cols, ActivationKind kind) {
  Input in;
  if (IsInt8(kind)) {
    in.q.resize(cols);
  } else {
    in.f32.assign(x, x + cols);
  }
  switch (kind) {
    case ActivationKind::kF32:
      break;
    case ActivationKind::kF16:
      for (float& v : in.f32) v = F32FromF16(F16FromF32(v));
      break;
    case ActivationKind::kBF16:
      for (float& v : in.f32) v = F32FromBf16(Bf16FromF32(v));
      break;
    case ActivationKind::kQ80:
    case ActivationKind::kQ80Inverted:
      in.d.resize(cols / 32);
      QuantizeQ80(x, cols, in.q.data(), in.d.data(), kind == ActivationKind::kQ80Inverted);
      break;
    case ActivationKind::kQ81:
      in.d.resize(cols / 32);
      QuantizeQ81(x, cols, in.q.data(), in.d.data());
      break;
    case ActivationKind::kQ8K:
      in.d.resize(cols / 256);
      QuantizeQ8K(x, cols, in.q.data(), in.d.data());
      break;
    case ActivationKind::kI8Row:
    case ActivationKind::kI8RowRoundedOnce:
      in.d = {QuantizeI8Row(x, cols, in.q.data(), kind == ActivationKind::kI8RowRoundedOnce)};
      break;
  }
  return in;
}

}  // namespace bitnet::scalar
