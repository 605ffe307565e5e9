#include "parity_tests/oracle/arithmetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "engine/formats/codec.h"
#include "engine/kernels/matmul.h"
#include "parity_tests/oracle/plain.h"
#include "parity_tests/oracle/quantize.h"

namespace parity {
namespace {

using bitnet::Op;

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

Values Scaled(Values x, float scale) {
  if (scale == 1) return x;
  for (float& v : x) v *= scale;
  return x;
}

Values Sum(const AddParameters& p, const Values& branch, const Values& stream) {
  Values y(branch.size());
  const bool plain = p.branch == 1 && p.stream == 1;
  for (size_t i = 0; i < y.size(); ++i) {
    y[i] = plain ? branch[i] + stream[i] : branch[i] * p.branch + stream[i] * p.stream;
  }
  return y;
}

// Row i becomes the one of position i + by, as far as the batch goes. Rows of one width.
void ShiftRows(Tensor& y, int by) {
  const Tensor from = y;
  const int n = static_cast<int>(y.n());
  for (int i = 0; i < n; ++i) {
    const std::span<const float> row = from.row(static_cast<size_t>(std::clamp(i + by, 0, n - 1)));
    const size_t end = y.ends[static_cast<size_t>(i)];
    if (row.size() == from.row(static_cast<size_t>(i)).size()) {
      std::copy(row.begin(), row.end(), y.data.begin() + static_cast<ptrdiff_t>(end - row.size()));
    }
  }
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
    case Op::kLookup:
      y = Tensor::Uniform(Lookup(p, in.tokens), n);
      break;
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
      y = p.attention.PlainDot()
              ? PlainScores(p.attention, in)
              : Scores(Scaled(in.a->data, p.attention.query_scale), first, KeysAttended(p.attention, in.batch),
                       MakeCache(p.attention, *in.b, true, in.n_cells));
      break;
    case Op::kSoftmax:
      y = Softmax(p.attention, *in.a, in.batch);
      break;
    case Op::kValues: {
      if (p.attention.PlainDot()) {
        y = PlainValues(p.attention, in);
        break;
      }
      std::vector<size_t> keys;
      for (size_t i = 0; i < n; ++i) keys.push_back(in.a->row(i).size() / h_.n_head);
      y = Tensor::Uniform(WeightedSum(*in.a, first, keys, MakeCache(p.attention, *in.b, false, in.n_cells)), n);
      break;
    }
    case Op::kGate:
      y = Tensor::Uniform(Gate(p.gate, in.a->data, in.b->data), n);
      break;
    case Op::kAdd:
      y = Tensor::Uniform(Sum(p.add, in.a->data, in.b->data), n);
      break;
  }
  if (p.factor != 1) {
    for (float& v : y.data) v *= p.factor;
  }
  if (p.row_shift != 0) ShiftRows(y, p.row_shift);
  if (p.spoil) p.spoil(y.data);
  return y;
}

Values Arithmetic::Lookup(const Parameters& p, std::span<const int32_t> tokens) {
  const size_t cols = p.product.w.cols;
  Values rows(tokens.size() * cols);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int64_t id = static_cast<int64_t>(tokens[i]) + p.lookup.shift, last = static_cast<int64_t>(p.product.w.rows);
    const auto row = static_cast<size_t>(std::clamp<int64_t>(id, 0, last - 1));
    if (p.product.read_row) {
      p.product.read_row(row, rows.data() + i * cols);
    } else {
      bitnet::WeightRow(p.product.w, row, rows.data() + i * cols);
    }
  }
  if (p.lookup.factor != 1) {
    for (float& v : rows) v *= p.lookup.factor;
  }
  return rows;
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
    if (p.Plain()) {
      plain::NormRow(p, row.data(), y.data() + at);
    } else {
      NormRow(row.data(), cols, p.gamma.data(), p.eps, y.data() + at);
    }
  }
  return y;
}

