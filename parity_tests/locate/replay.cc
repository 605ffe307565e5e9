#include "parity_tests/locate/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>

#include "engine/gguf/quants.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/rms_norm.h"
#include "engine/kernels/rope.h"
#include "engine/model/kv_cache.h"

namespace parity {
namespace {

using bitnet::TensorType;

// Rows of one stage at consecutive positions.
struct Rows {
  size_t first = 0;
  std::vector<std::vector<float>> row;  // by position; scores and softmax: [n_head * keys]

  size_t n() const { return row.size(); }
  std::vector<float> Joined() const {
    std::vector<float> all;
    for (const auto& r : row) all.insert(all.end(), r.begin(), r.end());
    return all;
  }
};

// Thrown inside where a tensor was not traced.
struct Missing {
  std::string name;
  int position;
};

bool IsTernary(TensorType type) {
  return type == TensorType::kTQ1_0 || type == TensorType::kTQ2_0 || type == TensorType::kI2_S;
}

}  // namespace

double ReplayTolerance(bitnet::Point point, TensorType weights, size_t width) {
  const double terms = static_cast<double>(std::max<size_t>(width, 1));
  switch (point) {
    // A copy has one result; so has an addition, but for an engine that keeps more digits of what it adds.
    case bitnet::Point::kEmbeddings:
      return 0;
    case bitnet::Point::kFfnInp:
    case bitnet::Point::kLayerOut:
      return 2;
    // The mean moves by one rounding for each pairwise sum, which the square root halves; then a division and two
    // products.
    case bitnet::Point::kAttnNorm:
    case bitnet::Point::kAttnSubNorm:
    case bitnet::Point::kFfnNorm:
    case bitnet::Point::kFfnSubNorm:
    case bitnet::Point::kOutputNorm:
      return 4 + std::sqrt(terms) / 2;
    // Angle, cosine and sine each within a unit, two products and a sum; an angle of thousands of radians is itself
    // rounded, and every pair of a head multiplies that once more.
    case bitnet::Point::kQRope:
    case bitnet::Point::kKRope:
      return 64;
    // exp of one scaled difference: the polynomial's two units, and the score's rounding, which the exponential
    // magnifies by its magnitude.
    case bitnet::Point::kAttnScoresSoftmax:
      return 32;
    // One exponential (two units), a sum, a division, a product.
    case bitnet::Point::kFfnAct:
      return 8;
    // A sum of n products in another order: errors add like a random walk, 4 deviations; with int8 activations only the
    // blocks' sums are float.
    case bitnet::Point::kAttnScores:
    case bitnet::Point::kAttnOut:
      return 4 * std::sqrt(terms) + 2;
    default:
      return 4 * std::sqrt(IsTernary(weights) ? terms / 32 : terms) + 2;
  }
}

struct Replay::Impl {
  const bitnet::Model& model;
  const bitnet::Hyperparameters& h;
  const Capture& reference;
  const bitnet::ArithmeticOrder& order;
  bitnet::ThreadPool pool;
  std::map<std::tuple<Point, int, int>, const TraceRecord*> records;  // by stage, layer, position
  size_t n_positions = 0;                                             // traced, from 0 on

  Impl(const bitnet::Model& m, const Capture& c, const bitnet::ArithmeticOrder& o, size_t threads)
      : model(m), h(m.hyperparameters), reference(c), order(o), pool(std::max<size_t>(threads, 1)) {
    const size_t computed = c.tokens.size() + c.generated.size();
    for (const TraceRecord& r : c.traces) {
      if (static_cast<size_t>(r.position) >= computed) {
        throw std::runtime_error(fmt::format("{}: traces: {}: found position {}, expected one below {}", c.directory,
                                             r.name, r.position, computed));
      }
      records[{r.point, r.layer, r.position}] = &r;
      n_positions = std::max(n_positions, static_cast<size_t>(r.position) + 1);
    }
    if (records.empty()) {
      throw std::runtime_error(
          fmt::format("{}: traces: found none, expected those of every operation; capture again with trace \"full\" "
                      "and raw tensors",
                      c.directory));
    }
    if (std::none_of(c.traces.begin(), c.traces.end(), [](const TraceRecord& r) { return !r.tensor_file.empty(); })) {
      throw std::runtime_error(fmt::format(
          "{}: tensors: found none, expected the raw tensors; capture again with raw_tensors", c.directory));
    }
    if (c.model.architecture != h.architecture) {
      throw std::runtime_error(fmt::format("{}: model.architecture: found {}, expected {} as in {}", c.directory,
                                           c.model.architecture, h.architecture, m.file.path()));
    }
  }

