#include "parity_tests/diagnose/hypotheses.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>

#include "engine/gguf/quants.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/rms_norm.h"
#include "engine/kernels/rope.h"
#include "parity_tests/locate/replay.h"

namespace parity {
namespace {

using bitnet::TensorType;
using bitnet::WeightMatrix;
using Values = std::vector<float>;

struct NotTraced {};

// A weight matrix with bytes of its own.
struct OwnMatrix {
  std::vector<std::byte> bytes;
  WeightMatrix view;
};

class Tests {
 public:
  Tests(const bitnet::Model& model, const bitnet::ArithmeticOrder& order, const Capture& capture, const Place& location)
      : h_(model.hyperparameters), weights_(model.weights), order_(order), capture_(capture), at_(location) {
    const size_t position = static_cast<size_t>(location.position), n_prompt = capture.tokens.size();
    const size_t step = capture.request.schedule == Schedule::kBatch ? std::max(capture.shapes.n_ubatch, 1) : 1;
    first_ = position < n_prompt ? position / step * step : position;
    n_ = position < n_prompt ? std::min(step, n_prompt - first_) : 1;
    row_ = position - first_;
  }

  std::vector<Cause> Run() {
    output_ = Row(at_.point, at_.layer, at_.position);
    const Point s = at_.point;
    if (bitnet::InfoOf(s).op == bitnet::Op::kNorm) Norms();
    if (s == Point::kQRope || s == Point::kKRope) Ropes();
    if (s == Point::kAttnScores) Scores();
    if (s == Point::kAttnScoresSoftmax) Softmaxes();
    if (s == Point::kAttnOut) Sums();
    if (s == Point::kFfnAct) Activations();
    if (const WeightMatrix* w = Matrix(s)) Products(*w);
    std::stable_sort(causes_.begin(), causes_.end(),
                     [](const Cause& a, const Cause& b) { return a.certainty > b.certainty; });
    return causes_;
  }

 private:
  Values Row(Point point, int layer, int position) const {
    for (const TraceRecord& r : capture_.traces) {
      if (r.position != position || r.layer != layer || r.point != point || r.tensor_file.empty()) continue;
      // A foreign engine's tensor of another size is as good as none.
      const auto width = static_cast<int64_t>(bitnet::WidthOf(bitnet::InfoOf(point).width, bitnet::ShapeOf(h_)));
      if (width > 0 && r.num_elements != width) throw NotTraced();
      return ReadTensor(capture_, r);
    }
    throw NotTraced();
  }
  Values Batch(Point point, int layer) const { return Rows(point, layer, first_, n_); }
  Values Rows(Point point, int layer, size_t first, size_t n) const {
    Values all;
    for (size_t i = 0; i < n; ++i) {
      const Values row = Row(point, layer, static_cast<int>(first + i));
      all.insert(all.end(), row.begin(), row.end());
    }
    return all;
  }
  Values Residual() const {
    return at_.layer == 0 ? Batch(Point::kEmbeddings, -1) : Batch(Point::kLayerOut, at_.layer - 1);
  }
  const bitnet::LayerWeights& Layer() const { return weights_.layers.at(static_cast<size_t>(at_.layer)); }

  // `computed`: the batch's rows, or the row of the position alone.
  void Try(std::string_view cause, const std::string& how, const Values& computed) {
    const size_t width = output_.size();
    const size_t offset = computed.size() == width ? 0 : row_ * width;
    if (offset + width > computed.size()) return;
    size_t equal = 0;
    double largest = 0, error = 0;
    for (size_t i = 0; i < width; ++i) {
      const float a = computed[offset + i], b = output_[i];
      if (std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b)) {
        ++equal;
        continue;
      }
      const double difference = std::fabs(static_cast<double>(a) - b);
      error = std::isnan(difference) ? INFINITY : std::max(error, difference);
    }
    for (const float v : output_) largest = std::max(largest, std::fabs(static_cast<double>(v)));
    if (equal == width) {
      causes_.push_back({std::string(cause), Certainty::kCertain,
                         fmt::format("{}, computed from the candidate's own inputs, gives all {} numbers of its {} bit "
                                     "for bit",
                                     how, width, at_.point)});
    } else if (error <= 1e-5 * largest) {
      causes_.push_back({std::string(cause), Certainty::kLikely,
                         fmt::format("{}, computed from the candidate's own inputs, gives its {} within {:.2g} of the "
                                     "largest value ({} of {} numbers bit for bit)",
                                     how, at_.point, error / largest, equal, width)});
    }
  }

