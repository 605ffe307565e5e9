#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "engine/gguf/quants.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/rms_norm.h"
#include "engine/kernels/rope.h"
#include "parity_tests/oracle/arithmetic.h"
#include "parity_tests/oracle/quantize.h"
#include "parity_tests/oracle/ternary.h"

namespace parity {
namespace {

using bitnet::ActivationKind;
using bitnet::DotOrder;
using bitnet::TensorType;

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

float RoundedToF16(float x) { return bitnet::F32FromF16(bitnet::F16FromF32(x)); }
float RoundedToBf16(float x) { return bitnet::F32FromBf16(bitnet::Bf16FromF32(x)); }

template <typename T>
T At(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

Int8Rows Quantize(ActivationKind kind, const Values& x, size_t n, size_t cols) {
  const size_t blocks = cols / ScaleGroup(kind, cols);
  Int8Rows rows{std::vector<int8_t>(x.size()), Values(n * blocks)};
  for (size_t i = 0; i < n; ++i) {
    const float* row = x.data() + i * cols;
    int8_t* q = rows.q.data() + i * cols;
    float* d = rows.d.data() + i * blocks;
    switch (kind) {
      case ActivationKind::kQ80:
        bitnet::scalar::QuantizeQ80(row, cols, q, d);
        break;
      case ActivationKind::kQ8K:
        bitnet::scalar::QuantizeQ8K(row, cols, q, d);
        break;
      default:
        *d = bitnet::scalar::QuantizeI8Row(row, cols, q, kind == ActivationKind::kI8RowRoundedOnce);
    }
  }
  return rows;
}

// As bitnet::scalar::DotTernaryQ8K, the 32 columns of each chunk side by side; minus_sums: [cols/32].
float DotQ8K(const uint8_t* codes, const float* d_w, const int8_t* q, const float* d, const int32_t* minus_sums,
             size_t cols, bool rounds_products) {
  float lane[8] = {};
  for (size_t b = 0; b < cols / 256; ++b) {
    int32_t column[32] = {};
    for (size_t i = 0; i < 256; i += 32) {
      for (size_t j = 0; j < 32; ++j) column[j] += codes[b * 256 + i + j] * q[b * 256 + i + j];
    }
    for (size_t l = 0; l < 8; ++l) {
      const int32_t sum = column[4 * l] + column[4 * l + 1] + column[4 * l + 2] + column[4 * l + 3];
      const float exact = static_cast<float>(sum + minus_sums[b * 8 + l]), scale = d[b] * d_w[b];
      lane[l] = rounds_products ? exact * scale + lane[l] : std::fma(exact, scale, lane[l]);
    }
  }
  for (size_t half = 4; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}

Values TernaryProduct(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n, bool rounds_products) {
  std::vector<int32_t> minus_sums(x.q.size() / 32);
  for (size_t i = 0; i < x.q.size(); ++i) minus_sums[i / 32] -= x.q[i];
  const size_t blocks = w.type == TensorType::kI2_S ? 1 : w.cols / 256;
  Values y(n * w.rows);
  TernaryRow row;
  for (size_t r = 0; r < w.rows; ++r) {
    UnpackRow(w, r, &row);
    for (size_t i = 0; i < n; ++i) {
      const int8_t* q = x.q.data() + i * w.cols;
      const float* d = x.d.data() + i * blocks;
      y[i * w.rows + r] = w.type == TensorType::kI2_S
                              ? bitnet::scalar::DotTernaryI8(row.codes.data(), w.scale, q, *d, w.cols)
                              : DotQ8K(row.codes.data(), row.scales.data(), q, d, minus_sums.data() + i * w.cols / 32,
                                       w.cols, rounds_products);
    }
  }
  return y;
}

Values Q80Product(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n) {
  const size_t blocks = w.cols / 32;
  std::vector<int8_t> codes(w.cols);
  Values y(n * w.rows), d_w(blocks);
  for (size_t r = 0; r < w.rows; ++r) {
    for (size_t b = 0; b < blocks; ++b) {
      const std::byte* block = w.data + (r * blocks + b) * 34;
      d_w[b] = bitnet::F32FromF16(At<uint16_t>(block));
      std::memcpy(codes.data() + b * 32, block + 2, 32);
    }
    for (size_t i = 0; i < n; ++i) {
      y[i * w.rows + r] =
          bitnet::scalar::DotQ80(codes.data(), d_w.data(), x.q.data() + i * w.cols, x.d.data() + i * blocks, w.cols);
    }
  }
  return y;
}

// Blocks of 128 bytes of low bits, 64 of high bits, 16 scales, an F16 scale.
Values Q6KProduct(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n, bool offset_apart) {
  const size_t blocks = w.cols / 256;
  std::vector<uint8_t> codes(w.cols);
  std::vector<int8_t> scales(w.cols / 16);
  Values y(n * w.rows), d_w(blocks);
  for (size_t r = 0; r < w.rows; ++r) {
    for (size_t b = 0; b < blocks; ++b) {
      const auto* block = reinterpret_cast<const uint8_t*>(w.data) + (r * blocks + b) * 210;
      for (size_t i = 0; i < 256; ++i) {
        const size_t half = i / 128, k = i / 32 % 4, l = i % 32;
        const int low = block[64 * half + 32 * (k % 2) + l] >> (k < 2 ? 0 : 4) & 15;
        codes[b * 256 + i] = static_cast<uint8_t>(low | (block[128 + 32 * half + l] >> 2 * k & 3) << 4);
      }
      std::memcpy(scales.data() + b * 16, block + 192, 16);
      d_w[b] = bitnet::F32FromF16(At<uint16_t>(reinterpret_cast<const std::byte*>(block) + 208));
    }
    for (size_t i = 0; i < n; ++i) {
      y[i * w.rows + r] = bitnet::scalar::DotQ6K(codes.data(), scales.data(), d_w.data(), x.q.data() + i * w.cols,
                                                 x.d.data() + i * blocks, w.cols, offset_apart);
    }
  }
  return y;
}

}  // namespace

void ScalarArithmetic::NormRow(const float* x, size_t cols, const float* gamma, float eps, float* y) {
  bitnet::scalar::RmsNormRow(x, cols, gamma, eps, y);
}

Values ScalarArithmetic::Product(const bitnet::WeightMatrix& w, const Values& x, size_t n) {
  const ActivationKind kind = bitnet::ActivationKindFor(w.type, n, order_);
  if (IsInt8(kind)) return ProductInt8(w, Quantize(kind, x, n, w.cols), n);
  Values rounded = x;
  for (float& v : rounded) {
    if (kind == ActivationKind::kF16) v = RoundedToF16(v);
    if (kind == ActivationKind::kBF16) v = RoundedToBf16(v);
  }
  const bool bf16 = w.type == TensorType::kBF16;
  const DotOrder &batch = bf16 ? order_.bf16_batch : order_.batch, &single = bf16 ? order_.bf16_single : order_.single;
  const size_t step = static_cast<size_t>(batch.lanes * batch.accumulators * (batch.pairs ? 2 : 1));
  const bool tiled = n >= 2 && w.cols % step == 0 && w.rows % static_cast<size_t>(order_.batch_rows) == 0;
  const DotOrder& dot = tiled ? batch : single;
  Values y(n * w.rows);
  for (size_t i = 0; i < n; ++i) {
    const float* row = rounded.data() + i * w.cols;
    for (size_t r = 0; r < w.rows; ++r) {
      const auto* half = reinterpret_cast<const uint16_t*>(w.data) + r * w.cols;
      const auto* full = reinterpret_cast<const float*>(w.data) + r * w.cols;
      y[i * w.rows + r] = bf16                         ? bitnet::scalar::DotBF16(half, row, w.cols, dot)
                          : w.type == TensorType::kF16 ? bitnet::scalar::DotF16(half, row, w.cols, dot)
                                                       : bitnet::scalar::DotF32(full, row, w.cols, dot);
    }
  }
  return y;
}

Values ScalarArithmetic::ProductInt8(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n) {
  if (IsTernary(w.type)) return TernaryProduct(w, x, n, order_.tq_rounds_products);
  if (w.type == TensorType::kQ8_0) return Q80Product(w, x, n);
  if (w.type == TensorType::kQ6_K) return Q6KProduct(w, x, n, order_.q6_k_offset_apart);
  throw std::logic_error(fmt::format("{}: the oracle has no product of this type", bitnet::TypeName(w.type)));
}

void ScalarArithmetic::RopeRow(float* x, size_t n_heads, const bitnet::RopeAngles& angles, bitnet::RopeLayout layout) {
  bitnet::scalar::Rope(x, n_heads, h_.n_embd_head, h_.n_rot, angles, layout);
}

// Which dot product the references take: in a batch the tiled one, where the row is a whole number of its lanes.
Tensor ScalarArithmetic::Scores(const Values& q, size_t first, std::span<const size_t> n_keys, const Cache& cache) {
  const auto& [n_head, n_head_kv, dim] = cache.shape;
  const size_t n = n_keys.size();
  const size_t n_kv = std::min(RoundUp(first + n, static_cast<size_t>(order_.kv_padding)), cache.view.n_cells);
  const bool tiled = n >= 2 && !order_.scores_as_single && dim % static_cast<size_t>(order_.batch.lanes) == 0 &&
                     n_kv % static_cast<size_t>(order_.batch_rows) == 0;
  Tensor scores;
  for (size_t i = 0; i < n; ++i) {
    for (size_t head = 0; head < n_head; ++head) {
      const float* from = q.data() + (i * n_head + head) * dim;
      Values rounded(from, from + dim);
      for (float& v : rounded) v = RoundedToF16(v);
      const size_t kv_head = head / (n_head / n_head_kv);
      for (size_t j = 0; j < n_keys[i]; ++j) {
        const uint16_t* key = cache.view.k + (j * n_head_kv + kv_head) * dim;
        scores.data.push_back(bitnet::scalar::DotF16(key, rounded.data(), dim, tiled ? order_.batch : order_.single));
      }
    }
    scores.ends.push_back(scores.data.size());
  }
  return scores;
}

void ScalarArithmetic::SoftmaxRow(float* x, size_t n, float scale) { bitnet::scalar::SoftmaxRow(x, n, scale, order_); }

Values ScalarArithmetic::WeightedSum(const Tensor& probabilities, size_t first, std::span<const size_t> n_keys,
                                     const Cache& cache) {
  const auto& [n_head, n_head_kv, dim] = cache.shape;
  const size_t n = n_keys.size();
  const size_t n_kv = std::min(RoundUp(first + n, static_cast<size_t>(order_.kv_padding)), cache.view.n_cells);
  const bool tiled = n >= 2 && n_kv % static_cast<size_t>(order_.batch.lanes) == 0 &&
                     dim % static_cast<size_t>(order_.batch_rows) == 0;
  Values out(n * n_head * dim);
  for (size_t i = 0; i < n; ++i) {
    for (size_t head = 0; head < n_head; ++head) {
      Values p(std::max(n_kv, n_keys[i]));
      std::copy_n(probabilities.row(i).data() + head * n_keys[i], n_keys[i], p.data());
      if (n == 1 || order_.round_batch_to_f16) {
        for (float& v : p) v = RoundedToF16(v);
      }
      const size_t kv_head = head / (n_head / n_head_kv);
      for (size_t d = 0; d < dim; ++d) {
        const uint16_t* values = cache.view.v + (kv_head * dim + d) * cache.view.n_cells;
        out[(i * n_head + head) * dim + d] =
            bitnet::scalar::DotF16(values, p.data(), n_kv, tiled ? order_.batch : order_.single);
      }
    }
  }
  return out;
}

void ScalarArithmetic::GateRow(const float* gate, const float* up, bitnet::Activation activation, float* y) {
  if (activation == bitnet::Activation::kSilu) {
    bitnet::scalar::SiluMul(gate, up, h_.n_ff, order_, y);
  } else {
    bitnet::scalar::SquaredReluMul(gate, up, h_.n_ff, y);
  }
}

}  // namespace parity
