// What an operation of the forward pass depends on beside its inputs.
//
//   Parameters p = ParametersOf(model, Point::kAttnNorm, 3);   // as the model's file says
//   p.norm.eps = 1e-2f;                                        // a mistake
//   Tensor y = arithmetic.Compute(Point::kAttnNorm, p, inputs);
//
// A mistake of an engine is a change of these parameters: the oracle then makes it in a whole forward pass, and the
// diagnosis makes it in one operation on an engine's own inputs.
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_PARAMETERS_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_PARAMETERS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/model/model.h"

namespace parity {

using bitnet::Point;

// Positions first .. first + n - 1, evaluated together.
struct Batch {
  size_t first = 0;
  size_t n = 0;
};

// y = x / sqrt(mean(x^2) + eps) * gamma
struct NormParameters {
  std::vector<float> gamma;  // [cols]
  float eps = 0;
  bool subtract_mean = false;
};

// How the activations of a product are rounded to int8, for weights that ask for it.
enum class Quantizing {
  kAsTheFormat,  // one scale a row or a block, to the nearest
  kWholeBatch,   // one scale for all rows
  kTruncating,   // towards zero
  kNone,         // not at all: float32 activations times the decoded weights
};

struct ProductParameters {
  bitnet::WeightMatrix w;
  std::shared_ptr<const std::vector<std::byte>> bytes;  // what `w` views, where that is not the model's file
  Quantizing quantizing = Quantizing::kAsTheFormat;
  float lookup_scale = 1;  // of embeddings
};

struct RopeParameters {
  float base = 0;
  bitnet::RopeLayout layout = bitnet::RopeLayout::kNeox;
  bitnet::RopeScaling scaling;
  std::span<const float> divisors;  // [n_rot / 2] or none
  int shift = 0;                    // the position that it rotates by, less the token's own
};

struct AttentionParameters {
  float query_scale = 1;  // of the queries, before their scores
  float scale = 0;        // of the scores, in the softmax
  size_t window = 0;      // keys that a query attends at most, its own among them; 0: all
  // How many keys query i of the batch attends, from the first on. Empty: up to its own (causal).
  std::function<size_t(size_t i, const Batch& batch)> n_keys;
  // The key and value head that a query head reads. Empty: head / (n_head / n_head_kv).
  std::function<size_t(size_t head)> kv_head;
  // Where a key's numbers start in the layer's K cells, [cells, n_head_kv * head_dim] as one array. Empty: at its cell
  // and head.
  std::function<size_t(size_t kv_head, size_t cell)> key_at;
  // The position whose K and V are in a cell; nothing: an empty cell. Empty: the cell's own.
  std::function<std::optional<size_t>(size_t cell)> row_of;
  size_t stale = 0;             // cells in front that hold rows of an earlier prompt
  bool unrotated_keys = false;  // K as it was before RoPE
  // One bit of the F16 in the cache turned over, of K or V at a cell and a column of n_head_kv * head_dim.
  struct FlippedBit {
    bool key = true;
    size_t cell = 0;
    size_t column = 0;
    int bit = 0;
  };
  std::optional<FlippedBit> flipped;
};

struct GateParameters {
  bitnet::Activation activation = bitnet::Activation::kSilu;
  bool swapped = false;  // the activation is applied to up
};

struct Parameters {
  NormParameters norm;
  ProductParameters product;
  RopeParameters rope;
  AttentionParameters attention;
  GateParameters gate;
  bool skip = false;                               // norms and RoPE: the input is handed on as it is
  std::function<void(std::vector<float>&)> spoil;  // changes the output when all is done
};

// As the model's file says. `layer`: -1 outside the layers.
Parameters ParametersOf(const bitnet::Model& model, Point point, int layer);

// The tensor that a point multiplies with or scales by: of LayerWeights, or outside the layers.
const bitnet::WeightMatrix& MatrixOf(const bitnet::Model& model, bitnet::Weight weight, int layer);
std::span<const float> GammaOf(const bitnet::Model& model, bitnet::Weight weight, int layer);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_PARAMETERS_H_