  // --- norms

  void Norms() {
    Values x;
    std::span<const float> gamma;
    if (at_.point == Point::kAttnNorm) {
      x = Residual();
      gamma = Layer().attn_norm;
    } else if (at_.point == Point::kFfnNorm) {
      x = Batch(Point::kFfnInp, at_.layer);
      gamma = Layer().ffn_norm;
    } else if (at_.point == Point::kAttnSubNorm) {
      x = Batch(Point::kAttnOut, at_.layer);
      gamma = Layer().attn_sub_norm;
    } else if (at_.point == Point::kFfnSubNorm) {
      x = Batch(Point::kFfnAct, at_.layer);
      gamma = Layer().ffn_sub_norm;
    } else {
      x = Batch(Point::kLayerOut, static_cast<int>(h_.n_layer) - 1);
      gamma = weights_.output_norm;
    }
    const size_t width = gamma.size();
    const Values own(x.begin() + static_cast<ptrdiff_t>(row_ * width),
                     x.begin() + static_cast<ptrdiff_t>((row_ + 1) * width));
    const auto norm = [&](const Values& row, const Values& g, float eps) {
      Values y(width);
      bitnet::RmsNorm(row.data(), 1, width, g.data(), eps, y.data(), pool_);
      return y;
    };
    const Values plain(gamma.begin(), gamma.end());
    double sum = 0;
    for (const float v : own) sum += v;
    Values centred = own;
    for (float& v : centred) v -= static_cast<float>(sum / static_cast<double>(width));
    Try("norm_subtracts_mean", "the norm of x minus its mean (LayerNorm)", norm(centred, plain, h_.rms_norm_eps));
    for (const float factor :
         {std::sqrt(static_cast<float>(h_.n_embd)), 1 / std::sqrt(static_cast<float>(h_.n_embd))}) {
      Values g = plain;
      for (float& v : g) v *= factor;
      Try("norm_gamma_rescaled", fmt::format("gamma times {:g} (sqrt(n_embd) = {:g})", factor, std::sqrt(h_.n_embd)),
          norm(own, g, h_.rms_norm_eps));
    }
    for (const float eps : {0.0f, 1e-12f, 1e-8f, 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f}) {
      if (eps == h_.rms_norm_eps) continue;
      Try("norm_epsilon", fmt::format("epsilon {:g} in place of {:g}", eps, h_.rms_norm_eps), norm(own, plain, eps));
    }
    Try("norm_gamma_zero", "gamma of all zeros", norm(own, Values(width), h_.rms_norm_eps));
    Try("norm_gamma_missing", "gamma of all ones", norm(own, Values(width, 1.0f), h_.rms_norm_eps));
    if (bitnet::InfoOf(at_.point).when == bitnet::When::kSubNorms)
      Try("sub_norm_skipped", "the norm's input, unchanged", own);
  }

  // --- products

  const WeightMatrix* Matrix(Point point) const {
    if (point == Point::kLogits) return &weights_.output;
    if (at_.layer < 0) return nullptr;
    const bitnet::LayerWeights& w = Layer();
    return point == Point::kQProj       ? &w.attn_q
           : point == Point::kKProj     ? &w.attn_k
           : point == Point::kVProj     ? &w.attn_v
           : point == Point::kAttnOProj ? &w.attn_output
           : point == Point::kFfnGate   ? &w.ffn_gate
           : point == Point::kFfnUp     ? &w.ffn_up
           : point == Point::kFfnDown   ? &w.ffn_down
                                        : nullptr;
  }