  // Batches as the reference evaluated them: a batch and a single position add in different orders.
  std::vector<std::pair<size_t, size_t>> Batches() const {
    std::vector<std::pair<size_t, size_t>> batches;
    const size_t n_prompt = std::min(reference.tokens.size(), n_positions);
    const size_t step = reference.request.schedule == Schedule::kBatch ? std::max(reference.shapes.n_ubatch, 1) : 1;
    for (size_t first = 0; first < n_prompt; first += step)
      batches.push_back({first, std::min(step, n_prompt - first)});
    for (size_t p = reference.tokens.size(); p < n_positions; ++p) batches.push_back({p, 1});
    return batches;
  }

  Rows Read(bitnet::Point point, int layer, size_t first, size_t n) const {
    Rows rows{.first = first, .row = {}};
    for (size_t p = first; p < first + n; ++p) {
      const std::string name(bitnet::PointName(point));
      const auto found = records.find({point, layer, static_cast<int>(p)});
      if (found == records.end() || found->second->tensor_file.empty())
        throw Missing{fmt::format("t{}/{}{}", p, layer >= 0 ? fmt::format("blk{}/", layer) : "", name),
                      static_cast<int>(p)};
      rows.row.push_back(ReadTensor(reference, *found->second));
    }
    return rows;
  }

  std::vector<float> Input(bitnet::Point point, int layer, size_t first, size_t n, size_t width) const {
    const Rows rows = Read(point, layer, first, n);
    for (const auto& r : rows.row) {
      if (r.size() != width) {
        throw std::runtime_error(fmt::format("{}: {} of layer {}: found {} elements, expected {}", reference.directory,
                                             bitnet::PointName(point), layer, r.size(), width));
      }
    }
    return rows.Joined();
  }

  // The residual stream that enters a layer.
  std::vector<float> Residual(int layer, size_t first, size_t n) const {
    return layer == 0 ? Input(bitnet::Point::kEmbeddings, -1, first, n, h.n_embd)
                      : Input(bitnet::Point::kLayerOut, layer - 1, first, n, h.n_embd);
  }

  std::vector<float> Norm(std::vector<float> x, std::span<const float> gamma, size_t n) {
    std::vector<float> y(x.size());
    bitnet::RmsNorm(x.data(), n, gamma.size(), gamma.data(), h.rms_norm_eps, y.data(), pool);
    return y;
  }

  std::vector<float> Project(const std::vector<float>& x, const bitnet::WeightMatrix& w, size_t n) {
    bitnet::Activations a;
    a.Prepare(x.data(), n, w.cols, bitnet::ActivationKindFor(w.type, n, order), pool);
    std::vector<float> y(n * w.rows);
    bitnet::MatMul(w, a, order, y.data(), pool);
    return y;
  }

  std::vector<float> Rotate(std::vector<float> x, size_t n_heads, size_t first, size_t n) {
    for (size_t i = 0; i < n; ++i) {
      const auto angles = bitnet::ComputeRopeAngles(static_cast<int>(first + i), h.n_rot, h.rope_freq_base);
      bitnet::Rope(x.data() + i * n_heads * h.n_embd_head, n_heads, h.n_embd_head, h.n_rot, angles, h.rope_layout);
    }
    return x;
  }

  std::vector<float> Add(const std::vector<float>& a, const std::vector<float>& b) {
    std::vector<float> y(a.size());
    bitnet::AddRows(a.data(), b.data(), a.size(), y.data());
    return y;
  }