Values Arithmetic::ProductWith(const ProductParameters& p, const Values& x, size_t n) {
  if (p.read_block) return ProductWith(p.Read(), x, n);
  const bitnet::ActivationKind kind = bitnet::ActivationKindFor(p.w, n, order_);
  const bool decodes = p.quantizing.none || p.quantizing.group == Quantizing::Group::kBlock;
  const bool kept = decodes && p.decoded != nullptr && p.decoded->of == p.w;
  if (kept && !p.read_row && !p.narrow) return Product(p.decoded->matrix(), plain::Activations(p, x, kind), n);
  if (p.quantizing.none && IsInt8(kind) && !p.read_row) {
    return Product(DecodedWeights(p.w).matrix(), x, n);
  }
  const bool as_asked = p.quantizing == Quantizing();
  if (p.Plain() || (!as_asked && !IsInt8(kind))) return plain::Product(p, x, n, kind);
  if (as_asked) return Product(p.w, x, n);
  return ProductInt8(p.w, QuantizeWrongly(kind, x, p.w.cols, p.quantizing), n);
}

Values Arithmetic::Rope(const RopeParameters& p, Values x, const Batch& batch) {
  const size_t width = x.size() / batch.n;
  for (size_t i = 0; i < batch.n; ++i) {
    if (p.Plain()) {
      plain::RopeRow(p, x.data() + i * width, width / h_.n_embd_head, h_.n_embd_head, h_.n_rot, i, batch);
      continue;
    }
    const int position = static_cast<int>(batch.first + i) + p.shift;
    RopeRow(x.data() + i * width, width / h_.n_embd_head,
            bitnet::ComputeRopeAngles(position, h_.n_rot, p.base, p.scaling, p.divisors), p.layout);
  }
  return x;
}

Values Arithmetic::Gate(const GateParameters& p, const Values& gate, const Values& up) {
  Values y(gate.size());
  const Values &a = p.swapped ? up : gate, &b = p.swapped ? gate : up;
  if (p.curve) {
    for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<float>(p.curve(a[i], b[i]));
    return y;
  }
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
      if (p.PlainSoftmax()) {
        plain::SoftmaxRow(p, head, batch.first + i, {row + head * keys, keys});
      } else {
        SoftmaxRow(row + head * keys, keys, p.scale);
      }
    }
  }
  return y;
}

// Which numbers of the cells a head reads, where its own key or value head is not what it reads.
struct Arithmetic::CacheMap {
  size_t dim, width, used, cells, heads;
  std::function<size_t(size_t head, size_t cell)> from;  // where the head's numbers start in the flat cells
};

Arithmetic::CacheMap Arithmetic::MapOf(const AttentionParameters& p, size_t n_rows, bool keys, size_t n_cells) const {
  const size_t dim = h_.n_embd_head, width = size_t{h_.n_head_kv} * dim, group = h_.n_head / h_.n_head_kv;
  // A wrong stride reads past the cells in use: one more block of them stays zero.
  const size_t used = n_rows + 8, cells = RoundUp(std::max(n_cells, used), 256);
  // Where a query head reads another key than its own, each gets a copy of what it reads.
  const bool own = p.kv_head || (keys && p.key_at);
  return {dim, width, used, cells, own ? h_.n_head : h_.n_head_kv, [=, &p](size_t head, size_t cell) {
            const size_t kv_head = !own ? head : p.kv_head ? p.kv_head(head) : head / group;
            return keys && p.key_at ? p.key_at(kv_head, cell) : cell * width + kv_head * dim;
          }};
}

Arithmetic::Cache Arithmetic::MakeCache(const AttentionParameters& p, const Tensor& rows, bool keys,
                                        size_t n_cells) const {
  const CacheMap map = MapOf(p, rows.n(), keys, n_cells);
  std::vector<uint16_t> flat(map.cells * map.width);
  for (size_t cell = 0; cell < map.used; ++cell) {
    const std::optional<size_t> row = p.row_of ? p.row_of(cell) : cell;
    if (!row || *row >= rows.n()) continue;
    for (size_t d = 0; d < map.width; ++d) flat[cell * map.width + d] = bitnet::F16FromF32(rows.row(*row)[d]);
  }
  if (p.flipped && p.flipped->key == keys && p.flipped->cell < rows.n()) {
    flat[p.flipped->cell * map.width + p.flipped->column] ^= static_cast<uint16_t>(1u << p.flipped->bit);
  }
  Cache cache;
  cache.shape = {.n_head = h_.n_head, .n_head_kv = map.heads, .head_dim = map.dim};
  std::vector<uint16_t>& store = keys ? cache.k : cache.v;
  store.resize(map.cells * map.heads * map.dim);
  for (size_t cell = 0; cell < map.used; ++cell) {
    for (size_t head = 0; head < map.heads; ++head) {
      const size_t from = map.from(head, cell);
      if (from + map.dim > flat.size()) continue;
      for (size_t d = 0; d < map.dim; ++d) {
        store[keys ? (cell * map.heads + head) * map.dim + d : (head * map.dim + d) * map.cells + cell] =
            flat[from + d];
      }
    }
  }
  cache.view = {.k = cache.k.data(), .v = cache.v.data(), .n_cells = map.cells};
  return cache;
}

