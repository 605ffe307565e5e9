// The forward pass as a table: one row for each intermediate tensor. Data only.
//
//   for (const PointInfo& p : kGraph) {
//     if (!Exists(p, shape)) continue;
//     size_t width = WidthOf(p.width, shape);               // numbers at one position
//     Source from = SourceOf(p, 0, layer, shape);           // the tensor that it is computed from
//   }
//
// A point is a tensor of the forward pass: what one operation makes at every position. The order of the table is the
// order of the computation. Engines, runners, the judge, replay and the diagnosis all read this one table; the names
// stand in captures on disk (docs/capture-format.md) and never change.
#ifndef BITNET_PARITY_ENGINE_GRAPH_GRAPH_H_
#define BITNET_PARITY_ENGINE_GRAPH_GRAPH_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace bitnet {

enum class Point {
  kEmbeddings,
  kAttnNorm,
  kQNormIn,
  kKNormIn,
  kVNormIn,
  kQProj,
  kKProj,
  kVProj,
  kQNorm,
  kKNorm,
  kQRope,
  kKRope,
  kAttnScores,
  kAttnScoresSoftmax,
  kAttnOut,
  kAttnSubNorm,
  kONormIn,
  kAttnOProj,
  kAttnPostNorm,
  kFfnInp,
  kFfnNorm,
  kGateNormIn,
  kUpNormIn,
  kFfnGate,
  kFfnUp,
  kFfnAct,
  kFfnSubNorm,
  kDownNormIn,
  kFfnDown,
  kFfnPostNorm,
  kLayerOut,
  kOutputNorm,
  kLogits,
  kUnknown,  // a tensor that only another engine has
};
inline constexpr int kPointCount = static_cast<int>(Point::kUnknown);

enum class Op {
  kLookup,   // a row of the embeddings
  kNorm,     // RMSNorm
  kProduct,  // weights times activations
  kRope,     // rotary position embedding
  kScores,   // K.q of every key that a position attends, by head
  kSoftmax,
  kValues,  // V weighted by the probabilities
  kGate,    // activation(gate) * up
  kAdd,     // the residual stream
};

// How many numbers a tensor has at one position, or a weight has rows or columns.
enum class Width {
  kOne,
  kHead,   // head_dim
  kEmbd,   // n_embd
  kQuery,  // n_head * head_dim
  kKv,     // n_head_kv * head_dim
  kFf,     // n_ff
  kVocab,  // n_vocab
  kKeys,   // n_head * keys attended: depends on the position
};

enum class Weight {
  kTokenEmbd,
  kAttnNorm,
  kAttnQNormIn,
  kAttnQ,
  kAttnKNormIn,
  kAttnK,
  kAttnVNormIn,
  kAttnV,
  kAttnQNorm,
  kAttnKNorm,
  kAttnSubNorm,
  kAttnOutputNormIn,
  kAttnOutput,
  kAttnPostNorm,
  kFfnNorm,
  kFfnGateNormIn,
  kFfnGate,
  kFfnUpNormIn,
  kFfnUp,
  kFfnSubNorm,
  kFfnDownNormIn,
  kFfnDown,
  kFfnPostNorm,
  kOutputNorm,
  kOutput,
  kNone,
};
inline constexpr int kWeightCount = static_cast<int>(Weight::kNone);

// Which models have a point or a weight: those with this part.
enum class When : unsigned {
  kAlways = 0,
  kSubNorms = 1,   // attn_sub_norm before attn_output, ffn_sub_norm before ffn_down
  kHeadNorms = 2,  // each head of Q and K is normalised before RoPE
  kPostNorms = 4,  // what a branch adds to the residual stream is normalised
  kNormsIn = 8,    // a norm of its own in front of each projection
};

// The parts that a model has.
class Parts {
 public:
  constexpr Parts() = default;
  template <class... More>
  explicit constexpr Parts(When first, More... more)
      : bits_((static_cast<unsigned>(first) | ... | static_cast<unsigned>(more))) {}
  constexpr bool Has(When part) const { return (bits_ & static_cast<unsigned>(part)) == static_cast<unsigned>(part); }
  constexpr void Add(When part) { bits_ |= static_cast<unsigned>(part); }
  bool operator==(const Parts&) const = default;

 private:
  unsigned bits_ = 0;
};

