// Replay: our operation on an engine's own inputs, compared with that engine's output. An operation whose result
// differs on the same inputs is guilty; one that merely received something else is a victim.
//
//   Replay replay(model, capture, order);             // a capture with raw tensors, trace "full"
//   for (const ReplayResult& r : replay.Layer(3)) if (r.verdict == ReplayVerdict::kGuilty) ...
//
// Nothing accumulates: each operation starts from what the engine itself had there.
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_REPLAY_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_REPLAY_H_

#include <optional>
#include <vector>

#include "engine/kernels/order.h"
#include "engine/model/model.h"
#include "parity_tests/findings/replay_result.h"
#include "parity_tests/locate/traced_tensors.h"
#include "parity_tests/oracle/arithmetic.h"
#include "reference/capture/capture.h"

namespace parity {

// What another place of rounding can do to an output, as a share of the row's largest magnitude: of an operation that
// rounds its inputs to F16, and of any other (an engine that computes in double).
inline constexpr float kF16Rounding = 2e-3f;
inline constexpr float kF32Rounding = 1e-5f;

// The largest difference that an operation may show on equal inputs, in units of 2^-23 times the largest magnitude of
// the output's row. `terms`: how many one output element adds up. What each number stands for is said in replay.cc.
double ReplayTolerance(bitnet::Op op, bitnet::TensorType weights, size_t terms);

// The same for an operation of a model. `n_positions`: how many values one output of attention adds up.
double ReplayTolerance(const bitnet::Model& model, Point point, int layer, size_t n_positions);

class Replay {
 public:
  // Throws std::runtime_error if the capture is of another model, or was made without raw tensors. Model and capture
  // must outlive this.
  Replay(const bitnet::Model& model, const Capture& capture, const bitnet::ArithmeticOrder& order, size_t threads = 1);

  // Every operation of one layer (0 .. n_layer - 1), in the order of the computation; -1: embeddings, output_norm and
  // logits.
  std::vector<ReplayResult> Layer(int layer);

  // One operation.
  ReplayResult Operation(Point point, int layer);

  // The points that a layer of this model has, in order; -1 as above.
  std::vector<Point> Operations(int layer) const;

 private:
  struct Limits;
  void CompareRow(const Limits& limits, int position, std::span<const float> ours, std::span<const float> theirs,
                  ReplayResult& result, bool& wrong) const;
  Limits LimitsOf(Point point, int layer) const;
  bool IsUnrounded(Point point, int layer, size_t position, std::span<const float> row, size_t n);

  const bitnet::Model& model_;
  bitnet::GraphShape shape_;
  TracedTensors traced_;
  KernelArithmetic arithmetic_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_REPLAY_H_
