// The forward pass, top to bottom like the paper: embedding; layers of attention and gated feed-forward, each with its
// norm and sub-norm and added to the residual stream; norm; head.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "engine/kernels/activations.h"
#include "engine/kernels/aligned.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/rms_norm.h"
#include "engine/kernels/rope.h"
#include "engine/model/model.h"

namespace bitnet {
namespace {

using Buffer = AlignedVector<float>;

// Rows of one batch, named after what they hold.
struct BatchBuffers {
  Buffer x;                        // residual stream [n, n_embd]
  Buffer normed;                   // [n, n_embd]
  Buffer q;                        // [n, n_head * n_embd_head]
  Buffer k, v;                     // [n, n_head_kv * n_embd_head]
  Buffer attn;                     // [n, n_head * n_embd_head]
  Buffer projected;                // [n, n_embd]
  Buffer gate, up;                 // [n, n_ff]
  Buffer own;                      // [n, width], what a projection alone reads
  Buffer scores, softmax;          // [n, n_head, keys], only where traced
  std::vector<int> keys_attended;  // [n], in the layer that ran last
  std::vector<int> first_key;

  void Resize(size_t n, const Hyperparameters& h) {
    const size_t q_width = size_t{h.n_head} * h.n_embd_head;
    const size_t kv_width = size_t{h.n_head_kv} * h.n_embd_head;
    x.resize(n * h.n_embd);
    normed.resize(n * h.n_embd);
    q.resize(n * q_width);
    k.resize(n * kv_width);
    v.resize(n * kv_width);
    attn.resize(n * q_width);
    projected.resize(n * h.n_embd);
    gate.resize(n * h.n_ff);
    up.resize(n * h.n_ff);
    keys_attended.resize(n);
    first_key.resize(n);
  }
};

}  // namespace

struct Context::Impl {
  const Model& model;
  const Hyperparameters& h;
  const GraphShape shape;
  const ArithmeticOrder& order;
  size_t n_ctx;
  KvCache cache;
  TraceSink* trace;
  ThreadPool pool;
  size_t n_past = 0;
  BatchBuffers b;
  Activations activations;
  std::vector<RopeAngles> angles[2];  // by position, as far as it was needed; [1]: of windowed layers
  std::vector<int> keys_attended;     // by position, the most of all layers
  std::vector<int> first_key;         // by position, in the first layer

  Impl(const Model& m, const ContextOptions& o)
      : model(m),
        h(m.hyperparameters),
        shape(ShapeOf(h)),
        order(o.order != nullptr ? *o.order : AllOrders().front()),
        n_ctx(o.n_ctx),
        cache(m.hyperparameters, o.n_ctx),
        trace(o.trace),
        pool(o.threads) {}

  bool Wants(Point point, int layer) const { return kTracepoints && trace != nullptr && trace->Wants(point, layer); }

  // data: [n, width], one traced tensor a position, of the batch from its row `first` on.
  void Trace(Point point, int layer, size_t n, size_t width, const float* data, size_t first = 0) {
    if (!Wants(point, layer)) return;
    for (size_t i = 0; i < n; ++i) {
      trace->OnTensor({point, layer, static_cast<int>(n_past + first + i), 1, width, {data + i * width, width}});
    }
  }

  // Scores and probabilities: [n, n_head, stride], of which the keys attended count.
  void TraceAttention(Point point, int layer, size_t n, size_t stride, const float* data) {
    if (!Wants(point, layer)) return;
    Buffer row;
    for (size_t i = 0; i < n; ++i) {
      const auto keys = static_cast<size_t>(b.keys_attended[i]);
      row.resize(h.n_head * keys);
      for (size_t head = 0; head < h.n_head; ++head) {
        std::copy_n(data + (i * h.n_head + head) * stride, keys, row.data() + head * keys);
      }
      trace->OnTensor({point, layer, static_cast<int>(n_past + i), h.n_head, keys, {row.data(), row.size()}});
    }
  }

  // x: [n, width of the point], normalised in place by the point's own gamma, if the model has the point. A gamma of
  // one head serves each head.
  void NormInPlace(Point point, int layer, size_t n, Buffer& x) { Norm(point, layer, n, x, x); }
  void Norm(Point point, int layer, size_t n, const Buffer& in, Buffer& out) {
    const PointInfo& info = InfoOf(point);
    if (!Exists(info, shape)) return;
    const std::span<const float> gamma = *FindVector(model.weights, info.weight, static_cast<size_t>(layer));
    const size_t width = WidthOf(info.width, shape);
    RmsNorm(in.data(), n * width / gamma.size(), gamma.size(), gamma.data(), h.rms_norm_eps, out.data(), pool);
    Trace(point, layer, n, width, out.data());
  }

  void Prepare(const Buffer& x, size_t n, const WeightMatrix& w) {
    activations.Prepare(x.data(), n, w.cols, ActivationKindFor(w, n, order), pool);
  }

