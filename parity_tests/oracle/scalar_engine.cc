#include "parity_tests/oracle/scalar_engine.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>

#include "engine/gguf/quants.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/rms_norm.h"
#include "engine/kernels/rope.h"

namespace parity {
namespace {

using bitnet::TensorType;
using Rows = std::vector<float>;

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

float RoundedToF16(float x) { return bitnet::F32FromF16(bitnet::F16FromF32(x)); }

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

// A layer's keys and values, F16 [n_cells, n_head_kv * head_dim].
struct Cells {
  std::vector<uint16_t> k, v;
};

}  // namespace

struct ScalarEngine::Impl {
  const ScalarModel& model;
  const bitnet::Hyperparameters& h;
  const bitnet::ArithmeticOrder& order;
  size_t n_cells;
  FaultSpec fault;
  bitnet::TraceSink* trace;
  size_t n_past = 0;
  std::vector<Cells> cache;
  std::vector<int> keys_attended;
  std::optional<CacheBit> flip;
  size_t stale = 0;  // cells of another prompt that one layer still holds

  Impl(const ScalarModel& m, const bitnet::ArithmeticOrder& o, size_t cells, const FaultSpec& f, bitnet::TraceSink* t)
      : model(m), h(m.h), order(o), n_cells(cells), fault(f), trace(t) {
    cache.resize(h.n_layer);
    for (Cells& c : cache) {
      c.k.assign((n_cells + 8) * KvWidth(), 0);
      c.v.assign((n_cells + 8) * KvWidth(), 0);
    }
    if (fault.id == "kv_not_cleared") LeavePrompt();
  }

  size_t QWidth() const { return size_t{h.n_head} * h.n_embd_head; }
  size_t KvWidth() const { return size_t{h.n_head_kv} * h.n_embd_head; }
  bool Is(std::string_view id, int layer) const { return fault.id == id && fault.layer == layer; }

  // A prompt of three tokens was here before.
  void LeavePrompt() {
    constexpr int32_t kTokens[3] = {5, 6, 7};
    std::swap(trace, suspended_);
    const FaultSpec kept = std::exchange(fault, {});
    Forward(kTokens);
    fault = kept;
    std::swap(trace, suspended_);
    stale = n_past;
    n_past = 0;
    keys_attended.clear();
  }
  bitnet::TraceSink* suspended_ = nullptr;

  void Trace(bitnet::Point point, int layer, size_t n, const Rows& data) {
    if (trace == nullptr || !trace->Wants(point, layer)) return;
    const size_t width = data.size() / n;
    for (size_t i = 0; i < n; ++i) {
      trace->OnTensor({point, layer, static_cast<int>(n_past + i), 1, width, {data.data() + i * width, width}});
    }
  }

  Rows Norm(const Rows& x, std::vector<float> gamma, int layer, bitnet::Point point) {
    const bool sub_norm = point == bitnet::Point::kAttnSubNorm || point == bitnet::Point::kFfnSubNorm;
    if (sub_norm && Is("sub_norm_skipped", layer)) return x;
    if (Is("norm_gamma_rescaled", layer) && !sub_norm) {
      for (float& g : gamma) g *= std::sqrt(static_cast<float>(h.n_embd));
    }
    if (Is("norm_gamma_zero", layer) && point == bitnet::Point::kAttnNorm) std::fill(gamma.begin(), gamma.end(), 0.0f);
    const float eps = Is("norm_epsilon", layer) ? 1e-2f : h.rms_norm_eps;
    const size_t width = gamma.size();
    Rows y(x.size());
    for (size_t at = 0; at < x.size(); at += width) {
      Rows row(x.begin() + static_cast<ptrdiff_t>(at), x.begin() + static_cast<ptrdiff_t>(at + width));
      if (Is("norm_subtracts_mean", layer)) {
        double sum = 0;
        for (const float v : row) sum += v;
        const float mean = static_cast<float>(sum / static_cast<double>(width));
        for (float& v : row) v -= mean;
      }
      bitnet::scalar::RmsNormRow(row.data(), width, gamma.data(), eps, y.data() + at);
    }
    return y;
  }