  Values ProductInput() const {
    const Point s = at_.point;
    if (s == Point::kLogits) return Batch(Point::kOutputNorm, -1);
    if (s == Point::kAttnOProj) return Batch(h_.has_sub_norms ? Point::kAttnSubNorm : Point::kAttnOut, at_.layer);
    if (s == Point::kFfnDown) return Batch(h_.has_sub_norms ? Point::kFfnSubNorm : Point::kFfnAct, at_.layer);
    return Batch((s == Point::kFfnGate || s == Point::kFfnUp) ? Point::kFfnNorm : Point::kAttnNorm, at_.layer);
  }

  Values Product(const WeightMatrix& w, const Values& x) {
    bitnet::Activations a;
    a.Prepare(x.data(), n_, w.cols, bitnet::ActivationKindFor(w.type, n_, order_), pool_);
    Values y(n_ * w.rows);
    bitnet::MatMul(w, a, order_, y.data(), pool_);
    return y;
  }

  // TQ2_0 or I2_S with its bytes changed, a block's codes at a time: codes(block's bytes, n codes in it).
  static OwnMatrix Changed(const WeightMatrix& w, const std::function<void(uint8_t*, size_t)>& codes, bool drop_scale) {
    OwnMatrix own;
    own.bytes.assign(w.data, w.data + bitnet::TensorBytes(w.type, w.rows, w.cols));
    const size_t per_block = w.type == TensorType::kTQ2_0 ? 256 : 128, stride = w.type == TensorType::kTQ2_0 ? 66 : 32;
    auto* block = reinterpret_cast<uint8_t*>(own.bytes.data());
    for (size_t b = 0; b < w.rows * w.cols / per_block; ++b, block += stride) {
      codes(block, per_block);
      const uint16_t one = bitnet::F16FromF32(1.0f);
      if (drop_scale && w.type == TensorType::kTQ2_0) std::memcpy(block + 64, &one, sizeof(one));
    }
    own.view = w;
    own.view.data = own.bytes.data();
    if (drop_scale) own.view.scale = 1.0f;
    return own;
  }

  // Codes as a reader that takes four neighbours from a byte sees them, put where an interleaved reader looks.
  static void ReadLinearly(uint8_t* block, size_t n) {
    const bool from_above = n == 128;  // I2_S counts bits from the high end
    uint8_t out[64] = {};
    for (size_t i = 0; i < n; ++i) {
      const size_t place = i % 4, to = i % 128 / 32;
      const int code = block[i / 4] >> 2 * (from_above ? 3 - place : place) & 3;
      out[i / 128 * 32 + i % 32] |= static_cast<uint8_t>(code << 2 * (from_above ? 3 - to : to));
    }
    std::memcpy(block, out, n / 4);
  }

  static bool RoundsToInt8(TensorType type) {
    return type != TensorType::kF32 && type != TensorType::kF16 && type != TensorType::kBF16;
  }

  void Products(const WeightMatrix& w) {
    const Values x = ProductInput();
    if (w.type == TensorType::kTQ2_0 || w.type == TensorType::kI2_S) {
      Try("weights_linear_order", "the weights with four neighbours read from each byte",
          Product(Changed(w, ReadLinearly, false).view, x));
      Try("weights_scale_dropped", "the weights with scale 1",
          Product(Changed(
                      w, [](uint8_t*, size_t) {}, true)
                      .view,
                  x));
      const auto swap = [](uint8_t* block, size_t n) {
        for (size_t i = 0; i < n / 4; ++i) {  // 2 - code, in each pair of bits
          uint8_t out = 0;
          for (int bit = 0; bit < 8; bit += 2) out |= static_cast<uint8_t>(((2 - (block[i] >> bit & 3)) & 3) << bit);
          block[i] = out;
        }
      };
      Try("weights_codes_swapped", "the weights with codes 0 and 2 exchanged",
          Product(Changed(w, swap, false).view, x));
      Quantizations(w, x);
    }
    if (RoundsToInt8(w.type)) {
      Try("activations_not_quantized", "the weights times activations that were not rounded to int8",
          UnroundedProduct(w, x.data() + row_ * w.cols));
    }
    if (at_.point == Point::kLogits) return;
    for (const Point name : {Point::kQProj, Point::kKProj, Point::kVProj, Point::kAttnOProj, Point::kFfnGate,
                             Point::kFfnUp, Point::kFfnDown}) {
      const WeightMatrix& other = *Matrix(name);
      if (name == at_.point || other.rows != w.rows || other.cols != w.cols) continue;
      const bool gate_up = at_.point == Point::kFfnGate || at_.point == Point::kFfnUp;
      Try(gate_up ? "gate_up_swapped" : "wrong_tensor", fmt::format("the product with the weights of {}", name),
          Product(other, x));
    }
  }

