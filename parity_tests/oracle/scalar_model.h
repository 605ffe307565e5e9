// Weights decoded once to what the scalar definitions of the products read.
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_SCALAR_MODEL_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_SCALAR_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/model.h"

namespace parity {

struct ScalarMatrix {
  bitnet::TensorType type = bitnet::TensorType::kF32;
  size_t rows = 0;
  size_t cols = 0;
  std::vector<float> f32;
  std::vector<uint16_t> f16;
  std::vector<uint8_t> codes;  // ternary: [rows, cols] in 0, 1, 2
  std::vector<float> d;        // TQ1_0, TQ2_0: scale of each block, [rows, cols/256]
  float scale = 1;             // I2_S
};

struct ScalarLayer {
  std::vector<float> attn_norm, attn_sub_norm, ffn_norm, ffn_sub_norm;
  ScalarMatrix q, k, v, o, gate, up, down;
};

struct ScalarModel {
  bitnet::Hyperparameters h;
  std::vector<float> output_norm;
  std::vector<float> embeddings;  // [n_vocab, n_embd]
  ScalarMatrix head;
  std::vector<std::shared_ptr<const ScalarLayer>> layers;
};

// How the bits of a ternary weight are read.
enum class CodeOrder { kInterleaved, kLinear };

ScalarMatrix Decode(const bitnet::WeightMatrix& w, CodeOrder order = CodeOrder::kInterleaved);
std::shared_ptr<const ScalarLayer> DecodeLayer(const bitnet::LayerWeights& w,
                                               CodeOrder order = CodeOrder::kInterleaved);
ScalarModel DecodeModel(const bitnet::Model& model);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_SCALAR_MODEL_H_
