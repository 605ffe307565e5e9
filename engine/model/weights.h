// The tensors of a model, as views into its file.
#ifndef BITNET_PARITY_ENGINE_MODEL_WEIGHTS_H_
#define BITNET_PARITY_ENGINE_MODEL_WEIGHTS_H_

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "engine/formats/i2_s_layouts.h"
#include "engine/gguf/gguf.h"
#include "engine/graph/graph.h"
#include "engine/kernels/matmul.h"
#include "engine/model/hyperparameters.h"

namespace bitnet {

struct LayerWeights {
  std::array<std::span<const float>, kWeightCount> norms;  // by weight; empty where the model has none
  WeightMatrix attn_q;                                     // [n_head * n_embd_head, n_embd]
  WeightMatrix attn_k;                                     // [n_head_kv * n_embd_head, n_embd]
  WeightMatrix attn_v;                                     // [n_head_kv * n_embd_head, n_embd]
  WeightMatrix attn_output;                                // [n_embd, n_head * n_embd_head]
  WeightMatrix ffn_gate;                                   // [n_ff, n_embd]
  WeightMatrix ffn_up;                                     // [n_ff, n_embd]
  WeightMatrix ffn_down;                                   // [n_embd, n_ff]

  std::span<const float> norm(Weight weight) const { return norms[static_cast<size_t>(weight)]; }
};

struct ModelWeights {
  WeightMatrix token_embd;             // [n_vocab, n_embd]
  std::span<const float> output_norm;  // [n_embd]
  WeightMatrix output;                 // [n_vocab, n_embd]; token_embd where the file has no output.weight
  bool tied_output = true;
  std::span<const float> rope_divisors;  // [n_rot / 2]; empty where the file has no rope_freqs.weight
  std::vector<LayerWeights> layers;
  std::vector<std::shared_ptr<const std::vector<float>>> converted;      // norms that are F16 or BF16 in the file
  std::vector<std::shared_ptr<const std::vector<std::byte>>> rewritten;  // I2_S that is in another layout there
};

// Where a weight of the table is kept; nullptr if it is not a matrix, or not a vector. `layer` counts in the layers
// alone.
const WeightMatrix* FindMatrix(const ModelWeights& w, Weight weight, size_t layer);
const std::span<const float>* FindVector(const ModelWeights& w, Weight weight, size_t layer);

// Every tensor is looked up by its GGUF name and its shape is checked; an error names file, tensor, found and expected.
// Tensors that the file has and the architecture does not use are an error too: a forward pass that ignores a bias is
// wrong.
//
// I2_S tensors that the file holds in another layout than AllI2sLayouts().front() are rewritten to it in memory.
ModelWeights BindWeights(const GgufFile& file, const Hyperparameters& h,
                         const I2sLayout& i2s_layout = AllI2sLayouts().front());

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_WEIGHTS_H_
