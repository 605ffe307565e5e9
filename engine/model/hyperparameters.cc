#include "engine/model/hyperparameters.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

namespace bitnet {
namespace {

constexpr Architecture kArchitectures[] = {
    {.name = "bitnet", .activation = Activation::kSilu, .parts = Parts(When::kSubNorms)},
    {.name = "bitnet-b1.58", .activation = Activation::kSquaredRelu, .parts = Parts(When::kSubNorms)},
    {.name = "bitnet-25", .activation = Activation::kSquaredRelu, .parts = Parts(When::kSubNorms)},
    {.name = "llama",
     .activation = Activation::kSilu,
     .rope_layout = RopeLayout::kInterleaved,
     .may_have_more = true,
     .copies_embeddings = true},
    {.name = "qwen3",
     .activation = Activation::kSilu,
     .parts = Parts(When::kHeadNorms),
     .may_have_norms_in = true,
     .copies_embeddings = true},
    {.name = "gemma3",
     .activation = Activation::kGelu,
     .parts = Parts(When::kHeadNorms, When::kPostNorms),
     .may_have_norms_in = true,
     .copies_embeddings = true,
     .scales = true,
     .window_every = 6},
};
constexpr std::string_view kActivationNames[] = {"silu", "relu2", "gelu"};

// Reads `{architecture}.*`, each key by the rest of its name.
class KeyReader {
 public:
  KeyReader(const GgufFile& file, const std::string& architecture) : file_(file), prefix_(architecture + ".") {}

  bool Has(std::string_view name) const { return file_.Has(Key(name)); }

  template <class T>
  T GetOr(std::string_view name, T fallback) const {
    return file_.GetOr<T>(Key(name), std::move(fallback));
  }

  uint32_t Count(std::string_view name, uint32_t at_most) const {
    const uint32_t value = OneForAllLayers(name);
    if (value == 0 || value > at_most) Fail(name, value, fmt::format("1 to {}", at_most));
    return value;
  }

  float Float(std::string_view name, std::optional<float> fallback, bool may_be_zero) const {
    const float value = fallback ? GetOr<float>(name, *fallback) : file_.Get<float>(Key(name));
    if (!std::isfinite(value) || value < 0 || (value == 0 && !may_be_zero)) {
      Fail(name, value, may_be_zero ? "zero or more" : "a positive number");
    }
    return value;
  }

  template <class T>
  [[noreturn]] void Fail(std::string_view name, const T& found, std::string_view expected) const {
    throw std::runtime_error(fmt::format("{}: {} is {}, expected {}; convert the model again, or override the key",
                                         file_.path(), Key(name), found, expected));
  }

 private:
  std::string Key(std::string_view name) const { return prefix_ + std::string(name); }

  // A number, or an array with the same number for each layer.
  uint32_t OneForAllLayers(std::string_view name) const {
    const MetadataValue* value = file_.Find(Key(name));
    if (value == nullptr || !std::holds_alternative<std::shared_ptr<MetadataArray>>(*value)) {
      return file_.Get<uint32_t>(Key(name));
    }
    const auto layers = file_.Get<std::vector<uint32_t>>(Key(name));
    const auto n_layer = file_.Get<uint32_t>(Key("block_count"));
    if (layers.size() != n_layer) {
      Fail(name, fmt::format("an array of {}", layers.size()), fmt::format("one number, or {} of them", n_layer));
    }
    for (size_t i = 1; i < layers.size(); ++i) {
      if (layers[i] == layers[0]) continue;
      Fail(name, fmt::format("{} in layer 0 and {} in layer {}", layers[0], layers[i], i),
           "one number for all layers: this engine runs layers of one shape");
    }
    return layers[0];
  }