  // One scale for all rows, where each row (I2_S) or block (Q8_K) should have its own; `shrink` in place of rounding.
  void QuantizeWrongly(const Rows& x, bool i8_row, bool whole, bool truncate, size_t width, std::vector<int8_t>& q,
                       std::vector<float>& d) {
    const size_t group = whole ? x.size() : i8_row ? width : 256;
    const size_t scale_group = i8_row ? width : 256;
    for (size_t at = 0; at < x.size(); at += group) {
      float m = 0;
      for (size_t i = at; i < at + group; ++i) {
        if (std::fabs(x[i]) > std::fabs(m)) m = x[i];
      }
      const float s = i8_row   ? static_cast<float>(127.0 / std::max(0.00001, static_cast<double>(std::fabs(m))))
                      : m == 0 ? 0.0f
                               : -127.0f / m;
      for (size_t i = at; i < at + group; ++i) {
        const float scaled = x[i] * s;
        q[i] = static_cast<int8_t>(std::clamp(truncate ? std::trunc(scaled) : std::nearbyint(scaled), -128.0f, 127.0f));
      }
      for (size_t i = at; i < at + group; i += scale_group) d[i / scale_group] = i8_row ? s : s == 0 ? 0.0f : 1.0f / s;
    }
  }

  static Rows Unquantized(const ScalarMatrix& w, const Rows& x, size_t n) {
    Rows y(n * w.rows);
    for (size_t i = 0; i < n; ++i) {
      for (size_t r = 0; r < w.rows; ++r) {
        float sum = 0;
        for (size_t j = 0; j < w.cols; ++j) {
          const float scale = w.d.empty() ? w.scale : w.d[(r * w.cols + j) / 256];
          sum += static_cast<float>(w.codes[r * w.cols + j] - 1) * scale * x[i * w.cols + j];
        }
        y[i * w.rows + r] = sum;
      }
    }
    return y;
  }

  Rows Ternary(const ScalarMatrix& w, const Rows& x, size_t n, int layer) {
    if (Is("activations_not_quantized", layer)) return Unquantized(w, x, n);
    const bool i8_row = w.type == TensorType::kI2_S;
    const size_t blocks = i8_row ? 1 : w.cols / 256;
    std::vector<int8_t> q(x.size());
    std::vector<float> d(n * blocks);
    const bool whole = Is("quantized_per_tensor", layer), truncate = Is("quantized_by_truncation", layer);
    if (whole || truncate) {
      QuantizeWrongly(x, i8_row, whole, truncate, w.cols, q, d);
    } else {
      for (size_t i = 0; i < n; ++i) {
        const float* row = x.data() + i * w.cols;
        if (i8_row) {
          d[i] = bitnet::scalar::QuantizeI8Row(row, w.cols, q.data() + i * w.cols);
        } else {
          bitnet::scalar::QuantizeQ8K(row, w.cols, q.data() + i * w.cols, d.data() + i * blocks);
        }
      }
    }
    std::vector<int32_t> minus_sums(x.size() / 32);
    for (size_t i = 0; i < x.size(); ++i) minus_sums[i / 32] -= q[i];
    Rows y(n * w.rows);
    for (size_t i = 0; i < n; ++i) {
      for (size_t r = 0; r < w.rows; ++r) {
        const uint8_t* codes = w.codes.data() + r * w.cols;
        const int8_t* qi = q.data() + i * w.cols;
        y[i * w.rows + r] = i8_row ? bitnet::scalar::DotTernaryI8(codes, w.scale, qi, d[i], w.cols)
                                   : DotQ8K(codes, w.d.data() + r * blocks, qi, d.data() + i * blocks,
                                            minus_sums.data() + i * w.cols / 32, w.cols, order.tq_rounds_products);
      }
    }
    return y;
  }

