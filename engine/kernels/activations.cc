#include "engine/kernels/activations.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "engine/formats/half.h"
#include "engine/kernels/counts.h"
#include "engine/kernels/primitives.h"

namespace bitnet {

void Activations::Resize(ActivationKind k, size_t n_rows, size_t n_cols) {
  struct Shape {
    const char* name;
    size_t block, q_multiple, scales, sums;  // scales, sums: of a row
  };
  const Shape shape = [&]() -> Shape {
    switch (k) {
      case ActivationKind::kQ80:
      case ActivationKind::kQ80Inverted:
        return {"Q8_0", 32, 32, n_cols / 32, 0};
      case ActivationKind::kQ81:
        return {"Q8_1", 32, 32, n_cols / 32, 0};
      case ActivationKind::kQ8K:
        return {"Q8_K", 256, 256, n_cols / 256, n_cols / 32};
      case ActivationKind::kI8Row:
      case ActivationKind::kI8RowRoundedOnce:
        return {"I2_S", 128, 256, 1, 1};
      default:
        throw std::logic_error("activations of this kind are not quantized");
    }
  }();
  if (n_cols % shape.block != 0) {
    throw std::runtime_error(fmt::format("{}: width {} is no multiple of {}", shape.name, n_cols, shape.block));
  }
  kind = k;
  n = n_rows;
  cols = n_cols;
  q_stride = (cols + shape.q_multiple - 1) / shape.q_multiple * shape.q_multiple;
  q.resize(n * q_stride);
  d.resize(n * shape.scales);
  sums.resize(n * shape.sums);
  scaled_sums.resize(kind == ActivationKind::kQ81 ? d.size() : 0);
}

QuantizedRow Activations::Row(size_t r) {
  return {q.data() + r * q_stride, q_stride, d.data() + r * (d.size() / n), sums.data() + r * (sums.size() / n),
          scaled_sums.data() + r * (scaled_sums.size() / n)};
}

void Activations::Prepare(const float* x, size_t n_rows, size_t n_cols, ActivationKind k, ThreadPool& pool) {
  static KernelCounter counter("activations");
  // No vectors round in that way.
  const Primitives& run = k == ActivationKind::kQ80Inverted ? kPlainPrimitives : AnyPrimitives();
  counter.Add(run);
  const auto for_rows = [&](const auto& rows) { ParallelRanges(pool, n_rows, 1, n_cols * kElementWork, rows); };
  if (k == ActivationKind::kF32) {
    f32 = x;
  } else if (k == ActivationKind::kF16 || k == ActivationKind::kBF16) {
    rounded_.resize(n_rows * n_cols);
    const auto round = k == ActivationKind::kF16 ? run.round_to_f16 : run.round_to_bf16;
    for_rows([&](size_t begin, size_t end) {
      const size_t at = begin * n_cols;
      round(x + at, (end - begin) * n_cols, rounded_.data() + at);
    });
    f32 = rounded_.data();
  } else {
    Resize(k, n_rows, n_cols);
    for_rows([&](size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) run.quantize(k, x + r * cols, cols, Row(r));
    });
  }
  kind = k;
  n = n_rows;
  cols = n_cols;
}

void Activations::Assign(ActivationKind k, size_t n_rows, size_t n_cols, const int8_t* values, const float* scales) {
  Resize(k, n_rows, n_cols);
  const size_t of_a_row = d.size() / n;
  for (size_t r = 0; r < n; ++r) AssignRow(k, values + r * cols, scales + r * of_a_row, cols, Row(r));
}

void AssignRow(ActivationKind kind, const int8_t* q, const float* d, size_t cols, const QuantizedRow& row) {
  const auto round = [](float v) { return F32FromF16(F16FromF32(v)); };
  if (kind == ActivationKind::kI8Row || kind == ActivationKind::kI8RowRoundedOnce) {
    std::fill_n(row.q, row.q_stride, int8_t{0});
    for (size_t i = 0; i < cols; i += 32) std::copy_n(q + i, 32, row.q + PlaceInI8Row(i));
    *row.sums = std::accumulate(q, q + cols, 0);
    *row.d = *d;
    return;
  }
  std::copy_n(q, cols, row.q);
  if (kind == ActivationKind::kQ8K) {
    std::copy_n(d, cols / 256, row.d);
    for (size_t i = 0; i < cols / 32; ++i) row.sums[i] = -std::accumulate(q + i * 32, q + i * 32 + 32, 0);
    return;
  }
  std::copy_n(d, cols / 32, row.d);
  if (kind != ActivationKind::kQ81) return;
  for (size_t b = 0; b < cols / 32; ++b) {
    row.scaled_sums[b] = round(d[b] * static_cast<float>(std::accumulate(q + b * 32, q + b * 32 + 32, 0)));
    row.d[b] = round(d[b]);
  }
}

}  // namespace bitnet
