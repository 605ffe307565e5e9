// One operation of a capture at every position that was traced: our computation of it, with any change of its
// parameters, beside what the engine made of the same inputs.
//
//   TracedOperation op(model, traced, arithmetic, Point::kQRope, 3);
//   Fit null = op.Compare(op.parameters());
//   if (null.wrong() > 0) ... some cells are off by more than rounding can do ...
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_TRACED_OPERATION_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_TRACED_OPERATION_H_

#include <string>
#include <vector>

#include "engine/model/model.h"
#include "parity_tests/locate/traced_tensors.h"
#include "parity_tests/oracle/arithmetic.h"

namespace parity {

// A position, or one head at it: the smallest part that is right or wrong.
struct Cell {
  int position = 0;
  int head = -1;     // -1: the operation has no heads
  double error = 0;  // the largest difference, in units of what rounding can do; infinite for NaN and another size
  double share = 0;  // the same, as a share of the row's largest magnitude
  size_t elements = 0;
  size_t equal = 0;  // with the same bits
  // Those that are off by more than rounding can do: how many, and from where to where in the row.
  size_t n_wrong = 0;
  int64_t first_wrong = -1, last_wrong = -1;
  // The worst element, in the row.
  int64_t element = -1;
  double ours = 0, theirs = 0;

  bool wrong() const { return error > 1; }
};

struct Fit {
  std::vector<Cell> cells;
  size_t wrong() const;
  bool exact() const;  // every bit
  double worst() const;
};

class TracedOperation {
 public:
  // Throws NotTraced, and std::runtime_error where a tensor has another width than the model says. All must outlive
  // this.
  TracedOperation(const bitnet::Model& model, const TracedTensors& traced, Arithmetic& arithmetic, Point point,
                  int layer);

  Point point() const { return point_; }
  int layer() const { return layer_; }
  const bitnet::Model& model() const { return model_; }
  const std::vector<Batch>& batches() const { return batches_; }
  Parameters parameters() const { return ParametersOf(model_, point_, layer_); }  // as the model's file says
  size_t n_positions() const { return n_positions_; }
  size_t n_prompt() const { return n_prompt_; }

  // Cells always come in the same order. `slack`: what a row may differ by beside rounding, as a share of its largest
  // magnitude.
  // `within`: of cells that are wrong there, only the stretch of a row that is.
  Fit Compare(const Parameters& p, double slack = 0, const Fit* within = nullptr) const;

  // The largest error at one position, computed by itself, in some numbers around one: a first look at a product that
  // is large. Its rounding may be that of another schedule.
  double ErrorAt(const Parameters& p, size_t position, int64_t element, double slack = 0) const;

  // Our result and the engine's, a row a position.
  Tensor Compute(const Parameters& p) const;
  const Tensor& output() const { return output_; }
  // All inputs, a row a position: in `b` of scores and values, K or V.
  const Tensor& a() const { return a_; }
  const Tensor& b() const { return b_; }

 private:
  struct Part {
    TracedInputs inputs;
    Tensor output;
  };
  Tensor ComputePart(const Parameters& p, const Part& part) const;
  double LimitOf(const Parameters& p, std::span<const float> row, const float* input) const;

  const bitnet::Model& model_;
  const TracedTensors& traced_;
  Arithmetic& arithmetic_;
  Point point_;
  int layer_;
  size_t n_positions_ = 0;
  size_t n_prompt_ = 0;
  size_t heads_ = 0;           // cells of a row; 0: one
  double units_ = 0;           // ReplayTolerance
  double largest_weight_ = 0;  // where activations become int8: a step of one of them moves the output by this
  std::vector<Batch> batches_;
  std::vector<Part> parts_;  // batches, as the engine evaluated them
  Tensor output_, a_, b_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_TRACED_OPERATION_H_