  Rows Multiply(const ScalarMatrix& w, Rows x, size_t n, int layer) {
    if (!w.codes.empty()) return Ternary(w, x, n, layer);
    const bool tiled = n >= 2 && w.cols % order.batch.lanes == 0 && w.rows % order.batch_rows == 0;
    const bitnet::DotOrder& dot = tiled ? order.batch : order.single;
    if (w.type == TensorType::kF16 && (n == 1 || order.round_batch_to_f16)) {
      for (float& v : x) v = RoundedToF16(v);
    }
    Rows y(n * w.rows);
    for (size_t i = 0; i < n; ++i) {
      for (size_t r = 0; r < w.rows; ++r) {
        const float* xi = x.data() + i * w.cols;
        y[i * w.rows + r] = w.type == TensorType::kF16
                                ? bitnet::scalar::DotF16(w.f16.data() + r * w.cols, xi, w.cols, dot)
                                : bitnet::scalar::DotF32(w.f32.data() + r * w.cols, xi, w.cols, dot);
      }
    }
    return y;
  }

  void Rotate(Rows& x, size_t n, size_t n_heads, int layer) {
    const float base = !Is("rope_base", layer) ? h.rope_freq_base : h.rope_freq_base == 500000 ? 10000.0f : 500000.0f;
    const size_t shift = Is("rope_position_off_by_one", layer) ? 1 : 0;
    for (size_t i = 0; i < n; ++i) {
      float* row = x.data() + i * n_heads * h.n_embd_head;
      const auto angles = bitnet::ComputeRopeAngles(static_cast<int>(n_past + i + shift), h.n_rot, base);
      const auto layout = Is("rope_layout", layer) ? OtherLayout(h.rope_layout) : h.rope_layout;
      bitnet::scalar::Rope(row, n_heads, h.n_embd_head, h.n_rot, angles, layout);
    }
  }

  void Store(const Rows& k, const Rows& v, size_t n, int layer, size_t offset) {
    Cells& cells = cache[static_cast<size_t>(layer)];
    const size_t width = KvWidth();
    for (size_t i = 0; i < n; ++i) {
      const size_t position = n_past + i;
      const size_t cell = offset + position + (Is("kv_wrong_cell", layer) && position >= 4 ? 1 : 0);
      for (size_t d = 0; d < width; ++d) {
        cells.k[cell * width + d] = bitnet::F16FromF32(k[i * width + d]);
        cells.v[cell * width + d] = bitnet::F16FromF32(v[i * width + d]);
      }
      if (flip && flip->layer == layer && flip->cell == cell) {
        (flip->key ? cells.k : cells.v)[cell * width + flip->column] ^= static_cast<uint16_t>(1u << flip->bit);
      }
    }
  }

  // Keys that the query of row i of the batch attends.
  size_t Keys(size_t i, size_t n, int layer, size_t offset) const {
    if (Is("mask_missing", layer)) return n_past + n;
    if (Is("mask_off_by_one", layer)) return std::min(n_past + i + 2, n_past + n);
    return offset + n_past + i + 1;
  }

