#include "parity_tests/oracle/arithmetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "engine/formats/codec.h"
#include "engine/kernels/matmul.h"
#include "parity_tests/oracle/quantize.h"

namespace parity {
namespace {

using bitnet::Op;

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// The decoded weights as a float32 matrix.
std::vector<std::byte> Decoded(const bitnet::WeightMatrix& w) {
  std::vector<std::byte> bytes(w.rows * w.cols * sizeof(float));
  bitnet::WeightMatrix decoded = w;
  auto* values = reinterpret_cast<float*>(bytes.data());
  const size_t data_bytes = bitnet::TensorBytes(w.type, w.rows, w.cols);
  bitnet::DequantizeTensor(decoded.type, {w.data, data_bytes}, w.rows, w.cols, {values, w.rows * w.cols});
  return bytes;
}

Values Scaled(Values x, float scale) {
  if (scale == 1) return x;
  for (float& v : x) v *= scale;
  return x;
}

Values Sum(const Values& branch, const Values& stream) {
  Values y(branch.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = branch[i] + stream[i];
  return y;
}

}  // namespace

Tensor Tensor::Uniform(Values data, size_t n) {
  Tensor t;
  const size_t width = n == 0 ? 0 : data.size() / n;
  t.data = std::move(data);
  for (size_t i = 1; i <= n; ++i) t.ends.push_back(i * width);
  return t;
}

std::vector<size_t> Arithmetic::KeysAttended(const AttentionParameters& p, const Batch& batch) {
  std::vector<size_t> keys(batch.n);
  for (size_t i = 0; i < batch.n; ++i) keys[i] = p.stale + (p.n_keys ? p.n_keys(i, batch) : batch.first + i + 1);
  return keys;
}

Tensor Arithmetic::Compute(Point point, const Parameters& p, const Inputs& in) {
  const bitnet::PointInfo& info = bitnet::InfoOf(point);
  const size_t n = in.batch.n, first = p.attention.stale + in.batch.first;
  const bool two = info.op == Op::kScores || info.op == Op::kValues || info.op == Op::kGate || info.op == Op::kAdd;
  if ((info.op != Op::kLookup && in.a == nullptr) || (two && in.b == nullptr)) {
    throw std::logic_error(fmt::format("{}: an input is missing", info.name));
  }
  Tensor y;
  switch (info.op) {
    case Op::kLookup: {
      Values rows(n * p.product.w.cols);
      for (size_t i = 0; i < n; ++i) {
        bitnet::WeightRow(p.product.w, static_cast<size_t>(in.tokens[i]), rows.data() + i * p.product.w.cols);
      }
      y = Tensor::Uniform(Scaled(std::move(rows), p.product.lookup_scale), n);
      break;
    }
    case Op::kNorm:
      y = p.skip ? *in.a : Tensor::Uniform(Norm(p.norm, in.a->data), n);
      break;
    case Op::kProduct:
      y = Tensor::Uniform(ProductWith(p.product, in.a->data, n), n);
      break;
    case Op::kRope:
      y = p.skip ? *in.a : Tensor::Uniform(Rope(p.rope, in.a->data, in.batch), n);
      break;
    case Op::kScores:
      y = Scores(Scaled(in.a->data, p.attention.query_scale), first, KeysAttended(p.attention, in.batch),
                 MakeCache(p.attention, *in.b, true, in.n_cells));
      break;
    case Op::kSoftmax:
      y = Softmax(p.attention, *in.a, in.batch);
      break;
    case Op::kValues: {
      std::vector<size_t> keys;
      for (size_t i = 0; i < n; ++i) keys.push_back(in.a->row(i).size() / h_.n_head);
      y = Tensor::Uniform(WeightedSum(*in.a, first, keys, MakeCache(p.attention, *in.b, false, in.n_cells)), n);
      break;
    }
    case Op::kGate:
      y = Tensor::Uniform(Gate(p.gate, in.a->data, in.b->data), n);
      break;
    case Op::kAdd:
      y = Tensor::Uniform(Sum(in.a->data, in.b->data), n);
      break;
  }
  if (p.spoil) p.spoil(y.data);
  return y;
}

Values Arithmetic::Norm(const NormParameters& p, const Values& x) {
  const size_t cols = p.gamma.size();
  Values y(x.size()), row(cols);
  for (size_t at = 0; at < x.size(); at += cols) {
    row.assign(x.begin() + static_cast<ptrdiff_t>(at), x.begin() + static_cast<ptrdiff_t>(at + cols));
    if (p.subtract_mean) {
      double sum = 0;
      for (const float v : row) sum += v;
      for (float& v : row) v -= static_cast<float>(sum / static_cast<double>(cols));
    }
    NormRow(row.data(), cols, p.gamma.data(), p.eps, y.data() + at);
  }
  return y;
}

Values Arithmetic::ProductWith(const ProductParameters& p, const Values& x, size_t n) {
  if (p.quantizing == Quantizing::kAsTheFormat) return Product(p.w, x, n);
  const bitnet::ActivationKind kind = bitnet::ActivationKindFor(p.w.type, n, order_);
  if (!IsInt8(kind)) return Product(p.w, x, n);
  if (p.quantizing != Quantizing::kNone) return ProductInt8(p.w, QuantizeWrongly(kind, x, p.w.cols, p.quantizing), n);
  const std::vector<std::byte> bytes = Decoded(p.w);
  bitnet::WeightMatrix decoded = p.w;
  decoded.type = bitnet::TensorType::kF32;
  decoded.data = bytes.data();
  return Product(decoded, x, n);
}

Values Arithmetic::Rope(const RopeParameters& p, Values x, const Batch& batch) {
  const size_t width = x.size() / batch.n;
  for (size_t i = 0; i < batch.n; ++i) {
    const int position = static_cast<int>(batch.first + i) + p.shift;
    RopeRow(x.data() + i * width, width / h_.n_embd_head,
            bitnet::ComputeRopeAngles(position, h_.n_rot, p.base, p.scaling, p.divisors), p.layout);
  }
  return x;
}

Values Arithmetic::Gate(const GateParameters& p, const Values& gate, const Values& up) {
  Values y(gate.size());
  const Values &a = p.swapped ? up : gate, &b = p.swapped ? gate : up;
  for (size_t at = 0; at < y.size(); at += h_.n_ff) GateRow(a.data() + at, b.data() + at, p.activation, y.data() + at);
  return y;
}

Tensor Arithmetic::Softmax(const AttentionParameters& p, const Tensor& scores, const Batch& batch) {
  Tensor y = scores;
  const bitnet::AttentionShape shape{.window = p.window};
  for (size_t i = 0; i < y.n(); ++i) {
    const size_t keys = scores.row(i).size() / h_.n_head;
    float* row = y.data.data() + (y.ends[i] - scores.row(i).size());
    const size_t masked = std::min(keys, shape.FirstKey(p.stale + batch.first + i));
    for (size_t head = 0; head < h_.n_head; ++head) {
      std::fill_n(row + head * keys, masked, -std::numeric_limits<float>::infinity());
      SoftmaxRow(row + head * keys, keys, p.scale);
    }
  }
  return y;
}

Arithmetic::Cache Arithmetic::MakeCache(const AttentionParameters& p, const Tensor& rows, bool keys,
                                        size_t n_cells) const {
  const size_t dim = h_.n_embd_head, width = size_t{h_.n_head_kv} * dim, group = h_.n_head / h_.n_head_kv;
  // A wrong stride reads past the cells in use: one more block of them stays zero.
  const size_t used = rows.n() + 8, cells = RoundUp(std::max(n_cells, used), 256);
  std::vector<uint16_t> flat(cells * width);
  for (size_t cell = 0; cell < used; ++cell) {
    const std::optional<size_t> row = p.row_of ? p.row_of(cell) : cell;
    if (!row || *row >= rows.n()) continue;
    for (size_t d = 0; d < width; ++d) flat[cell * width + d] = bitnet::F16FromF32(rows.row(*row)[d]);
  }
  if (p.flipped && p.flipped->key == keys && p.flipped->cell < rows.n()) {
    flat[p.flipped->cell * width + p.flipped->column] ^= static_cast<uint16_t>(1u << p.flipped->bit);
  }
  // Where a query head reads another key than its own, each gets a copy of what it reads.
  const bool own = p.kv_head || (keys && p.key_at);
  Cache cache;
  cache.shape = {.n_head = h_.n_head, .n_head_kv = own ? h_.n_head : h_.n_head_kv, .head_dim = dim};
  const size_t heads = cache.shape.n_head_kv;
  std::vector<uint16_t>& store = keys ? cache.k : cache.v;
  store.resize(cells * heads * dim);
  for (size_t cell = 0; cell < used; ++cell) {
    for (size_t head = 0; head < heads; ++head) {
      const size_t kv_head = !own ? head : p.kv_head ? p.kv_head(head) : head / group;
      const size_t from = keys && p.key_at ? p.key_at(kv_head, cell) : cell * width + kv_head * dim;
      if (from + dim > flat.size()) continue;
      for (size_t d = 0; d < dim; ++d) {
        store[keys ? (cell * heads + head) * dim + d : (head * dim + d) * cells + cell] = flat[from + d];
      }
    }
  }
  cache.view = {.k = cache.k.data(), .v = cache.v.data(), .n_cells = cells};
  return cache;
}

Values UnroundedProduct(const bitnet::WeightMatrix& w, const float* x) {
  const std::vector<std::byte> bytes = Decoded(w);
  const auto* decoded = reinterpret_cast<const float*>(bytes.data());
  Values y(w.rows);
  for (size_t r = 0; r < w.rows; ++r) {
    double sum = 0;
    for (size_t i = 0; i < w.cols; ++i) sum += static_cast<double>(decoded[r * w.cols + i]) * x[i];
    y[r] = static_cast<float>(sum * w.side_scale + (w.bias != nullptr ? w.bias[r] : 0));
  }
  return y;
}

}  // namespace parity