  // Scores, or the sum of V on the reference's own probabilities, by position.
  std::vector<std::vector<float>> Attend(bitnet::Point point, int layer, size_t first, size_t n) {
    const size_t kv_width = size_t{h.n_head_kv} * h.n_embd_head;
    const size_t q_width = size_t{h.n_head} * h.n_embd_head;
    const size_t keys = first + n;
    bitnet::Hyperparameters one_layer = h;
    one_layer.n_layer = 1;
    const size_t cells = std::max<size_t>(static_cast<size_t>(std::max(reference.shapes.kv_cells, 0)), keys);
    bitnet::KvCache cache(one_layer, cells);
    const bool scores = point == bitnet::Point::kAttnScores;
    const std::vector<float> zeros(keys * kv_width);
    const std::vector<float> k = scores ? Input(bitnet::Point::kKRope, layer, 0, keys, kv_width) : zeros;
    const std::vector<float> v = scores ? zeros : Input(bitnet::Point::kVProj, layer, 0, keys, kv_width);
    cache.Store(0, 0, keys, k.data(), v.data());

    std::vector<float> inside(n * h.n_head * keys);
    std::vector<float> out(n * q_width);
    const bitnet::AttentionShape shape{.n_head = h.n_head, .n_head_kv = h.n_head_kv, .head_dim = h.n_embd_head};
    if (scores) {
      const std::vector<float> q = Input(bitnet::Point::kQRope, layer, first, n, q_width);
      bitnet::AttentionScores(q.data(), n, first, cache.Layer(0), shape, order, {}, inside.data(), keys, pool);
    } else {
      const Rows p = Read(bitnet::Point::kAttnScoresSoftmax, layer, first, n);
      for (size_t i = 0; i < n; ++i) {
        const size_t count = first + i + 1;
        if (p.row[i].size() != h.n_head * count) {
          throw std::runtime_error(
              fmt::format("{}: attn_scores_softmax of layer {} at position {}: found {} elements, expected {}",
                          reference.directory, layer, first + i, p.row[i].size(), h.n_head * count));
        }
        for (size_t head = 0; head < h.n_head; ++head) {
          std::copy_n(p.row[i].data() + head * count, count, inside.data() + (i * h.n_head + head) * keys);
        }
      }
      bitnet::AttentionValues(inside.data(), keys, n, first, cache.Layer(0), shape, order, {}, out.data(), pool);
    }

    std::vector<std::vector<float>> rows;
    for (size_t i = 0; i < n; ++i) {
      std::vector<float>& row = rows.emplace_back();
      if (!scores) {
        row.assign(out.begin() + static_cast<ptrdiff_t>(i * q_width),
                   out.begin() + static_cast<ptrdiff_t>((i + 1) * q_width));
        continue;
      }
      for (size_t head = 0; head < h.n_head; ++head) {
        const float* begin = inside.data() + (i * h.n_head + head) * keys;
        row.insert(row.end(), begin, begin + first + i + 1);
      }
    }
    return rows;
  }

  std::vector<std::vector<float>> Softmax(int layer, size_t first, size_t n) {
    Rows scores = Read(bitnet::Point::kAttnScores, layer, first, n);
    const float scale = 1.0f / std::sqrt(static_cast<float>(h.n_embd_head));
    for (size_t i = 0; i < n; ++i) {
      auto& row = scores.row[i];
      const size_t keys = first + i + 1;
      if (row.size() != h.n_head * keys) {
        throw std::runtime_error(
            fmt::format("{}: attn_scores of layer {} at position {}: found {} elements, expected {}",
                        reference.directory, layer, first + i, row.size(), h.n_head * keys));
      }
      for (size_t head = 0; head < h.n_head; ++head) bitnet::SoftmaxRow(row.data() + head * keys, keys, scale, order);
    }
    return std::move(scores.row);
  }

