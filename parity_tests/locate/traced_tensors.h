// The raw tensors of a capture, by point, layer and position: what each operation of that engine was given, and what it
// made of it.
//
//   TracedTensors traced(capture, bitnet::ShapeOf(model.hyperparameters));
//   for (const Batch& batch : traced.Batches()) {
//     TracedInputs in = traced.InputsOf(Point::kQProj, 3, batch);
//     Tensor ours = arithmetic.Compute(Point::kQProj, parameters, in.view());
//     Tensor theirs = traced.Rows(Point::kQProj, 3, batch.first, batch.n);
//   }
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_TRACED_TENSORS_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_TRACED_TENSORS_H_

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "engine/graph/graph.h"
#include "parity_tests/oracle/arithmetic.h"
#include "reference/capture/capture.h"

namespace parity {

// Thrown where a tensor was not traced, or not kept raw.
struct NotTraced {
  std::string name;  // "t3/blk0/q_proj"
  int position = -1;
};

struct TracedInputs {
  Batch batch;
  std::vector<int32_t> tokens;
  Tensor a, b;
  size_t n_cells = 0;

  Inputs view() const { return {.batch = batch, .tokens = tokens, .a = &a, .b = &b, .n_cells = n_cells}; }
};

class TracedTensors {
 public:
  // Throws std::runtime_error where a record is of a position that was not computed. `capture` must outlive this.
  TracedTensors(const Capture& capture, const bitnet::GraphShape& shape);

  size_t n_positions() const { return n_positions_; }  // traced, from 0 on
  size_t n_prompt() const { return capture_.tokens.size(); }
  bool empty() const { return records_.empty(); }

  // Positions as the engine evaluated them: a batch and a single position add in different orders.
  std::vector<Batch> Batches() const;
  Batch BatchOf(size_t position) const;

  // Rows of a point at n positions from `first` on. Throws NotTraced, and std::runtime_error where a tensor has another
  // size than the model says (of scores and probabilities: where it is not a number for each head and key).
  Tensor Rows(Point point, int layer, size_t first, size_t n) const;
  // What an operation was given. Throws as Rows does.
  // `p`: of an operation that reads other tensors than the graph names.
  TracedInputs InputsOf(Point point, int layer, const Batch& batch, const Parameters* p = nullptr) const;

 private:
  int32_t Token(size_t position) const;

  const Capture& capture_;
  bitnet::GraphShape shape_;
  std::map<std::tuple<Point, int, int>, const TraceRecord*> records_;  // by point, layer, position
  size_t n_positions_ = 0;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_TRACED_TENSORS_H_
