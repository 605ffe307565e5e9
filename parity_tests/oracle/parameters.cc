#include "parity_tests/oracle/parameters.h"

#include <cmath>
#include <stdexcept>

namespace parity {

using bitnet::LayerWeights;
using bitnet::Op;
using bitnet::Weight;

const bitnet::WeightMatrix& MatrixOf(const bitnet::Model& model, Weight weight, int layer) {
  if (weight == Weight::kTokenEmbd) return model.weights.token_embd;
  if (weight == Weight::kOutput) return model.weights.output;
  const LayerWeights& w = model.weights.layers.at(static_cast<size_t>(layer));
  switch (weight) {
    case Weight::kAttnQ:
      return w.attn_q;
    case Weight::kAttnK:
      return w.attn_k;
    case Weight::kAttnV:
      return w.attn_v;
    case Weight::kAttnOutput:
      return w.attn_output;
    case Weight::kFfnGate:
      return w.ffn_gate;
    case Weight::kFfnUp:
      return w.ffn_up;
    case Weight::kFfnDown:
      return w.ffn_down;
    default:
      throw std::logic_error("this weight is not a matrix");
  }
}

std::span<const float> GammaOf(const bitnet::Model& model, Weight weight, int layer) {
  if (weight == Weight::kOutputNorm) return model.weights.output_norm;
  const LayerWeights& w = model.weights.layers.at(static_cast<size_t>(layer));
  switch (weight) {
    case Weight::kAttnNorm:
      return w.attn_norm;
    case Weight::kAttnSubNorm:
      return w.attn_sub_norm;
    case Weight::kFfnNorm:
      return w.ffn_norm;
    case Weight::kFfnSubNorm:
      return w.ffn_sub_norm;
    default:
      throw std::logic_error("this weight is not a vector");
  }
}

Parameters ParametersOf(const bitnet::Model& model, Point point, int layer) {
  const bitnet::Hyperparameters& h = model.hyperparameters;
  const bitnet::PointInfo& info = bitnet::InfoOf(point);
  Parameters p;
  switch (info.op) {
    case Op::kNorm: {
      const std::span<const float> gamma = GammaOf(model, info.weight, layer);
      p.norm.gamma.assign(gamma.begin(), gamma.end());
      p.norm.eps = h.rms_norm_eps;
      break;
    }
    case Op::kLookup:
    case Op::kProduct:
      p.product.w = MatrixOf(model, info.weight, layer);
      break;
    case Op::kRope:
      p.rope.base = h.rope_freq_base;
      p.rope.layout = h.rope_layout;
      break;
    case Op::kScores:
    case Op::kSoftmax:
    case Op::kValues:
      p.attention.scale = 1.0f / std::sqrt(static_cast<float>(h.n_embd_head));
      break;
    case Op::kGate:
      p.gate.activation = h.activation;
      break;
    case Op::kAdd:
      break;
  }
  return p;
}

}  // namespace parity
