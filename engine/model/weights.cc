#include "engine/model/weights.h"

#include <fmt/format.h>

#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "engine/formats/codec.h"

namespace bitnet {
namespace {

bool HasKernel(const Format& format) { return HasMatMul(format.type); }

class Binder {
 public:
  Binder(const GgufFile& file, const I2sLayout& i2s_layout, ModelWeights& weights)
      : file_(file), i2s_layout_(i2s_layout), weights_(weights) {}

  WeightMatrix Matrix(const std::string& name, uint64_t rows, uint64_t cols) {
    const TensorInfo& t = Find(name, {cols, rows});
    if (!t.is_own() || !HasMatMul(t.type)) {
      throw std::runtime_error(fmt::format("{}: {} is {}; this engine multiplies with {}; {}", file_.path(), name,
                                           t.type_name(), JoinNames(NamesWhere(HasKernel), "and"), RemedyFor(t)));
    }
    std::span<const std::byte> data = file_.Data(t);
    if (t.type == TensorType::kI2_S && i2s_layout_ != AllI2sLayouts().front()) {
      auto own = std::make_shared<std::vector<std::byte>>(RewriteI2s(data, rows, cols, i2s_layout_));
      data = *weights_.rewritten.emplace_back(std::move(own));
    }
    const float scale = TensorScale(t.type, data);
    if (scale != scale) {
      throw std::runtime_error(
          fmt::format("{}: {}: the {} scale is not a number", file_.path(), name, TypeName(t.type)));
    }
    return {.type = t.type, .rows = rows, .cols = cols, .data = data.data(), .scale = scale};
  }

  // What llama.cpp reads beside the weights `name` of a layer.
  void SideTensors(const std::string& name, bool may_have_bias, WeightMatrix& w) {
    const std::string base = name.substr(0, name.rfind('.'));
    const bool scaled = file_.FindTensor(base + ".scale") != nullptr;
    if (scaled) w.side_scale = Vector(base + ".scale", 1)[0];
    if (!may_have_bias || file_.FindTensor(base + ".bias") == nullptr) return;
    w.bias = Vector(base + ".bias", w.rows).data();
    if (scaled) {
      throw std::runtime_error(fmt::format(
          "{}: {} has a scale and a bias, expected one of them: llama.cpp applies them in another order in attention "
          "than in the feed-forward; multiply the scale into the weights",
          file_.path(), base));
    }
  }

  std::span<const float> Vector(const std::string& name, uint64_t size) {
    const TensorInfo& t = Find(name, {size});
    const std::span<const std::byte> data = file_.Data(t);
    if (t.type == TensorType::kF32) return {reinterpret_cast<const float*>(data.data()), size};
    if (t.type != TensorType::kF16 && t.type != TensorType::kBF16) {
      throw std::runtime_error(fmt::format("{}: {} is {}, expected F32, F16 or BF16: norms are never quantized",
                                           file_.path(), name, t.type_name()));
    }
    auto values = std::make_shared<std::vector<float>>(size);
    DequantizeTensor(t.type, data, 1, size, *values);
    return *weights_.converted.emplace_back(std::move(values));
  }

  void RefuseUnused() const {
    for (const TensorInfo& t : file_.tensors()) {
      if (used_.contains(t.name)) continue;
      if (constexpr std::string_view kEnd = ".weight_scale"; t.name.ends_with(kEnd)) {
        throw std::runtime_error(fmt::format(
            "{}: tensor {} is a scale beside its weights under a name that bitnet.cpp's converters for TL1 and TL2 "
            "give it, expected none, or {}.scale, which the product is multiplied by; convert the model to I2_S or "
            "TQ2_0",
            file_.path(), t.name, t.name.substr(0, t.name.size() - kEnd.size())));
      }
      throw std::runtime_error(
          fmt::format("{}: tensor {} is not part of this architecture as this engine runs it; without it the result "
                      "would be wrong",
                      file_.path(), t.name));
    }
  }