  // An operation that is a product: its weights, and the stage that goes into it.
  struct Product {
    const bitnet::WeightMatrix* w;
    bitnet::Point input;
  };
  std::optional<Product> ProductOf(bitnet::Point point, int layer) const {
    if (point == bitnet::Point::kLogits) return Product{&model.weights.output, bitnet::Point::kOutputNorm};
    if (layer < 0) return std::nullopt;
    const bitnet::LayerWeights& w = model.weights.layers[static_cast<size_t>(layer)];
    switch (point) {
      case bitnet::Point::kQProj:
        return Product{&w.attn_q, bitnet::Point::kAttnNorm};
      case bitnet::Point::kKProj:
        return Product{&w.attn_k, bitnet::Point::kAttnNorm};
      case bitnet::Point::kVProj:
        return Product{&w.attn_v, bitnet::Point::kAttnNorm};
      case bitnet::Point::kAttnOProj:
        return Product{&w.attn_output, h.has_sub_norms ? bitnet::Point::kAttnSubNorm : bitnet::Point::kAttnOut};
      case bitnet::Point::kFfnGate:
        return Product{&w.ffn_gate, bitnet::Point::kFfnNorm};
      case bitnet::Point::kFfnUp:
        return Product{&w.ffn_up, bitnet::Point::kFfnNorm};
      case bitnet::Point::kFfnDown:
        return Product{&w.ffn_down, h.has_sub_norms ? bitnet::Point::kFfnSubNorm : bitnet::Point::kFfnAct};
      default:
        return std::nullopt;
    }
  }

  // True where a position's row is the product of the decoded weights with activations that were not rounded to int8.
  bool IsUnrounded(const Product& product, int layer, size_t position, const std::vector<float>& row) {
    const std::vector<float> x = Input(product.input, layer, position, 1, product.w->cols);
    const std::vector<float> y = UnroundedProduct(*product.w, x.data());
    if (row.size() != y.size()) return false;
    float largest = 0;
    for (const float v : y) largest = std::max(largest, std::fabs(v));
    for (size_t i = 0; i < row.size(); ++i) {
      if (!(std::fabs(row[i] - y[i]) <= kF32Rounding * largest)) return false;
    }
    return true;
  }

  // Our output of an operation on the reference's inputs, [n, width] joined.
  std::vector<float> Compute(bitnet::Point point, int layer, size_t first, size_t n) {
    const size_t q_width = size_t{h.n_head} * h.n_embd_head;
    const size_t kv_width = size_t{h.n_head_kv} * h.n_embd_head;
    const bitnet::ModelWeights& weights = model.weights;
    const auto in = [&](bitnet::Point s, size_t width) { return Input(s, layer, first, n, width); };
    if (const auto product = ProductOf(point, layer)) {
      return Project(in(product->input, product->w->cols), *product->w, n);
    }
    if (layer < 0) {
      switch (point) {
        case bitnet::Point::kEmbeddings: {
          std::vector<float> y(n * h.n_embd);
          for (size_t i = 0; i < n; ++i)
            bitnet::WeightRow(weights.token_embd, Token(first + i), y.data() + i * h.n_embd);
          return y;
        }
        case bitnet::Point::kOutputNorm:
          return Norm(Residual(static_cast<int>(h.n_layer), first, n), weights.output_norm, n);
        default:
          break;
      }
      throw std::logic_error(fmt::format("{} is an operation of a layer", bitnet::PointName(point)));
    }
    const bitnet::LayerWeights& w = weights.layers[static_cast<size_t>(layer)];
    switch (point) {
      case bitnet::Point::kAttnNorm:
        return Norm(Residual(layer, first, n), w.attn_norm, n);
      case bitnet::Point::kQRope:
        return Rotate(in(bitnet::Point::kQProj, q_width), h.n_head, first, n);
      case bitnet::Point::kKRope:
        return Rotate(in(bitnet::Point::kKProj, kv_width), h.n_head_kv, first, n);
      case bitnet::Point::kAttnScores:
      case bitnet::Point::kAttnOut:
        return Rows{first, Attend(point, layer, first, n)}.Joined();
      case bitnet::Point::kAttnScoresSoftmax:
        return Rows{first, Softmax(layer, first, n)}.Joined();
      case bitnet::Point::kAttnSubNorm:
        return Norm(in(bitnet::Point::kAttnOut, q_width), w.attn_sub_norm, n);
      case bitnet::Point::kFfnInp:
        return Add(in(bitnet::Point::kAttnOProj, h.n_embd), Residual(layer, first, n));
      case bitnet::Point::kFfnNorm:
        return Norm(in(bitnet::Point::kFfnInp, h.n_embd), w.ffn_norm, n);
      case bitnet::Point::kFfnAct: {
        std::vector<float> y = in(bitnet::Point::kFfnGate, h.n_ff);
        const std::vector<float> up = in(bitnet::Point::kFfnUp, h.n_ff);
        for (size_t i = 0; i < n; ++i) {
          float* row = y.data() + i * h.n_ff;
          if (h.activation == bitnet::Activation::kSilu) {
            bitnet::SiluMul(row, up.data() + i * h.n_ff, h.n_ff, order, row);
          } else {
            bitnet::SquaredReluMul(row, up.data() + i * h.n_ff, h.n_ff, row);
          }
        }
        return y;
      }
      case bitnet::Point::kFfnSubNorm:
        return Norm(in(bitnet::Point::kFfnAct, h.n_ff), w.ffn_sub_norm, n);
      case bitnet::Point::kLayerOut:
        return Add(in(bitnet::Point::kFfnDown, h.n_embd), in(bitnet::Point::kFfnInp, h.n_embd));
      default:
        throw std::logic_error(fmt::format("{} is no operation of a layer", bitnet::PointName(point)));
    }
  }