// Every cell as it is kept, [cells, width].
Values Arithmetic::PlainCache(const AttentionParameters& p, const Tensor& rows, const CacheMap& map) {
  Values flat(map.cells * map.width);
  for (size_t cell = 0; cell < map.used; ++cell) {
    const std::optional<size_t> row = p.row_of ? p.row_of(cell) : cell;
    if (!row || *row >= rows.n()) continue;
    const std::span<float> kept(flat.data() + cell * map.width, map.width);
    std::copy_n(rows.row(*row).data(), map.width, kept.data());
    plain::KeepRow(p.cache, kept);
  }
  return flat;
}

Tensor Arithmetic::PlainScores(const AttentionParameters& p, const Inputs& in) const {
  const CacheMap map = MapOf(p, in.b->n(), true, in.n_cells);
  const Values flat = PlainCache(p, *in.b, map);
  const std::vector<size_t> n_keys = KeysAttended(p, in.batch);
  const size_t group = h_.n_head / map.heads;
  Tensor scores;
  for (size_t i = 0; i < in.batch.n; ++i) {
    for (size_t head = 0; head < h_.n_head; ++head) {
      const float* q = in.a->row(i).data() + head * map.dim;
      for (size_t key = 0; key < n_keys[i]; ++key) {
        const size_t from = map.from(head / group, key);
        double sum = 0;
        for (size_t d = 0; d < map.dim && from + map.dim <= flat.size(); ++d) {
          const float x = p.rounds_query.value_or(true) ? plain::Kept(CacheType::kF16, q[d]) : q[d];
          sum += static_cast<double>(x) * p.query_scale * flat[from + d];
        }
        scores.data.push_back(static_cast<float>(sum));
      }
    }
    scores.ends.push_back(scores.data.size());
  }
  return scores;
}

Tensor Arithmetic::PlainValues(const AttentionParameters& p, const Inputs& in) const {
  const CacheMap map = MapOf(p, in.b->n(), false, in.n_cells);
  const Values flat = PlainCache(p, *in.b, map);
  const size_t group = h_.n_head / map.heads;
  Values out(in.batch.n * h_.n_head * map.dim);
  std::vector<double> sum(map.dim);
  for (size_t i = 0; i < in.batch.n; ++i) {
    const size_t n_keys = in.a->row(i).size() / h_.n_head;
    for (size_t head = 0; head < h_.n_head; ++head) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (size_t key = 0; key < std::min(n_keys, map.used); ++key) {
        const float v = in.a->row(i)[head * n_keys + key];
        const double weight = p.rounds_query.value_or(true) ? plain::Kept(CacheType::kF16, v) : v;
        const size_t from = map.from(head / group, key);
        if (weight == 0 || from + map.dim > flat.size()) continue;
        for (size_t d = 0; d < map.dim; ++d) sum[d] += weight * flat[from + d];
      }
      for (size_t d = 0; d < map.dim; ++d) out[(i * h_.n_head + head) * map.dim + d] = static_cast<float>(sum[d]);
    }
  }
  return Tensor::Uniform(std::move(out), in.batch.n);
}

Values UnroundedProduct(const bitnet::WeightMatrix& w, const float* x) {
  const std::vector<float> decoded = DecodedWeights(w).values;
  Values y(w.rows);
  for (size_t r = 0; r < w.rows; ++r) {
    double sum = 0;
    for (size_t i = 0; i < w.cols; ++i) sum += static_cast<double>(decoded[r * w.cols + i]) * x[i];
    y[r] = static_cast<float>(sum * w.side_scale + (w.bias != nullptr ? w.bias[r] : 0));
  }
  return y;
}

}  // namespace parity
