#include "engine/kernels/elementwise.h"

#include <cmath>
#include <vector>

#include "engine/formats/half.h"
#include "engine/kernels/counts.h"
#include "engine/kernels/primitives.h"

namespace bitnet {

void SiluMul(const float* gate, const float* up, size_t n, const ArithmeticOrder& order, float* out) {
  PrimitivesFor(order).silu_mul(gate, up, n, order, out);
}

void SquaredReluMul(const float* gate, const float* up, size_t n, float* out) {
  AnyPrimitives().squared_relu_mul(gate, up, n, out);
}

namespace {

// gelu of every F16 number.
std::vector<float> MakeGeluTable() {
  constexpr float kCubic = 0.044715f, kRoot = 0.79788456080286535587989211986876f;  // sqrt(2/pi)
  std::vector<float> table(size_t{1} << 16);
  for (size_t bits = 0; bits < table.size(); ++bits) {
    const float x = F32FromF16(static_cast<uint16_t>(bits));
    const float y = 0.5f * x * (1.0f + std::tanh(kRoot * x * std::fma(kCubic * x, x, 1.0f)));
    table[bits] = F32FromF16(F16FromF32(y));
  }
  return table;
}

}  // namespace

void GeluMul(const float* gate, const float* up, size_t n, float* out) {
  static const std::vector<float> table = MakeGeluTable();
  std::vector<uint16_t> rounded(n);
  RoundToF16(gate, n, rounded.data());
  for (size_t i = 0; i < n; ++i) {
    const float x = gate[i];
    out[i] = x <= -10.0f ? 0.0f : (x >= 10.0f ? x : table[rounded[i]]) * up[i];
  }
}

void GateMul(Activation activation, const float* gate, const float* up, size_t n, const ArithmeticOrder& order,
             float* out) {
  static KernelCounter counter("gate");
  counter.Add(PrimitivesFor(order));
  switch (activation) {
    case Activation::kSilu:
      return SiluMul(gate, up, n, order, out);
    case Activation::kSquaredRelu:
      return SquaredReluMul(gate, up, n, out);
    case Activation::kGelu:
      return GeluMul(gate, up, n, out);
  }
}

void AddRows(const float* a, const float* b, size_t n, float* out) {
  static KernelCounter counter("add");
  const Primitives& run = AnyPrimitives();
  counter.Add(run);
  run.add(a, b, n, out);
}

void RoundToF16(const float* x, size_t n, uint16_t* out) { AnyPrimitives().to_f16(x, n, out); }
void RoundToF16(const float* x, size_t n, float* out) { AnyPrimitives().round_to_f16(x, n, out); }

}  // namespace bitnet