// What the table needs to know of a model.
struct GraphShape {
  size_t n_vocab = 0;
  size_t n_embd = 0;
  size_t n_layer = 0;
  size_t n_head = 0;
  size_t n_head_kv = 0;
  size_t head_dim = 0;
  size_t n_ff = 0;
  Parts parts = {};
};

struct PointInfo {
  Point point;
  std::string_view name;
  Op op;
  // What it is computed from; kUnknown: nothing. Scores and values read K and V of all earlier positions too. An input
  // that the table has further down, or the point itself, is that of the layer before.
  std::array<Point, 2> inputs;
  Width width;
  Weight weight;
  bool in_layer;  // false: its layer is -1
  bool core;      // part of the selection "core" of traces
  When when = When::kAlways;
};

// clang-format off
inline constexpr std::array<PointInfo, kPointCount> kGraph = [] {
  using P = Point;
  using W = Weight;
  using enum Op;
  using enum Width;
  constexpr P kNone = P::kUnknown;
  return std::array<PointInfo, kPointCount>{{
    {P::kEmbeddings, "embeddings", kLookup, {kNone, kNone}, kEmbd, W::kTokenEmbd, false, true},
    {P::kAttnNorm, "attn_norm", kNorm, {P::kLayerOut, kNone}, kEmbd, W::kAttnNorm, true, true},
    {P::kQNormIn, "q_norm_in", kNorm, {P::kAttnNorm, kNone}, kEmbd, W::kAttnQNormIn, true, false, When::kNormsIn},
    {P::kKNormIn, "k_norm_in", kNorm, {P::kAttnNorm, kNone}, kEmbd, W::kAttnKNormIn, true, false, When::kNormsIn},
    {P::kVNormIn, "v_norm_in", kNorm, {P::kAttnNorm, kNone}, kEmbd, W::kAttnVNormIn, true, false, When::kNormsIn},
    {P::kQProj, "q_proj", kProduct, {P::kQNormIn, kNone}, kQuery, W::kAttnQ, true, true},
    {P::kKProj, "k_proj", kProduct, {P::kKNormIn, kNone}, kKv, W::kAttnK, true, false},
    {P::kVProj, "v_proj", kProduct, {P::kVNormIn, kNone}, kKv, W::kAttnV, true, false},
    {P::kQNorm, "q_norm", kNorm, {P::kQProj, kNone}, kQuery, W::kAttnQNorm, true, false, When::kHeadNorms},
    {P::kKNorm, "k_norm", kNorm, {P::kKProj, kNone}, kKv, W::kAttnKNorm, true, false, When::kHeadNorms},
    {P::kQRope, "q_rope", kRope, {P::kQNorm, kNone}, kQuery, W::kNone, true, false},
    {P::kKRope, "k_rope", kRope, {P::kKNorm, kNone}, kKv, W::kNone, true, false},
    {P::kAttnScores, "attn_scores", kScores, {P::kQRope, P::kKRope}, kKeys, W::kNone, true, false},
    {P::kAttnScoresSoftmax, "attn_scores_softmax", kSoftmax, {P::kAttnScores, kNone}, kKeys, W::kNone, true, true},
    {P::kAttnOut, "attn_out", kValues, {P::kAttnScoresSoftmax, P::kVProj}, kQuery, W::kNone, true, false},
    {P::kAttnSubNorm, "attn_sub_norm", kNorm, {P::kAttnOut, kNone}, kQuery, W::kAttnSubNorm, true, false, When::kSubNorms},
    {P::kONormIn, "o_norm_in", kNorm, {P::kAttnSubNorm, kNone}, kQuery, W::kAttnOutputNormIn, true, false, When::kNormsIn},
    {P::kAttnOProj, "attn_o_proj", kProduct, {P::kONormIn, kNone}, kEmbd, W::kAttnOutput, true, false},
    {P::kAttnPostNorm, "attn_post_norm", kNorm, {P::kAttnOProj, kNone}, kEmbd, W::kAttnPostNorm, true, false, When::kPostNorms},
    {P::kFfnInp, "ffn_inp", kAdd, {P::kAttnPostNorm, P::kLayerOut}, kEmbd, W::kNone, true, false},
    {P::kFfnNorm, "ffn_norm", kNorm, {P::kFfnInp, kNone}, kEmbd, W::kFfnNorm, true, false},
    {P::kGateNormIn, "gate_norm_in", kNorm, {P::kFfnNorm, kNone}, kEmbd, W::kFfnGateNormIn, true, false, When::kNormsIn},
    {P::kUpNormIn, "up_norm_in", kNorm, {P::kFfnNorm, kNone}, kEmbd, W::kFfnUpNormIn, true, false, When::kNormsIn},
    {P::kFfnGate, "ffn_gate", kProduct, {P::kGateNormIn, kNone}, kFf, W::kFfnGate, true, false},
    {P::kFfnUp, "ffn_up", kProduct, {P::kUpNormIn, kNone}, kFf, W::kFfnUp, true, false},
    {P::kFfnAct, "ffn_act", kGate, {P::kFfnGate, P::kFfnUp}, kFf, W::kNone, true, false},
    {P::kFfnSubNorm, "ffn_sub_norm", kNorm, {P::kFfnAct, kNone}, kFf, W::kFfnSubNorm, true, false, When::kSubNorms},
    {P::kDownNormIn, "down_norm_in", kNorm, {P::kFfnSubNorm, kNone}, kFf, W::kFfnDownNormIn, true, false, When::kNormsIn},
    {P::kFfnDown, "ffn_down", kProduct, {P::kDownNormIn, kNone}, kEmbd, W::kFfnDown, true, false},
    {P::kFfnPostNorm, "ffn_post_norm", kNorm, {P::kFfnDown, kNone}, kEmbd, W::kFfnPostNorm, true, false, When::kPostNorms},
    {P::kLayerOut, "layer_out", kAdd, {P::kFfnPostNorm, P::kFfnInp}, kEmbd, W::kNone, true, false},
    {P::kOutputNorm, "output_norm", kNorm, {P::kLayerOut, kNone}, kEmbd, W::kOutputNorm, false, false},
    {P::kLogits, "logits", kProduct, {P::kOutputNorm, kNone}, kVocab, W::kOutput, false, true},
  }};
}();
// clang-format on