  Rows Attend(const Rows& q, size_t n, int layer, size_t offset) {
    const Cells& cells = cache[static_cast<size_t>(layer)];
    const size_t dim = h.n_embd_head, width = KvWidth(), group = h.n_head / h.n_head_kv;
    const size_t n_kv = std::min(RoundUp(offset + n_past + n, static_cast<size_t>(order.kv_padding)), n_cells);
    const auto tiles = [&](size_t cols, size_t rows) {
      return n >= 2 && cols % order.batch.lanes == 0 && rows % order.batch_rows == 0;
    };
    const auto& score_order = !order.scores_as_single && tiles(dim, n_kv) ? order.batch : order.single;
    const auto& value_order = tiles(n_kv, dim) ? order.batch : order.single;
    const float scale = Is("softmax_scale", layer) ? 1.0f : 1.0f / std::sqrt(static_cast<float>(dim));

    std::vector<uint16_t> by_value(width * n_kv);
    for (size_t j = 0; j < n_kv; ++j) {
      for (size_t d = 0; d < width; ++d) by_value[d * n_kv + j] = cells.v[j * width + d];
    }
    Rows out(n * QWidth());
    for (size_t i = 0; i < n; ++i) {
      const size_t keys = Keys(i, n, layer, offset);
      keys_attended[n_past + i] = std::max(keys_attended[n_past + i], static_cast<int>(keys));
      Rows scores(h.n_head * keys), softmax(h.n_head * keys);
      for (size_t head = 0; head < h.n_head; ++head) {
        const size_t kv_head = Is("gqa_mapping", layer) ? head % h.n_head_kv : head / group;
        const size_t stride = Is("k_stride", layer) && kv_head + 1 == h.n_head_kv ? dim : width;
        Rows rounded(q.begin() + static_cast<ptrdiff_t>(i * QWidth() + head * dim),
                     q.begin() + static_cast<ptrdiff_t>(i * QWidth() + head * dim + dim));
        for (float& v : rounded) v = RoundedToF16(v);
        Rows p(n_kv);
        for (size_t j = 0; j < keys; ++j) {
          p[j] = bitnet::scalar::DotF16(cells.k.data() + kv_head * dim + j * stride, rounded.data(), dim, score_order);
        }
        std::copy_n(p.data(), keys, scores.data() + head * keys);
        bitnet::scalar::SoftmaxRow(p.data(), keys, scale, order);
        std::copy_n(p.data(), keys, softmax.data() + head * keys);
        if (n == 1 || order.round_batch_to_f16) {
          for (float& v : p) v = RoundedToF16(v);
        }
        for (size_t d = 0; d < dim; ++d) {
          out[i * QWidth() + head * dim + d] =
              bitnet::scalar::DotF16(by_value.data() + (kv_head * dim + d) * n_kv, p.data(), n_kv, value_order);
        }
      }
      TraceAttention(bitnet::Point::kAttnScores, layer, i, scores);
      TraceAttention(bitnet::Point::kAttnScoresSoftmax, layer, i, softmax);
    }
    if (Is("uninitialized", layer)) {
      // Far from what belongs there, or the ladder may now and then pass a stage by luck.
      std::random_device device;
      std::uniform_real_distribution<float> any(16, 32);
      for (size_t i = 0; i < n; ++i) out[i * QWidth() + QWidth() - 1] = any(device);
    }
    return out;
  }

  void TraceAttention(bitnet::Point point, int layer, size_t i, const Rows& row) {
    if (trace == nullptr || !trace->Wants(point, layer)) return;
    trace->OnTensor({point, layer, static_cast<int>(n_past + i), h.n_head, row.size() / h.n_head, row});
  }

  static void Add(Rows& x, const Rows& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] = y[i] + x[i];
  }

