#include "engine/model/hyperparameters.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

namespace bitnet {
namespace {

constexpr Architecture kArchitectures[] = {
    {"bitnet", Activation::kSilu, true, RopeLayout::kNeox},
    {"bitnet-b1.58", Activation::kSquaredRelu, true, RopeLayout::kNeox},
    {"bitnet-25", Activation::kSquaredRelu, true, RopeLayout::kNeox},
    {"llama", Activation::kSilu, false, RopeLayout::kInterleaved},
};

uint32_t ReadCount(const GgufFile& file, const std::string& key, uint32_t at_most) {
  const uint32_t value = file.Get<uint32_t>(key);
  if (value == 0 || value > at_most) {
    throw std::runtime_error(fmt::format("{}: {} is {}, expected 1 to {}", file.path(), key, value, at_most));
  }
  return value;
}

// The scaled variants of RoPE turn other angles; to run such a model as if it had none would be fluent nonsense.
void RefuseRopeScaling(const GgufFile& file, const std::string& arch) {
  const std::string key = arch + ".rope.scaling.type";
  if (!file.Has(key)) return;
  const std::string type = file.Get<std::string>(key);
  if (type != "none") {
    throw std::runtime_error(
        fmt::format("{}: {} is '{}'; this engine runs models without RoPE scaling ('none')", file.path(), key, type));
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
          .has_sub_norms = h.has_sub_norms};
}

Hyperparameters ReadHyperparameters(const GgufFile& file) {
  Hyperparameters h;
  h.architecture = file.Get<std::string>("general.architecture");
  const Architecture* arch = FindArchitecture(h.architecture);
  if (arch == nullptr) {
    throw std::runtime_error(fmt::format("{}: general.architecture is '{}'; this engine runs {}", file.path(),
                                         h.architecture, ArchitectureNames("and")));
  }
  h.activation = arch->activation;
  h.has_sub_norms = arch->has_sub_norms;
  h.rope_layout = arch->rope_layout;
  const std::string p = h.architecture + ".";
  h.n_embd = ReadCount(file, p + "embedding_length", 1 << 20);
  h.n_layer = ReadCount(file, p + "block_count", 1 << 12);
  h.n_head = ReadCount(file, p + "attention.head_count", 1 << 12);
  h.n_head_kv =
      file.Has(p + "attention.head_count_kv") ? ReadCount(file, p + "attention.head_count_kv", h.n_head) : h.n_head;
  h.n_ff = ReadCount(file, p + "feed_forward_length", 1 << 22);
  h.n_ctx_train = ReadCount(file, p + "context_length", 1u << 30);
  h.file_type = file.GetOr<uint32_t>("general.file_type", 0);
  const std::string head_key = p + "attention.key_length";
  if (file.Has(head_key)) {
    h.n_embd_head = ReadCount(file, head_key, 1 << 16);
    const uint32_t value_length = file.GetOr<uint32_t>(p + "attention.value_length", h.n_embd_head);
    if (value_length != h.n_embd_head) {
      throw std::runtime_error(fmt::format("{}: {}attention.value_length is {}, expected {} (attention.key_length)",
                                           file.path(), p, value_length, h.n_embd_head));
    }
  } else if (h.n_embd % h.n_head != 0) {
    throw std::runtime_error(fmt::format("{}: {}embedding_length {} is no multiple of attention.head_count {}",
                                         file.path(), p, h.n_embd, h.n_head));
  } else {
    h.n_embd_head = h.n_embd / h.n_head;
  }
  if (h.n_head % h.n_head_kv != 0) {
    throw std::runtime_error(fmt::format("{}: {}attention.head_count {} is no multiple of attention.head_count_kv {}",
                                         file.path(), p, h.n_head, h.n_head_kv));
  }
  h.n_rot = file.GetOr<uint32_t>(p + "rope.dimension_count", h.n_embd_head);
  if (h.n_rot == 0 || h.n_rot % 2 != 0 || h.n_rot > h.n_embd_head) {
    throw std::runtime_error(fmt::format("{}: {}rope.dimension_count is {}, expected an even number up to {}",
                                         file.path(), p, h.n_rot, h.n_embd_head));
  }
  h.rope_freq_base = file.GetOr<float>(p + "rope.freq_base", 10000.0f);
  if (!(h.rope_freq_base > 0) || !std::isfinite(h.rope_freq_base)) {
    throw std::runtime_error(
        fmt::format("{}: {}rope.freq_base is {}, expected a positive number", file.path(), p, h.rope_freq_base));
  }
  h.rms_norm_eps = file.Get<float>(p + "attention.layer_norm_rms_epsilon");
  if (!(h.rms_norm_eps >= 0) || !std::isfinite(h.rms_norm_eps)) {
    throw std::runtime_error(fmt::format("{}: {}attention.layer_norm_rms_epsilon is {}, expected zero or more",
                                         file.path(), p, h.rms_norm_eps));
  }
  RefuseRopeScaling(file, h.architecture);
  const uint64_t vocab = file.Tensor("token_embd.weight").rows();
  if (vocab == 0 || vocab > (1u << 24)) {
    throw std::runtime_error(
        fmt::format("{}: token_embd.weight has {} rows, expected 1 to {}", file.path(), vocab, 1 << 24));
  }
  h.n_vocab = static_cast<uint32_t>(vocab);
  return h;
}

}  // namespace bitnet