struct WeightInfo {
  Weight weight;
  std::string_view name;  // GGUF: "blk.N.<name>.weight" in a layer, "<name>.weight" outside
  Width rows;             // kOne: a vector [cols]
  Width cols;
  bool in_layer;
  When when = When::kAlways;
};

// clang-format off
inline constexpr std::array<WeightInfo, kWeightCount> kWeights = [] {
  using W = Weight;
  using enum Width;
  return std::array<WeightInfo, kWeightCount>{{
    {W::kTokenEmbd, "token_embd", kVocab, kEmbd, false},
    {W::kAttnNorm, "attn_norm", kOne, kEmbd, true},
    {W::kAttnQNormIn, "attn_q_norm_in", kOne, kEmbd, true, When::kNormsIn},
    {W::kAttnQ, "attn_q", kQuery, kEmbd, true},
    {W::kAttnKNormIn, "attn_k_norm_in", kOne, kEmbd, true, When::kNormsIn},
    {W::kAttnK, "attn_k", kKv, kEmbd, true},
    {W::kAttnVNormIn, "attn_v_norm_in", kOne, kEmbd, true, When::kNormsIn},
    {W::kAttnV, "attn_v", kKv, kEmbd, true},
    {W::kAttnQNorm, "attn_q_norm", kOne, kHead, true, When::kHeadNorms},
    {W::kAttnKNorm, "attn_k_norm", kOne, kHead, true, When::kHeadNorms},
    {W::kAttnSubNorm, "attn_sub_norm", kOne, kQuery, true, When::kSubNorms},
    {W::kAttnOutputNormIn, "attn_output_norm_in", kOne, kQuery, true, When::kNormsIn},
    {W::kAttnOutput, "attn_output", kEmbd, kQuery, true},
    {W::kAttnPostNorm, "post_attention_norm", kOne, kEmbd, true, When::kPostNorms},
    {W::kFfnNorm, "ffn_norm", kOne, kEmbd, true},
    {W::kFfnGateNormIn, "ffn_gate_norm_in", kOne, kEmbd, true, When::kNormsIn},
    {W::kFfnGate, "ffn_gate", kFf, kEmbd, true},
    {W::kFfnUpNormIn, "ffn_up_norm_in", kOne, kEmbd, true, When::kNormsIn},
    {W::kFfnUp, "ffn_up", kFf, kEmbd, true},
    {W::kFfnSubNorm, "ffn_sub_norm", kOne, kFf, true, When::kSubNorms},
    {W::kFfnDownNormIn, "ffn_down_norm_in", kOne, kFf, true, When::kNormsIn},
    {W::kFfnDown, "ffn_down", kEmbd, kFf, true},
    {W::kFfnPostNorm, "post_ffw_norm", kOne, kEmbd, true, When::kPostNorms},
    {W::kOutputNorm, "output_norm", kOne, kEmbd, false},
    {W::kOutput, "output", kVocab, kEmbd, false},
  }};
}();
// clang-format on