  size_t Token(size_t position) const {
    const size_t n_prompt = reference.tokens.size();
    const int32_t id = position < n_prompt ? reference.tokens[position] : reference.generated.at(position - n_prompt);
    if (id < 0 || static_cast<uint32_t>(id) >= h.n_vocab) {
      throw std::runtime_error(
          fmt::format("{}: tokens: found id {}, expected 0 to {}", reference.directory, id, h.n_vocab - 1));
    }
    return static_cast<size_t>(id);
  }

  // The type of an operation's weights, and how many terms one of its outputs adds up.
  std::pair<TensorType, size_t> Terms(bitnet::Point point, int layer) const {
    if (const auto product = ProductOf(point, layer)) return {product->w->type, product->w->cols};
    if (layer < 0) return {TensorType::kF32, h.n_embd};
    switch (point) {
      case bitnet::Point::kAttnScores:
        return {TensorType::kF16, h.n_embd_head};
      case bitnet::Point::kAttnOut:
        return {TensorType::kF16, n_positions};
      case bitnet::Point::kFfnSubNorm:
        return {TensorType::kF32, h.n_ff};
      default:
        return {TensorType::kF32, h.n_embd};
    }
  }
};

std::vector<float> UnroundedProduct(const bitnet::WeightMatrix& w, const float* x) {
  const bool one_scale = w.type == TensorType::kI2_S;  // behind all rows, so that they are decoded together
  std::vector<float> decoded(one_scale ? w.rows * w.cols : w.cols), y(w.rows);
  if (one_scale) {
    bitnet::DequantizeTensor(w.type, {w.data, bitnet::TensorBytes(w.type, w.rows, w.cols)}, w.rows, w.cols, decoded);
  }
  for (size_t r = 0; r < w.rows; ++r) {
    if (!one_scale) bitnet::WeightRow(w, r, decoded.data());
    const float* row = decoded.data() + (one_scale ? r * w.cols : 0);
    double sum = 0;
    for (size_t i = 0; i < w.cols; ++i) sum += static_cast<double>(row[i]) * x[i];
    y[r] = static_cast<float>(sum);
  }
  return y;
}

Replay::Replay(const bitnet::Model& model, const Capture& reference, const bitnet::ArithmeticOrder& order,
               size_t threads)
    : impl_(std::make_unique<Impl>(model, reference, order, threads)) {}
Replay::~Replay() = default;

std::vector<bitnet::Point> Replay::Operations(int layer) const {
  if (layer < 0) return {bitnet::Point::kEmbeddings, bitnet::Point::kOutputNorm, bitnet::Point::kLogits};
  std::vector<bitnet::Point> points;
  for (int s = static_cast<int>(bitnet::Point::kAttnNorm); s <= static_cast<int>(bitnet::Point::kLayerOut); ++s) {
    const auto point = static_cast<bitnet::Point>(s);
    const bool sub_norm = point == bitnet::Point::kAttnSubNorm || point == bitnet::Point::kFfnSubNorm;
    if (!sub_norm || impl_->h.has_sub_norms) points.push_back(point);
  }
  return points;
}

ReplayResult Replay::Operation(bitnet::Point point, int layer) {
  ReplayResult result;
  result.place = {-1, layer, point};
  const auto [type, width] = impl_->Terms(point, layer);
  result.tolerance_units = ReplayTolerance(point, type, width);
  const double tolerance = result.tolerance_units * 0x1p-23;
  const bool to_f16 = type == TensorType::kF16 || type == TensorType::kBF16;
  const double rounding = to_f16 ? kF16Rounding : kF32Rounding;
  std::optional<bool> unrounded;
  const auto product = to_f16 || type == TensorType::kF32 ? std::nullopt : impl_->ProductOf(point, layer);
  try {
    for (const auto& [first, n] : impl_->Batches()) {
      const Rows theirs = impl_->Read(point, layer, first, n);
      const std::vector<float> ours = impl_->Compute(point, layer, first, n);
      size_t at = 0;
      for (size_t i = 0; i < n; ++i) {
        const std::vector<float>& row = theirs.row[i];
        const bool by_key = point == bitnet::Point::kAttnScores || point == bitnet::Point::kAttnScoresSoftmax;
        const size_t expected = by_key ? impl_->h.n_head * (first + i + 1) : ours.size() / n;
        if (row.size() != expected) {
          throw std::runtime_error(fmt::format("{}: {} of layer {} at position {}: found {} elements, expected {}",
                                               impl_->reference.directory, bitnet::PointName(point), layer, first + i,
                                               row.size(), expected));
        }
        float largest = 0;
        for (const float v : row) largest = std::max(largest, std::fabs(v));
        const double limit = tolerance * largest;
        bool wrong = false;
        for (size_t j = 0; j < row.size(); ++j) {
          const float a = ours[at + j];
          const float b = row[j];
          ++result.elements;
          if (std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b)) continue;
          ++result.differing;
          double difference = std::fabs(static_cast<double>(a) - static_cast<double>(b));
          if (std::isnan(difference)) difference = std::numeric_limits<double>::infinity();
          const double error = difference == 0 ? 0
                               : limit > 0     ? difference / limit
                                               : std::numeric_limits<double>::infinity();
          result.max_abs = std::max(result.max_abs, difference);
          if (error > 1 && result.first_guilty < 0) result.first_guilty = static_cast<int>(first + i);
          wrong = wrong || (error > 1 && difference > rounding * largest);
          if (error > result.max_error || result.index < 0) {
            result.max_error = error;
            result.place.position = static_cast<int>(first + i);
            result.index = static_cast<int64_t>(j);
            result.ours = a;
            result.reference = b;
          }
        }
        // One position tells whether the whole operation leaves its activations as they are.
        if (wrong && !unrounded) unrounded = product && impl_->IsUnrounded(*product, layer, first + i, row);
        if (wrong && !*unrounded && result.first_wrong < 0) result.first_wrong = static_cast<int>(first + i);
        at += row.size();
      }
    }
  } catch (const Missing& missing) {
    result.verdict = ReplayVerdict::kNotTraced;
    result.missing = missing.name;
    result.place.position = missing.position;
    return result;
  }
  result.verdict = result.differing == 0   ? ReplayVerdict::kExact
                   : result.max_error <= 1 ? ReplayVerdict::kWithin
                                           : ReplayVerdict::kGuilty;
  return result;
}

std::vector<ReplayResult> Replay::Layer(int layer) {
  std::vector<ReplayResult> results;
  for (const bitnet::Point point : Operations(layer)) results.push_back(Operation(point, layer));
  return results;
}

}  // namespace parity
