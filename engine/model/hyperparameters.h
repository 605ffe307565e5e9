// What a model file says about its shape.
#ifndef BITNET_PARITY_ENGINE_MODEL_HYPERPARAMETERS_H_
#define BITNET_PARITY_ENGINE_MODEL_HYPERPARAMETERS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/gguf/gguf.h"
#include "engine/graph/graph.h"
#include "engine/kernels/rope.h"

namespace bitnet {

enum class Activation { kSilu, kSquaredRelu };

// "silu", "relu2": as models call them.
std::string_view ActivationName(Activation activation);

// What a name in general.architecture stands for.
struct Architecture {
  std::string_view name;
  Activation activation;
  bool has_sub_norms;  // attn_sub_norm before attn_output, ffn_sub_norm before ffn_down
  RopeLayout rope_layout;
  bool may_have_more;  // biases, rope_freqs.weight
};
std::span<const Architecture> AllArchitectures();
// nullptr if this engine does not run it.
const Architecture* FindArchitecture(std::string_view name);
// "bitnet, bitnet-b1.58, bitnet-25 and llama", with `last` before the last one.
std::string ArchitectureNames(std::string_view last);

struct Hyperparameters {
  std::string architecture;
  uint32_t n_vocab = 0;
  uint32_t n_embd = 0;
  uint32_t n_layer = 0;
  uint32_t n_head = 0;
  uint32_t n_head_kv = 0;
  uint32_t n_embd_head = 0;  // numbers in one head of K and V
  uint32_t n_ff = 0;
  uint32_t n_rot = 0;  // numbers of a head that RoPE turns
  uint32_t n_ctx_train = 0;
  uint32_t file_type = 0;  // general.file_type
  float rope_freq_base = 10000.0f;
  float rms_norm_eps = 0.0f;
  RopeLayout rope_layout = RopeLayout::kNeox;
  RopeScaling rope_scaling;
  Activation activation = Activation::kSilu;  // the architecture's, or what hidden_activation says
  bool has_sub_norms = false;
};

// What the table of the forward pass needs to know.
GraphShape ShapeOf(const Hyperparameters& h);

// From `{architecture}.*`. Every count is checked: an error names file, key, what was found and what was expected. A
// count may be an array of one number a layer, all equal. A key that asks for another forward pass than this engine's
// is an error.
Hyperparameters ReadHyperparameters(const GgufFile& file);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_HYPERPARAMETERS_H_