  // Activations on one scale for the whole batch, or cut off instead of rounded.
  void Quantizations(const WeightMatrix& w, const Values& x) {
    for (const bool whole : {true, false}) {
      const bool i8_row = w.type == TensorType::kI2_S;
      const size_t group = whole ? x.size() : i8_row ? w.cols : 256, own = i8_row ? w.cols : 256;
      std::vector<int8_t> q(x.size());
      Values d(x.size() / own);
      for (size_t at = 0; at < x.size(); at += group) {
        float m = 0;
        for (size_t i = at; i < at + group; ++i) m = std::fabs(x[i]) > std::fabs(m) ? x[i] : m;
        const float s = i8_row   ? static_cast<float>(127.0 / std::max(0.00001, std::fabs(static_cast<double>(m))))
                        : m != 0 ? -127.0f / m
                                 : 0.0f;
        for (size_t i = at; i < at + group; ++i) {
          const float v = whole ? std::nearbyint(x[i] * s) : std::trunc(x[i] * s);
          q[i] = static_cast<int8_t>(std::clamp(v, -128.0f, 127.0f));
        }
        for (size_t i = at; i < at + group; i += own) d[i / own] = i8_row || s == 0 ? s : 1.0f / s;
      }
      const size_t blocks = i8_row ? 1 : w.cols / 256;
      Values y(w.rows), decoded(w.cols), d_w(blocks);
      std::vector<uint8_t> codes(w.cols);
      const auto* bytes = reinterpret_cast<const uint8_t*>(w.data);
      for (size_t r = 0; r < w.rows; ++r) {
        for (size_t i = 0; i < w.cols; ++i) {
          const size_t at = r * w.cols + i;
          codes[i] = i8_row ? bytes[at / 128 * 32 + at % 32] >> (6 - at % 128 / 32 * 2) & 3
                            : bytes[at / 256 * 66 + at % 256 / 128 * 32 + at % 32] >> (at % 128 / 32 * 2) & 3;
        }
        for (size_t b = 0; !i8_row && b < blocks; ++b) {
          uint16_t half;
          std::memcpy(&half, bytes + (r * blocks + b) * 66 + 64, sizeof(half));
          d_w[b] = bitnet::F32FromF16(half);
        }
        const int8_t* qi = q.data() + row_ * w.cols;
        y[r] = i8_row ? bitnet::scalar::DotTernaryI8(codes.data(), w.scale, qi, d[row_], w.cols)
                      : bitnet::scalar::DotTernaryQ8K(codes.data(), d_w.data(), qi, d.data() + row_ * blocks, w.cols,
                                                      order_.tq_rounds_products);
      }
      Try(whole ? "quantized_per_tensor" : "quantized_by_truncation",
          whole ? fmt::format("one int8 scale for all {} rows of activations", n_)
                : "int8 activations cut off in place of rounded",
          y);
    }
  }

  // --- attention

  void Ropes() {
    const bool q = at_.point == Point::kQRope;
    const size_t heads = q ? h_.n_head : h_.n_head_kv;
    const Values x = Row(q ? Point::kQProj : Point::kKProj, at_.layer, at_.position);
    const auto rotate = [&](int position, float base, bitnet::RopeLayout layout) {
      Values v = x;
      const auto angles = bitnet::ComputeRopeAngles(position, h_.n_rot, base);
      bitnet::Rope(v.data(), heads, h_.n_embd_head, h_.n_rot, angles, layout);
      return v;
    };
    const bitnet::RopeLayout right = h_.rope_layout, other = OtherLayout(right);
    Try("rope_layout", other == bitnet::RopeLayout::kInterleaved ? "neighbours rotated together" : "halves rotated",
        rotate(at_.position, h_.rope_freq_base, other));
    for (const float base : {10000.0f, 100000.0f, 500000.0f, 1000000.0f}) {
      if (base != h_.rope_freq_base) {
        Try("rope_base", fmt::format("base {:g} in place of {:g}", base, h_.rope_freq_base),
            rotate(at_.position, base, right));
      }
    }
    for (const int by : {1, -1}) {
      Try("rope_position_off_by_one", fmt::format("the rotation of position {}", at_.position + by),
          rotate(at_.position + by, h_.rope_freq_base, right));
    }
    if (at_.position > 0) Try("rope_missing", "no rotation", x);
  }