// `point` must not be kUnknown.
constexpr const PointInfo& InfoOf(Point point) { return kGraph[static_cast<size_t>(point)]; }
constexpr const WeightInfo& InfoOf(Weight weight) { return kWeights[static_cast<size_t>(weight)]; }

constexpr std::string_view PointName(Point point) {
  return point == Point::kUnknown ? std::string_view("unknown") : InfoOf(point).name;
}

// kUnknown for a name that is none.
constexpr Point PointFromName(std::string_view name) {
  for (const PointInfo& p : kGraph) {
    if (p.name == name) return p.point;
  }
  return Point::kUnknown;
}

// "blk.3.attn_q.weight", "output.weight".
inline std::string TensorName(const WeightInfo& w, size_t layer) {
  const std::string name = std::string(w.name) + ".weight";
  return w.in_layer ? "blk." + std::to_string(layer) + "." + name : name;
}

constexpr bool Exists(When when, const GraphShape& shape) { return shape.parts.Has(when); }
constexpr bool Exists(const PointInfo& p, const GraphShape& shape) { return Exists(p.when, shape); }

// Numbers of a width; 0 for kKeys, which depends on the position.
constexpr size_t WidthOf(Width width, const GraphShape& shape) {
  switch (width) {
    case Width::kOne:
      return 1;
    case Width::kHead:
      return shape.head_dim;
    case Width::kEmbd:
      return shape.n_embd;
    case Width::kQuery:
      return shape.n_head * shape.head_dim;
    case Width::kKv:
      return shape.n_head_kv * shape.head_dim;
    case Width::kFf:
      return shape.n_ff;
    case Width::kVocab:
      return shape.n_vocab;
    case Width::kKeys:
      return 0;
  }
  return 0;
}

// Calls f(weight, layer) for each weight of a model, in the order of a model's file: what stands before the layers,
// layer by layer, what stands behind them. Outside the layers `layer` is 0.
template <class F>
constexpr void ForEachWeight(const GraphShape& shape, const F& f) {
  size_t begin = 0;
  while (!kWeights[begin].in_layer) ++begin;
  size_t end = begin;
  while (kWeights[end].in_layer) ++end;
  const auto some = [&](size_t from, size_t to, size_t layer) {
    for (size_t i = from; i < to; ++i) {
      if (Exists(kWeights[i].when, shape)) f(kWeights[i], layer);
    }
  };
  some(0, begin, 0);
  for (size_t layer = 0; layer < shape.n_layer; ++layer) some(begin, end, layer);
  some(end, kWeights.size(), 0);
}

// A tensor of one layer; -1 outside the layers.
struct Source {
  Point point = Point::kUnknown;
  int layer = -1;
  bool operator==(const Source&) const = default;
};

// Where input `which` of a point of `layer` comes from: a point that the model lacks hands on its own first input, and
// what enters the first layer is the embeddings.
constexpr Source SourceOf(const PointInfo& p, size_t which, int layer, const GraphShape& shape) {
  Point input = p.inputs[which];
  while (input != Point::kUnknown && !Exists(InfoOf(input), shape)) input = InfoOf(input).inputs[0];
  if (input == Point::kUnknown || !InfoOf(input).in_layer) return {input, -1};
  const int from = !p.in_layer ? static_cast<int>(shape.n_layer) - 1 : input >= p.point ? layer - 1 : layer;
  return from < 0 ? Source{Point::kEmbeddings, -1} : Source{input, from};
}

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_GRAPH_GRAPH_H_