  struct Projection {
    Point point;
    Point norm_in;  // of its input, in models that have one for each projection
    const WeightMatrix& w;
    Buffer& out;
  };
  // Products of one input [n, cols]. Activations are prepared once for all that read the same.
  void Project(int layer, size_t n, const Buffer& in, std::initializer_list<Projection> projections) {
    bool prepared = false;
    for (const Projection& p : projections) {
      if (h.parts.Has(When::kNormsIn)) {
        b.own.resize(n * p.w.cols);
        Norm(p.norm_in, layer, n, in, b.own);
        Prepare(b.own, n, p.w);
      } else if (!prepared || activations.kind != ActivationKindFor(p.w, n, order)) {
        Prepare(in, n, p.w);
        prepared = true;
      }
      MatMul(p.w, activations, order, p.out.data(), pool);
    }
    for (const Projection& p : projections) Trace(p.point, layer, n, p.w.rows, p.out.data());
  }

  void RopeRows(int layer, Buffer& rows, size_t n, size_t n_heads) {
    const size_t width = n_heads * h.n_embd_head;
    const std::vector<RopeAngles>& by_position = angles[h.IsWindowed(static_cast<size_t>(layer)) ? 1 : 0];
    ParallelRanges(pool, n, 8, width * kElementWork, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        Rope(rows.data() + i * width, n_heads, h.n_embd_head, h.n_rot, by_position[n_past + i], h.rope_layout);
      }
    });
  }

  static void Scale(float factor, Buffer& x) {
    if (factor == 1) return;
    for (float& v : x) v *= factor;
  }

  // x += branch
  void AddToResidual(const Buffer& branch, size_t n) {
    ParallelRanges(pool, n, 8, h.n_embd * kElementWork, [&](size_t begin, size_t end) {
      float* x = b.x.data() + begin * h.n_embd;
      AddRows(branch.data() + begin * h.n_embd, x, (end - begin) * h.n_embd, x);
    });
  }

  void Attend(int layer, const LayerWeights& w, size_t n) {
    const size_t q_width = size_t{h.n_head} * h.n_embd_head;
    const size_t kv_width = size_t{h.n_head_kv} * h.n_embd_head;
    Norm(Point::kAttnNorm, layer, n, b.x, b.normed);
    Project(layer, n, b.normed,
            {{Point::kQProj, Point::kQNormIn, w.attn_q, b.q},
             {Point::kKProj, Point::kKNormIn, w.attn_k, b.k},
             {Point::kVProj, Point::kVNormIn, w.attn_v, b.v}});
    NormInPlace(Point::kQNorm, layer, n, b.q);
    NormInPlace(Point::kKNorm, layer, n, b.k);
    RopeRows(layer, b.q, n, h.n_head);
    RopeRows(layer, b.k, n, h.n_head_kv);
    Trace(Point::kQRope, layer, n, q_width, b.q.data());
    Trace(Point::kKRope, layer, n, kv_width, b.k.data());

    cache.Store(layer, n_past, n, b.k.data(), b.v.data());
    Scale(h.query_scale, b.q);
    AttendCache(layer, n);
    Trace(Point::kAttnOut, layer, n, q_width, b.attn.data());

    NormInPlace(Point::kAttnSubNorm, layer, n, b.attn);
    Project(layer, n, b.attn, {{Point::kAttnOProj, Point::kONormIn, w.attn_output, b.projected}});
    NormInPlace(Point::kAttnPostNorm, layer, n, b.projected);
    AddToResidual(b.projected, n);
    Trace(Point::kFfnInp, layer, n, h.n_embd, b.x.data());
  }

  // b.attn from b.q and the cache, and what each position attended.
  void AttendCache(int layer, size_t n) {
    AttentionTrace inside{.keys_attended = b.keys_attended.data(), .first_key = b.first_key.data()};
    const bool wants_scores = Wants(Point::kAttnScores, layer);
    const bool wants_softmax = Wants(Point::kAttnScoresSoftmax, layer);
    if (wants_scores || wants_softmax) {
      // With room for what a wrong mask would let through.
      inside.stride = (n_past + n) / 64 * 64 + 64;
      b.scores.resize(n * h.n_head * inside.stride);
      b.softmax.resize(n * h.n_head * inside.stride);
      inside.scores = b.scores.data();
      inside.softmax = b.softmax.data();
    }
    const AttentionShape attention{.n_head = h.n_head,
                                   .n_head_kv = h.n_head_kv,
                                   .head_dim = h.n_embd_head,
                                   .scale = h.attention_scale,
                                   .window = h.WindowOf(static_cast<size_t>(layer))};
    Attention(b.q.data(), n, n_past, cache.Layer(layer), attention, order, b.attn.data(), pool, inside);
    for (size_t i = 0; i < n; ++i) {
      int& attended = keys_attended[n_past + i];
      attended = std::max(attended, b.keys_attended[i]);
      if (layer == 0) first_key[n_past + i] = b.first_key[i];
    }
    TraceAttention(Point::kAttnScores, layer, n, inside.stride, inside.scores);
    TraceAttention(Point::kAttnScoresSoftmax, layer, n, inside.stride, inside.softmax);
  }

  void FeedForward(int layer, const LayerWeights& w, size_t n) {
    Norm(Point::kFfnNorm, layer, n, b.x, b.normed);
    Project(
        layer, n, b.normed,
        {{Point::kFfnGate, Point::kGateNormIn, w.ffn_gate, b.gate}, {Point::kFfnUp, Point::kUpNormIn, w.ffn_up, b.up}});
    ParallelRanges(pool, n, 1, h.n_ff * kElementWork, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        float* gate = b.gate.data() + i * h.n_ff;
        GateMul(h.activation, gate, b.up.data() + i * h.n_ff, h.n_ff, order, gate);
      }
    });
    Trace(Point::kFfnAct, layer, n, h.n_ff, b.gate.data());
    NormInPlace(Point::kFfnSubNorm, layer, n, b.gate);
    Project(layer, n, b.gate, {{Point::kFfnDown, Point::kDownNormIn, w.ffn_down, b.projected}});
    NormInPlace(Point::kFfnPostNorm, layer, n, b.projected);
    AddToResidual(b.projected, n);
    Trace(Point::kLayerOut, layer, n, h.n_embd, b.x.data());
  }

  // `rows` of the batch, the last ones, through norm and head. The references round a head of one row as one position.
  void Head(size_t n, size_t rows, std::span<float> logits) {
    const ModelWeights& w = model.weights;
    RmsNorm(b.x.data() + (n - rows) * h.n_embd, rows, h.n_embd, w.output_norm.data(), h.rms_norm_eps, b.normed.data(),
            pool);
    Trace(Point::kOutputNorm, -1, rows, h.n_embd, b.normed.data(), n - rows);
    Prepare(b.normed, rows, w.output);
    MatMul(w.output, activations, order, logits.data(), pool);
    Trace(Point::kLogits, -1, rows, h.n_vocab, logits.data(), n - rows);
  }

  void ExtendAngles(size_t layer, size_t n) {
    std::vector<RopeAngles>& of = angles[h.IsWindowed(layer) ? 1 : 0];
    while (of.size() < n) {
      of.push_back(ComputeRopeAngles(static_cast<int>(of.size()), h.n_rot, h.RopeBase(layer), h.RopeScalingOf(layer),
                                     model.weights.rope_divisors));
    }
  }

  void CheckInput(std::span<const int32_t> tokens) const {
    if (tokens.empty()) throw std::runtime_error("forward pass: no tokens were given");
    if (n_past + tokens.size() > n_ctx) {
      throw std::runtime_error(fmt::format("the context holds {} positions, {} were asked for; use a larger n_ctx",
                                           n_ctx, n_past + tokens.size()));
    }
    for (const int32_t id : tokens) {
      if (id < 0 || static_cast<uint32_t>(id) >= h.n_vocab) {
        throw std::runtime_error(fmt::format("token id {} is outside the vocabulary (0 to {})", id, h.n_vocab - 1));
      }
    }
  }

  void Forward(std::span<const int32_t> tokens, LogitsFor which, std::span<float> logits) {
    CheckInput(tokens);
    const size_t n = tokens.size();
    const size_t rows = which == LogitsFor::kAll ? n : which == LogitsFor::kLast ? 1 : 0;
    if (logits.size() < rows * h.n_vocab) {
      throw std::logic_error(
          fmt::format("forward pass: room for {} logits, {} are needed", logits.size(), rows * h.n_vocab));
    }
    for (size_t layer = 0; layer < h.n_layer; ++layer) ExtendAngles(layer, n_past + n);
    b.Resize(n, h);
    keys_attended.resize(n_past + n, 0);
    first_key.resize(n_past + n, 0);
    for (size_t i = 0; i < n; ++i) WeightRow(model.weights.token_embd, tokens[i], b.x.data() + i * h.n_embd);
    Scale(h.embedding_scale, b.x);
    Trace(Point::kEmbeddings, -1, n, h.n_embd, b.x.data());
    for (size_t layer = 0; layer < model.weights.layers.size(); ++layer) {
      Attend(static_cast<int>(layer), model.weights.layers[layer], n);
      FeedForward(static_cast<int>(layer), model.weights.layers[layer], n);
    }
    if (rows > 0) Head(n, rows, logits);
    n_past += n;
  }
};

Context::Context(const Model& model, const ContextOptions& options) : impl_(std::make_unique<Impl>(model, options)) {}
Context::~Context() = default;

void Context::Forward(std::span<const int32_t> tokens, LogitsFor which, std::span<float> logits) {
  impl_->Forward(tokens, which, logits);
}
size_t Context::n_past() const { return impl_->n_past; }
size_t Context::n_ctx() const { return impl_->n_ctx; }
size_t Context::n_cells() const { return impl_->cache.n_cells(); }
int Context::KeysAttended(size_t position) const { return impl_->keys_attended.at(position); }
int Context::FirstKey(size_t position) const { return impl_->first_key.at(position); }
const ArithmeticOrder& Context::order() const { return impl_->order; }

}  // namespace bitnet