  size_t KvWidth() const { return size_t{h_.n_head_kv} * h_.n_embd_head; }

  // Scores of the position's query, [n_head, keys]: `key` gives where a key's numbers start in `k` [positions,
  // KvWidth], or nothing where the cell is empty.
  using KeyOf = std::function<std::optional<size_t>(size_t head, size_t j)>;
  Values ScoresWith(const Values& k, const KeyOf& key) {
    const size_t dim = h_.n_embd_head, keys = static_cast<size_t>(at_.position) + 1, heads = h_.n_head;
    const size_t cells = std::max<size_t>((first_ + n_ + 255) / 256 * 256, 256);
    std::vector<uint16_t> cache(cells * heads * dim), unused(cells * heads * dim);
    for (size_t j = 0; j < keys; ++j) {
      for (size_t head = 0; head < heads; ++head) {
        const std::optional<size_t> at = key(head, j);
        if (at && *at + dim <= k.size())
          bitnet::RoundToF16(k.data() + *at, dim, cache.data() + (j * heads + head) * dim);
      }
    }
    const Values q = Batch(Point::kQRope, at_.layer);
    const size_t stride = first_ + n_;
    Values inside(n_ * heads * stride);
    bitnet::AttentionScores(q.data(), n_, first_, {cache.data(), unused.data(), cells},
                            {.n_head = heads, .n_head_kv = heads, .head_dim = dim}, order_, {}, inside.data(), stride,
                            pool_);
    Values scores;
    for (size_t head = 0; head < heads; ++head) {
      const float* from = inside.data() + (row_ * heads + head) * stride;
      scores.insert(scores.end(), from, from + keys);
    }
    return scores;
  }

  void Scores() {
    const size_t dim = h_.n_embd_head, width = KvWidth(), group = h_.n_head / h_.n_head_kv;
    const size_t keys = static_cast<size_t>(at_.position) + 1, found = output_.size() / h_.n_head;
    if (found != keys || found * h_.n_head != output_.size()) return Masks(found, keys);
    const Values k = Rows(Point::kKRope, at_.layer, 0, first_ + n_);
    Try("gqa_mapping", fmt::format("query head i with key head i % {} in place of i / {}", h_.n_head_kv, group),
        ScoresWith(k, [&](size_t head, size_t j) { return j * width + head % h_.n_head_kv * dim; }));
    for (size_t wrong = 0; wrong < h_.n_head_kv; ++wrong) {
      for (const size_t stride : {dim, width + dim, width - dim}) {
        if (stride == width) continue;
        Try("k_stride", fmt::format("key head {} with a stride of {} numbers in place of {}", wrong, stride, width),
            ScoresWith(k, [&](size_t head, size_t j) {
              const size_t kv = head / group;
              return kv * dim + j * (kv == wrong ? stride : width);
            }));
      }
    }
    Try("k_not_rotated", "keys as they were before RoPE",
        ScoresWith(Rows(Point::kKProj, at_.layer, 0, first_ + n_),
                   [&](size_t head, size_t j) { return j * width + head / group * dim; }));
    for (const int by : {1, -1}) {  // rows from `from` on are one cell further than they should be
      for (size_t from = 0; from < keys; ++from) {
        Try("kv_wrong_cell",
            fmt::format("K rows from position {} on in the cell {}", from, by > 0 ? "behind" : "before"),
            ScoresWith(k, [&](size_t head, size_t j) -> std::optional<size_t> {
              const size_t at = head / group * dim;
              if (j < from) return j * width + at;
              if (by > 0) return j == from ? std::nullopt : std::optional((j - 1) * width + at);
              return (j + 1) * width + at;
            }));
      }
    }
  }