  const GgufFile& file_;
  std::string prefix_;
};

void ReadHeads(const KeyReader& keys, Hyperparameters& h) {
  if (h.n_head % h.n_head_kv != 0) {
    keys.Fail("attention.head_count", h.n_head, fmt::format("a multiple of attention.head_count_kv {}", h.n_head_kv));
  }
  if (keys.Has("attention.key_length")) {
    h.n_embd_head = keys.Count("attention.key_length", 1 << 16);
  } else if (h.n_embd % h.n_head != 0) {
    keys.Fail("embedding_length", h.n_embd, fmt::format("a multiple of attention.head_count {}", h.n_head));
  } else {
    h.n_embd_head = h.n_embd / h.n_head;
  }
  if (const auto length = keys.GetOr<uint32_t>("attention.value_length", h.n_embd_head); length != h.n_embd_head) {
    keys.Fail("attention.value_length", length, fmt::format("{}, the length of keys", h.n_embd_head));
  }
  h.n_rot = keys.GetOr<uint32_t>("rope.dimension_count", h.n_embd_head);
  if (h.n_rot == 0 || h.n_rot % 2 != 0 || h.n_rot > h.n_embd_head) {
    keys.Fail("rope.dimension_count", h.n_rot, fmt::format("an even number up to {}", h.n_embd_head));
  }
}

// As llama.cpp v0.5.0 reads it: a factor without a type is linear, rope.scale_linear is its old name, 0 stands for no
// factor, and YaRN's other keys (yarn_ext_factor, yarn_beta_fast ...) are not read for these architectures.
RopeScaling ReadRopeScaling(const KeyReader& keys, const Hyperparameters& h) {
  const std::string type = keys.GetOr<std::string>("rope.scaling.type", "linear");
  const char* key = keys.Has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  float factor = keys.Float(key, 0.0f, true);
  const float attention = keys.Float("rope.scaling.attn_factor", 1.0f, true);
  const uint32_t n_ctx = keys.GetOr<uint32_t>("rope.scaling.original_context_length", 0);
  if (factor == 0) factor = 1;
  if (type == "none") return {.magnitude = attention};
  if (type == "linear") return {.frequency = 1.0f / factor, .magnitude = attention};
  if (type == "yarn")
    return YarnScaling(factor, h.n_rot, h.rope_freq_base, n_ctx != 0 ? n_ctx : h.n_ctx_train, attention);
  keys.Fail("rope.scaling.type", fmt::format("'{}'", type),
            "'none', 'linear' or 'yarn': this engine does not run the model");
}

// The file's word, where it has one: converters give both kinds of BitNet one architecture.
Activation ReadActivation(const KeyReader& keys, Activation of_architecture) {
  const auto name = keys.GetOr<std::string>("hidden_activation", std::string(ActivationName(of_architecture)));
  for (const Activation a : {Activation::kSilu, Activation::kSquaredRelu, Activation::kGelu}) {
    if (name == ActivationName(a)) return a;
  }
  keys.Fail("hidden_activation", fmt::format("'{}'", name),
            "'silu', 'relu2' or 'gelu', the activations of this engine");
}

// As llama.cpp v0.5.0 reads it for gemma3: without a pattern every sixth layer attends to all keys; a number says which
// ones do; an array says it for each layer.
void ReadWindow(const GgufFile& file, const KeyReader& keys, uint32_t every, Hyperparameters& h) {
  if (every == 0) return;
  h.window = keys.GetOr<uint32_t>("attention.sliding_window", 0);
  h.window_rope_freq_base = keys.Float("rope.freq_base_swa", 10000.0f, false);
  if (h.window == 0) return;
  constexpr char kPattern[] = "attention.sliding_window_pattern";
  const MetadataValue* pattern = file.Find(h.architecture + "." + kPattern);
  if (pattern != nullptr && std::holds_alternative<std::shared_ptr<MetadataArray>>(*pattern)) {
    h.windowed = keys.GetOr<std::vector<bool>>(kPattern, {});
    if (h.windowed.size() < h.n_layer) {
      keys.Fail(kPattern, fmt::format("an array of {}", h.windowed.size()), fmt::format("{} layers", h.n_layer));
    }
  } else {
    every = keys.GetOr<uint32_t>(kPattern, every);
    for (uint32_t layer = 0; layer < h.n_layer; ++layer) {
      h.windowed.push_back(every == 0 || layer % every < every - 1);
    }
  }
  if (h.rope_scaling.yarn) keys.Fail("rope.scaling.type", "'yarn'", "'linear' beside a sliding window");
}

// What Gemma multiplies with. Its 27B has queries scaled by the width, not by the heads'.
void ReadScales(const KeyReader& keys, Hyperparameters& h) {
  constexpr uint32_t kLayersOf27b = 62;
  h.embedding_scale = std::sqrt(static_cast<float>(h.n_embd));
  h.query_scale = 1.0f / std::sqrt(static_cast<float>(h.n_layer == kLayersOf27b ? h.n_embd / h.n_head : h.n_embd_head));
  h.attention_scale = 1.0f;
  if (const float cap = keys.GetOr<float>("final_logit_softcapping", 0.0f); cap != 0) {
    keys.Fail("final_logit_softcapping", cap, "0: this engine does not cap logits");
  }
}

// What these architectures mean in llama.cpp with a key at this value, this engine does not compute.
void RefuseOtherPasses(const KeyReader& keys) {
  constexpr std::pair<const char*, const char*> kCounts[] = {
      {"expert_count", "0: this engine runs no mixture of experts"},
      {"nextn_predict_layers", "0: this engine runs no layers that predict further tokens"},
  };
  for (const auto& [name, expected] : kCounts) {
    if (const auto n = keys.GetOr<uint32_t>(name, 0); n != 0) keys.Fail(name, n, expected);
  }
  if (!keys.GetOr<bool>("attention.causal", true)) {
    keys.Fail("attention.causal", false, "true: in this engine a position attends none behind it");
  }
}

}  // namespace

std::span<const Architecture> AllArchitectures() { return kArchitectures; }

const Architecture* FindArchitecture(std::string_view name) {
  for (const Architecture& a : kArchitectures) {
    if (name == a.name) return &a;
  }
  return nullptr;
}

std::string_view ActivationName(Activation activation) { return kActivationNames[static_cast<size_t>(activation)]; }

std::string ArchitectureNames(std::string_view last) {
  std::vector<std::string> names;
  for (const Architecture& a : kArchitectures) names.emplace_back(a.name);
  return JoinNames(names, last);
}

GraphShape ShapeOf(const Hyperparameters& h) {
  return {.n_vocab = h.n_vocab,
          .n_embd = h.n_embd,
          .n_layer = h.n_layer,
          .n_head = h.n_head,
          .n_head_kv = h.n_head_kv,
          .head_dim = h.n_embd_head,
          .n_ff = h.n_ff,
          .parts = h.parts};
}

Hyperparameters ReadHyperparameters(const GgufFile& file) {
  Hyperparameters h;
  h.architecture = file.Get<std::string>("general.architecture");
  const Architecture* arch = FindArchitecture(h.architecture);
  if (arch == nullptr) {
    throw std::runtime_error(fmt::format("{}: general.architecture is '{}'; this engine runs {}", file.path(),
                                         h.architecture, ArchitectureNames("and")));
  }
  h.parts = arch->parts;
  if (arch->may_have_norms_in && file.FindTensor(TensorName(InfoOf(Weight::kAttnQNormIn), 0)) != nullptr) {
    h.parts.Add(When::kNormsIn);
  }
  h.rope_layout = arch->rope_layout;
  const KeyReader keys(file, h.architecture);
  RefuseOtherPasses(keys);
  h.activation = ReadActivation(keys, arch->activation);
  h.n_embd = keys.Count("embedding_length", 1 << 20);
  h.n_layer = keys.Count("block_count", 1 << 12);
  h.n_head = keys.Count("attention.head_count", 1 << 12);
  h.n_head_kv = keys.Has("attention.head_count_kv") ? keys.Count("attention.head_count_kv", h.n_head) : h.n_head;
  h.n_ff = keys.Count("feed_forward_length", 1 << 22);
  h.n_ctx_train = keys.Count("context_length", 1u << 30);
  h.file_type = file.GetOr<uint32_t>("general.file_type", 0);
  ReadHeads(keys, h);
  h.rope_freq_base = keys.Float("rope.freq_base", 10000.0f, false);
  h.rms_norm_eps = keys.Float("attention.layer_norm_rms_epsilon", {}, true);
  h.rope_scaling = ReadRopeScaling(keys, h);
  h.attention_scale = 1.0f / std::sqrt(static_cast<float>(h.n_embd_head));
  if (arch->scales) ReadScales(keys, h);
  ReadWindow(file, keys, arch->window_every, h);
  const uint64_t vocab = file.Tensor("token_embd.weight").rows();
  if (vocab == 0 || vocab > (1u << 24)) {
    throw std::runtime_error(
        fmt::format("{}: token_embd.weight has {} rows, expected 1 to {}", file.path(), vocab, 1 << 24));
  }
  h.n_vocab = static_cast<uint32_t>(vocab);
  return h;
}

}  // namespace bitnet
