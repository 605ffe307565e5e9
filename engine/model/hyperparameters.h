// What a model file says about its shape.
#ifndef BITNET_PARITY_ENGINE_MODEL_HYPERPARAMETERS_H_
#define BITNET_PARITY_ENGINE_MODEL_HYPERPARAMETERS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf.h"
#include "engine/graph/graph.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/rope.h"

namespace bitnet {

// "silu", "relu2", "gelu": as models call them.
std::string_view ActivationName(Activation activation);

// What a name in general.architecture stands for.
struct Architecture {
  std::string_view name = {};
  Activation activation = Activation::kSilu;
  Parts parts = {};
  RopeLayout rope_layout = RopeLayout::kNeox;
  bool may_have_more = false;      // biases, rope_freqs.weight
  bool may_have_norms_in = false;  // bitnet.cpp's embedding models: a norm in front of each projection
  bool copies_embeddings = false;  // llama.cpp multiplies with a copy of them where the head is tied
  bool scales = false;             // embeddings by sqrt(n_embd); queries, in the place of their scores
  uint32_t window_every = 0;       // one layer in so many has no window; 0: the file's window is not read
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
  uint32_t file_type = 0;           // general.file_type
  uint32_t window = 0;              // keys that a position attends in a windowed layer, its own among them; 0: all
  std::vector<bool> windowed = {};  // by layer; empty: none
  float rope_freq_base = 10000.0f;
  float window_rope_freq_base = 10000.0f;  // of windowed layers, whose angles are never scaled
  float rms_norm_eps = 0.0f;
  float embedding_scale = 1.0f;
  float query_scale = 1.0f;      // of the queries, behind RoPE
  float attention_scale = 1.0f;  // of the scores
  RopeLayout rope_layout = RopeLayout::kNeox;
  RopeScaling rope_scaling;
  Activation activation = Activation::kSilu;  // the architecture's, or what hidden_activation says
  Parts parts;

  bool IsWindowed(size_t layer) const { return !windowed.empty() && windowed[layer]; }
  // What the layer's RoPE and mask are: the base, the scaling, the keys attended (0: all).
  float RopeBase(size_t layer) const { return IsWindowed(layer) ? window_rope_freq_base : rope_freq_base; }
  RopeScaling RopeScalingOf(size_t layer) const {
    return IsWindowed(layer) ? RopeScaling{.magnitude = rope_scaling.magnitude} : rope_scaling;
  }
  uint32_t WindowOf(size_t layer) const { return IsWindowed(layer) ? window : 0; }
};

// What the table of the forward pass needs to know.
GraphShape ShapeOf(const Hyperparameters& h);

// From `{architecture}.*`. Every count is checked: an error names file, key, what was found and what was expected. A
// count may be an array of one number a layer, all equal. A key that asks for another forward pass than this engine's
// is an error.
Hyperparameters ReadHyperparameters(const GgufFile& file);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_HYPERPARAMETERS_H_