  void Masks(size_t found, size_t expected) {
    const bool whole = found == first_ + n_ && n_ > 2;
    const std::string_view id = found > first_ + n_     ? "kv_not_cleared"
                                : whole                 ? "mask_missing"
                                : found == expected + 1 ? "mask_off_by_one"
                                : found + 1 == expected ? "mask_off_by_one"
                                                        : "mask_missing";
    causes_.push_back({std::string(id), Certainty::kLikely,
                       fmt::format("position {} attends {} keys, expected {}", at_.position, found, expected)});
  }

  void Softmaxes() {
    const Values scores = Row(Point::kAttnScores, at_.layer, at_.position);
    const size_t keys = scores.size() / h_.n_head;
    const float dim = static_cast<float>(h_.n_embd_head);
    for (const auto& [id, scale] : {std::pair("softmax_scale", 1.0f), std::pair("softmax_scale", 1.0f / dim)}) {
      Values p = scores;
      for (size_t head = 0; head < h_.n_head; ++head) bitnet::SoftmaxRow(p.data() + head * keys, keys, scale, order_);
      Try(id, fmt::format("a scale of {:g} in place of {:g}", scale, 1.0f / std::sqrt(dim)), p);
    }
  }

  // V by another head's probabilities, or of another head.
  void Sums() {
    const Values p = Row(Point::kAttnScoresSoftmax, at_.layer, at_.position);
    const size_t keys = static_cast<size_t>(at_.position) + 1, dim = h_.n_embd_head, width = KvWidth();
    if (p.size() != keys * h_.n_head) return;
    const Values v = Rows(Point::kVProj, at_.layer, 0, keys);
    Values y(size_t{h_.n_head} * dim);
    for (size_t head = 0; head < h_.n_head; ++head) {
      for (size_t d = 0; d < dim; ++d) {
        double sum = 0;
        for (size_t j = 0; j < keys; ++j) {
          sum += static_cast<double>(p[head * keys + j]) * v[j * width + head % h_.n_head_kv * dim + d];
        }
        y[head * dim + d] = static_cast<float>(sum);
      }
    }
    Try("gqa_mapping", fmt::format("query head i with value head i % {}", h_.n_head_kv), y);
  }

  void Activations() {
    const Values gate = Row(Point::kFfnGate, at_.layer, at_.position), up = Row(Point::kFfnUp, at_.layer, at_.position);
    Values y(gate.size());
    const auto silu = [&](const Values& a, const Values& b) {
      bitnet::SiluMul(a.data(), b.data(), a.size(), order_, y.data());
      return y;
    };
    const auto square = [&](const Values& a, const Values& b) {
      bitnet::SquaredReluMul(a.data(), b.data(), a.size(), y.data());
      return y;
    };
    const bool is_silu = h_.activation == bitnet::Activation::kSilu;
    Try("activation_function", is_silu ? "squared ReLU in place of SiLU" : "SiLU in place of squared ReLU",
        is_silu ? square(gate, up) : silu(gate, up));
    Try("gate_up_swapped", "the activation applied to up, times gate", is_silu ? silu(up, gate) : square(up, gate));
  }

  const bitnet::Hyperparameters& h_;
  const bitnet::ModelWeights& weights_;
  const bitnet::ArithmeticOrder& order_;
  const Capture& capture_;
  const Place& at_;
  size_t first_, n_, row_;  // the batch of the position, and its row there
  bitnet::ThreadPool pool_{1};
  Values output_;
  std::vector<Cause> causes_;
};

}  // namespace

std::vector<Cause> TestHypotheses(const bitnet::Model& model, const bitnet::ArithmeticOrder& order,
                                  const Capture& candidate, const Place& location) {
  if (location.layer >= static_cast<int>(model.hyperparameters.n_layer)) return {};
  try {
    return Tests(model, order, candidate, location).Run();
  } catch (const NotTraced&) {
    return {};
  }
}

}  // namespace parity
