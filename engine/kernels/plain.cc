// The primitives in plain loops, on the definitions.
#include <algorithm>

#include "engine/formats/half.h"
#include "engine/kernels/primitives.h"
#include "engine/kernels/scalar.h"

namespace bitnet {
namespace {

void Add(const float* a, const float* b, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void ToF16(const float* x, size_t n, uint16_t* out) {
  for (size_t i = 0; i < n; ++i) out[i] = F16FromF32(x[i]);
}

void RoundToF16(const float* x, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = F32FromF16(F16FromF32(x[i]));
}

void RoundToBf16(const float* x, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = F32FromBf16(Bf16FromF32(x[i]));
}

void RmsNormRows(const float* x, size_t n, size_t cols, const float* gamma, float eps, float* y) {
  for (size_t r = 0; r < n; ++r) scalar::RmsNormRow(x + r * cols, cols, gamma, eps, y + r * cols);
}

void Quantize(ActivationKind kind, const float* x, size_t cols, const QuantizedRow& row) {
  const scalar::Input in = scalar::Prepare(x, cols, kind);
  AssignRow(kind, in.q.data(), in.d.data(), cols, row);
}

void Dots(const uint16_t* w, size_t rows, size_t w_stride, const float* x, size_t cols, size_t x_stride, size_t n,
          const DotOrder& order, float* y, size_t y_stride) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) {
      y[c * y_stride + r] = scalar::DotF16(w + r * w_stride, x + c * x_stride, n, order);
    }
  }
}

// Rows of x in the order of the elements. `spread`: [n, cols], of rows that are interleaved.
std::vector<scalar::InputView> InputsOf(const Activations& x, std::vector<int8_t>& spread) {
  const bool interleaved = x.kind == ActivationKind::kI8Row || x.kind == ActivationKind::kI8RowRoundedOnce;
  if (interleaved) spread.resize(x.n * x.cols);
  std::vector<scalar::InputView> inputs(x.n);
  for (size_t p = 0; p < x.n; ++p) {
    if (!IsInt8(x.kind)) {
      inputs[p] = {.f32 = x.f32 + p * x.cols};
      continue;
    }
    const int8_t* q = x.q.data() + p * x.q_stride;
    if (interleaved) {
      int8_t* to = spread.data() + p * x.cols;
      for (size_t i = 0; i < x.cols; i += 32) std::copy_n(q + PlaceInI8Row(i), 32, to + i);
      q = to;
    }
    const size_t scales = x.d.size() / x.n, sums = x.scaled_sums.size() / x.n;
    inputs[p] = {
        .q = q, .d = x.d.data() + p * scales, .scaled_sums = sums == 0 ? nullptr : x.scaled_sums.data() + p * sums};
  }
  return inputs;
}

void ProductRows(const WeightMatrix& w, const Activations& x, const ArithmeticOrder& order, size_t row_begin,
                 size_t row_end, float* y) {
  std::vector<int8_t> spread;
  scalar::MatMulRows(w, InputsOf(x, spread), order, row_begin, row_end, y);
}

MatMulRows* ProductOf(TensorType type) { return HasMatMul(type) ? ProductRows : nullptr; }

}  // namespace

const Primitives kPlainPrimitives = {.silu_mul = scalar::SiluMul,
                                     .squared_relu_mul = scalar::SquaredReluMul,
                                     .add = Add,
                                     .to_f16 = ToF16,
                                     .round_to_f16 = RoundToF16,
                                     .round_to_bf16 = RoundToBf16,
                                     .rms_norm = RmsNormRows,
                                     .rope = scalar::Rope,
                                     .softmax = scalar::SoftmaxRow,
                                     .quantize = Quantize,
                                     .dots = Dots,
                                     .product = ProductOf};

}  // namespace bitnet
