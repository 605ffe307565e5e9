// A forward pass over the table of the graph: operation by operation, with the parameters that somebody gives for each.
// Apart from engine/model/forward.cc, which is written by hand; without a change both give the same bits.
//
//   ScalarArithmetic scalar(model.hyperparameters, order);
//   Pass pass(model, scalar, {.n_cells = 256});
//   std::vector<float> logits = pass.Forward(prompt);        // [n, n_vocab]
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_PASS_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_PASS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/model/model.h"
#include "engine/model/trace.h"
#include "parity_tests/oracle/arithmetic.h"

namespace parity {

struct PassOptions {
  size_t n_cells = 0;  // of the KV cache
  // Changes the parameters of a point; layer -1 outside the layers.
  std::function<void(Point, int layer, Parameters&)> change = {};
  bitnet::TraceSink* trace = nullptr;  // not owned
};

class Pass {
 public:
  // Keys and values that a layer has seen: K before and after RoPE, V; stale rows first.
  struct Seen {
    Tensor k, k_rope, v;
  };
  // What a first batch leaves behind: a pass with a change in layer L alone starts from it there, with the same bits.
  struct Checkpoint {
    std::vector<Tensor> entering;  // the residual stream that enters each layer, and what leaves the last
    std::vector<Seen> seen;        // by layer
  };

  // `model` and `arithmetic` must outlive this.
  Pass(const bitnet::Model& model, Arithmetic& arithmetic, PassOptions options);

  // The next positions as one batch. Returns logits [n, n_vocab], or of the last position alone.
  Values Forward(std::span<const int32_t> tokens, bitnet::LogitsFor which = bitnet::LogitsFor::kAll);

  // The first batch from layer `layer` on (n_layer: what stands behind the layers), as another pass over the same
  // tokens left it.
  Values ForwardAbove(const Checkpoint& below, size_t layer, std::span<const int32_t> tokens, bitnet::LogitsFor which);

  // Filled by the next Forward, which must be the first.
  void KeepCheckpoint(Checkpoint* checkpoint) { keep_ = checkpoint; }

  // By position: how many keys, from the first on, its query read, in the layer where it read most.
  const std::vector<int>& keys_attended() const { return keys_attended_; }
  // By position: the first of them in the first layer, which may have a window.
  const std::vector<int>& first_key() const { return first_key_; }

 private:
  using Tensors = std::array<Tensor, bitnet::kPointCount>;

  void LeavePrompt();
  Parameters ParametersAt(Point point, int layer) const;
  void Run(Point point, int layer, std::span<const int32_t> tokens, Tensors& tensors, const Tensor& stream);
  void Trace(Point point, int layer, const Tensor& tensor) const;
  Values Layers(size_t first, Tensor stream, std::span<const int32_t> tokens, bitnet::LogitsFor which);

  const bitnet::Model& model_;
  const bitnet::GraphShape shape_;
  Arithmetic& arithmetic_;
  PassOptions options_;
  size_t n_past_ = 0;
  std::vector<Seen> seen_;  // by layer
  std::vector<int> keys_attended_, first_key_;
  Checkpoint* keep_ = nullptr;  // not owned
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_PASS_H_
