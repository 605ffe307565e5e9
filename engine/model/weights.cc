#include "engine/model/weights.h"

#include <fmt/format.h>

#include <cstring>
#include <set>
#include <stdexcept>
#include <string>

namespace bitnet {
namespace {

class Binder {
 public:
  explicit Binder(const GgufFile& file) : file_(file) {}

  WeightMatrix Matrix(const std::string& name, uint64_t rows, uint64_t cols) {
    const TensorInfo& t = Find(name, {cols, rows});
    const std::span<const std::byte> data = file_.Data(t);
    WeightMatrix m{.type = t.type, .rows = rows, .cols = cols, .data = data.data()};
    if (t.type == TensorType::kI2_S) {
      std::memcpy(&m.scale, data.data() + rows * cols / 4, sizeof(float));
      if (!(m.scale == m.scale))
        throw std::runtime_error(fmt::format("{}: {}: the I2_S scale is not a number", file_.path(), name));
    }
    return m;
  }

  std::span<const float> Vector(const std::string& name, uint64_t size) {
    const TensorInfo& t = Find(name, {size});
    if (t.type != TensorType::kF32) {
      throw std::runtime_error(
          fmt::format("{}: {} is {}, expected F32: norms are never quantized", file_.path(), name, TypeName(t.type)));
    }
    const std::span<const std::byte> data = file_.Data(t);
    return {reinterpret_cast<const float*>(data.data()), size};
  }

  void RefuseUnused() const {
    for (const TensorInfo& t : file_.tensors()) {
      if (!used_.contains(t.name)) {
        throw std::runtime_error(
            fmt::format("{}: tensor {} is not part of this architecture as this engine runs it; without it the result "
                        "would be wrong",
                        file_.path(), t.name));
      }
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
};

}  // namespace

ModelWeights BindWeights(const GgufFile& file, const Hyperparameters& h) {
  Binder bind(file);
  const uint64_t q_width = uint64_t{h.n_head} * h.n_embd_head;
  const uint64_t kv_width = uint64_t{h.n_head_kv} * h.n_embd_head;
  ModelWeights w;
  w.token_embd = bind.Matrix("token_embd.weight", h.n_vocab, h.n_embd);
  if (w.token_embd.type == TensorType::kI2_S) {
    throw std::runtime_error(fmt::format(
        "{}: token_embd.weight is I2_S; this engine reads embeddings as F32, F16, BF16, Q8_0 or Q6_K", file.path()));
  }
  w.output_norm = bind.Vector("output_norm.weight", h.n_embd);
  w.tied_output = file.FindTensor("output.weight") == nullptr;
  w.output = w.tied_output ? w.token_embd : bind.Matrix("output.weight", h.n_vocab, h.n_embd);
  for (uint32_t i = 0; i < h.n_layer; ++i) {
    const auto name = [i](const char* part) { return fmt::format("blk.{}.{}.weight", i, part); };
    LayerWeights l;
    l.attn_norm = bind.Vector(name("attn_norm"), h.n_embd);
    l.ffn_norm = bind.Vector(name("ffn_norm"), h.n_embd);
    if (h.has_sub_norms) {
      l.attn_sub_norm = bind.Vector(name("attn_sub_norm"), q_width);
      l.ffn_sub_norm = bind.Vector(name("ffn_sub_norm"), h.n_ff);
    }
    l.attn_q = bind.Matrix(name("attn_q"), q_width, h.n_embd);
    l.attn_k = bind.Matrix(name("attn_k"), kv_width, h.n_embd);
    l.attn_v = bind.Matrix(name("attn_v"), kv_width, h.n_embd);
    l.attn_output = bind.Matrix(name("attn_output"), h.n_embd, q_width);
    l.ffn_gate = bind.Matrix(name("ffn_gate"), h.n_ff, h.n_embd);
    l.ffn_up = bind.Matrix(name("ffn_up"), h.n_ff, h.n_embd);
    l.ffn_down = bind.Matrix(name("ffn_down"), h.n_embd, h.n_ff);
    w.layers.push_back(l);
  }
  bind.RefuseUnused();
  return w;
}

}  // namespace bitnet