  void Layer(int layer, const ScalarLayer& w, Rows& x, size_t n) {
    const Rows normed = Norm(x, w.attn_norm, layer, bitnet::Point::kAttnNorm);
    Trace(bitnet::Point::kAttnNorm, layer, n, normed);
    Rows q = Multiply(w.q, normed, n, layer);
    Rows k = Multiply(w.k, normed, n, layer);
    const Rows v = Multiply(w.v, normed, n, layer);
    Trace(bitnet::Point::kQProj, layer, n, q);
    Trace(bitnet::Point::kKProj, layer, n, k);
    Trace(bitnet::Point::kVProj, layer, n, v);
    Rotate(q, n, h.n_head, layer);
    Rotate(k, n, h.n_head_kv, layer);
    Trace(bitnet::Point::kQRope, layer, n, q);
    Trace(bitnet::Point::kKRope, layer, n, k);
    const size_t offset = Is("kv_not_cleared", layer) ? stale : 0;
    Store(k, v, n, layer, offset);
    Rows attn = Attend(q, n, layer, offset);
    Trace(bitnet::Point::kAttnOut, layer, n, attn);
    if (h.has_sub_norms) {
      attn = Norm(attn, w.attn_sub_norm, layer, bitnet::Point::kAttnSubNorm);
      Trace(bitnet::Point::kAttnSubNorm, layer, n, attn);
    }
    const Rows projected = Multiply(w.o, attn, n, layer);
    Trace(bitnet::Point::kAttnOProj, layer, n, projected);
    Add(x, projected);
    Trace(bitnet::Point::kFfnInp, layer, n, x);

    const Rows ffn = Norm(x, w.ffn_norm, layer, bitnet::Point::kFfnNorm);
    Trace(bitnet::Point::kFfnNorm, layer, n, ffn);
    const bool swapped = Is("gate_up_swapped", layer);
    const Rows gate = Multiply(swapped ? w.up : w.gate, ffn, n, layer);
    const Rows up = Multiply(swapped ? w.gate : w.up, ffn, n, layer);
    Trace(bitnet::Point::kFfnGate, layer, n, gate);
    Trace(bitnet::Point::kFfnUp, layer, n, up);
    Rows act(gate.size());
    const bool silu = (h.activation == bitnet::Activation::kSilu) != Is("activation_function", layer);
    for (size_t i = 0; i < n; ++i) {
      const size_t at = i * h.n_ff;
      if (silu) {
        bitnet::scalar::SiluMul(gate.data() + at, up.data() + at, h.n_ff, order, act.data() + at);
      } else {
        bitnet::scalar::SquaredReluMul(gate.data() + at, up.data() + at, h.n_ff, act.data() + at);
      }
    }
    Trace(bitnet::Point::kFfnAct, layer, n, act);
    if (h.has_sub_norms) {
      act = Norm(act, w.ffn_sub_norm, layer, bitnet::Point::kFfnSubNorm);
      Trace(bitnet::Point::kFfnSubNorm, layer, n, act);
    }
    const Rows down = Multiply(w.down, act, n, layer);
    Trace(bitnet::Point::kFfnDown, layer, n, down);
    Add(x, down);
    Trace(bitnet::Point::kLayerOut, layer, n, x);
  }

  Rows Forward(std::span<const int32_t> tokens) {
    const size_t n = tokens.size();
    keys_attended.resize(n_past + n, 0);
    Rows x;
    for (const int32_t id : tokens) {
      const float* row = model.embeddings.data() + static_cast<size_t>(id) * h.n_embd;
      x.insert(x.end(), row, row + h.n_embd);
    }
    Trace(bitnet::Point::kEmbeddings, -1, n, x);
    for (size_t layer = 0; layer < model.layers.size(); ++layer) {
      Layer(static_cast<int>(layer), *model.layers[layer], x, n);
    }
    const Rows normed = Norm(x, model.output_norm, -1, bitnet::Point::kOutputNorm);
    Trace(bitnet::Point::kOutputNorm, -1, n, normed);
    const Rows logits = Multiply(model.head, normed, n, -1);
    Trace(bitnet::Point::kLogits, -1, n, logits);
    n_past += n;
    return logits;
  }
};

ScalarEngine::ScalarEngine(const ScalarModel& model, const bitnet::ArithmeticOrder& order, size_t n_cells,
                           const FaultSpec& fault, bitnet::TraceSink* trace)
    : impl_(std::make_unique<Impl>(model, order, n_cells, fault, trace)) {}
ScalarEngine::~ScalarEngine() = default;

std::vector<float> ScalarEngine::Forward(std::span<const int32_t> tokens) { return impl_->Forward(tokens); }
void ScalarEngine::FlipWhenStored(const CacheBit& bit) { impl_->flip = bit; }
const std::vector<int>& ScalarEngine::keys_attended() const { return impl_->keys_attended; }

}  // namespace parity
