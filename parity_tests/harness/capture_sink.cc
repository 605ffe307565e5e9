#include "parity_tests/harness/capture_sink.h"

namespace parity {

void SelectionSink::OnTensor(const bitnet::TracedTensor& t) {
  if ((positions_ > 0 && t.position >= positions_) || !selection_.WantsPosition(t.position)) return;
  std::vector<int64_t> shape;
  if (t.rows > 1) shape.push_back(static_cast<int64_t>(t.rows));
  shape.push_back(static_cast<int64_t>(t.cols));
  Add(t, std::move(shape));
}

}  // namespace parity