 private:
  const TensorInfo& Find(const std::string& name, const std::vector<uint64_t>& shape) {
    const TensorInfo& t = file_.Tensor(name);
    std::vector<uint64_t> found = t.shape;
    while (found.size() > shape.size() && found.back() == 1) found.pop_back();
    if (found != shape) {
      throw std::runtime_error(fmt::format("{}: {} has shape [{}], expected [{}]", file_.path(), name,
                                           fmt::join(t.shape, ", "), fmt::join(shape, ", ")));
    }
    used_.insert(name);
    return t;
  }

  const GgufFile& file_;
  std::set<std::string> used_;
  const I2sLayout& i2s_layout_;
  ModelWeights& weights_;  // keeps what is not as the file has it
};

struct LayerMatrix {
  Weight weight;
  WeightMatrix LayerWeights::*member;
};
constexpr LayerMatrix kLayerMatrices[] = {
    {Weight::kAttnQ, &LayerWeights::attn_q},     {Weight::kAttnK, &LayerWeights::attn_k},
    {Weight::kAttnV, &LayerWeights::attn_v},     {Weight::kAttnOutput, &LayerWeights::attn_output},
    {Weight::kFfnGate, &LayerWeights::ffn_gate}, {Weight::kFfnUp, &LayerWeights::ffn_up},
    {Weight::kFfnDown, &LayerWeights::ffn_down},
};
// Of constant weights or others.
template <class W>
auto MatrixIn(W& w, Weight weight, size_t layer) -> decltype(&w.output) {
  if (weight == Weight::kTokenEmbd) return &w.token_embd;
  if (weight == Weight::kOutput) return &w.output;
  for (const LayerMatrix& m : kLayerMatrices) {
    if (m.weight == weight) return &(w.layers.at(layer).*m.member);
  }
  return nullptr;
}

template <class W>
auto VectorIn(W& w, Weight weight, size_t layer) -> decltype(&w.output_norm) {
  if (weight == Weight::kOutputNorm) return &w.output_norm;
  const WeightInfo& info = InfoOf(weight);
  return info.in_layer && info.rows == Width::kOne ? &w.layers.at(layer).norms[static_cast<size_t>(weight)] : nullptr;
}

}  // namespace

const WeightMatrix* FindMatrix(const ModelWeights& w, Weight weight, size_t layer) {
  return MatrixIn(w, weight, layer);
}
const std::span<const float>* FindVector(const ModelWeights& w, Weight weight, size_t layer) {
  return VectorIn(w, weight, layer);
}

ModelWeights BindWeights(const GgufFile& file, const Hyperparameters& h, const I2sLayout& i2s_layout) {
  const Architecture& architecture = *FindArchitecture(h.architecture);
  const GraphShape shape = ShapeOf(h);
  ModelWeights w;
  Binder bind(file, i2s_layout, w);
  w.layers.resize(shape.n_layer);
  ForEachWeight(shape, [&](const WeightInfo& info, size_t layer) {
    const std::string name = TensorName(info, layer);
    if (info.weight == Weight::kOutput && file.FindTensor(name) == nullptr) {
      w.output = w.token_embd;
      w.output.looked_up = !architecture.copies_embeddings;
      return;
    }
    const size_t rows = WidthOf(info.rows, shape), cols = WidthOf(info.cols, shape);
    if (WeightMatrix* matrix = MatrixIn(w, info.weight, layer)) {
      *matrix = bind.Matrix(name, rows, cols);
      matrix->looked_up = info.weight == Weight::kTokenEmbd;
      if (info.in_layer) bind.SideTensors(name, architecture.may_have_more, *matrix);
    } else {
      *VectorIn(w, info.weight, layer) = bind.Vector(name, cols);
    }
    if (info.weight == Weight::kOutput) w.tied_output = false;
  });
  constexpr char kRopeFreqs[] = "rope_freqs.weight";
  if (architecture.may_have_more && file.FindTensor(kRopeFreqs) != nullptr) {
    w.rope_divisors = bind.Vector(kRopeFreqs, h.n_rot / 2);
  }
  if (!FormatOf(w.token_embd.type).has_whole_rows()) {
    throw std::runtime_error(fmt::format("{}: token_embd.weight is {}; this engine reads embeddings as {}", file.path(),
                                         TypeName(w.token_embd.type), JoinNames(NamesWhere(&Format::has_whole_rows))));
  }
  bind.RefuseUnused();
  return w;
}

}  // namespace bitnet
