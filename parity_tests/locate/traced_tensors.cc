#include "parity_tests/locate/traced_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "reference/capture/trace_selection.h"

namespace parity {

using bitnet::Op;

TracedTensors::TracedTensors(const Capture& capture, const bitnet::GraphShape& shape)
    : capture_(capture), shape_(shape) {
  const size_t computed = capture.tokens.size() + capture.generated.size();
  for (const TraceRecord& r : capture.traces) {
    if (static_cast<size_t>(r.position) >= computed) {
      throw std::runtime_error(fmt::format("{}: traces: {}: found position {}, expected one below {}",
                                           capture.directory, r.name, r.position, computed));
    }
    records_[{r.point, r.layer, r.position}] = &r;
    n_positions_ = std::max(n_positions_, static_cast<size_t>(r.position) + 1);
  }
}

Batch TracedTensors::BatchOf(size_t position) const {
  const size_t n_prompt = capture_.tokens.size();
  if (position >= n_prompt || capture_.request.schedule != Schedule::kBatch) return {position, 1};
  const size_t step = static_cast<size_t>(std::max(capture_.shapes.n_ubatch, 1));
  const size_t first = position / step * step;
  return {first, std::min(step, n_prompt - first)};
}

std::vector<Batch> TracedTensors::Batches() const {
  std::vector<Batch> batches;
  for (size_t first = 0; first < n_positions_; first += batches.back().n) {
    Batch batch = BatchOf(first);
    batch.n = std::min(batch.n, n_positions_ - first);
    batches.push_back(batch);
  }
  return batches;
}

Tensor TracedTensors::Rows(Point point, int layer, size_t first, size_t n) const {
  const size_t width = bitnet::WidthOf(bitnet::InfoOf(point).width, shape_);
  Tensor rows;
  for (size_t position = first; position < first + n; ++position) {
    const auto found = records_.find({point, layer, static_cast<int>(position)});
    if (found == records_.end() || found->second->tensor_file.empty()) {
      throw NotTraced{TraceName(static_cast<int>(position), layer, PointName(point)), static_cast<int>(position)};
    }
    const std::vector<float> row = ReadTensor(capture_, *found->second);
    if (width > 0 ? row.size() != width : row.size() % shape_.n_head != 0) {
      throw std::runtime_error(fmt::format("{}: {} of layer {}: found {} elements, expected {}", capture_.directory,
                                           PointName(point), layer, row.size(),
                                           width > 0 ? std::to_string(width) : "a number for each head and key"));
    }
    rows.Append(row);
  }
  return rows;
}

int32_t TracedTensors::Token(size_t position) const {
  const size_t n_prompt = capture_.tokens.size();
  const int32_t id = position < n_prompt ? capture_.tokens[position] : capture_.generated.at(position - n_prompt);
  if (id < 0 || static_cast<size_t>(id) >= shape_.n_vocab) {
    throw std::runtime_error(
        fmt::format("{}: tokens: found id {}, expected 0 to {}", capture_.directory, id, shape_.n_vocab - 1));
  }
  return id;
}

TracedInputs TracedTensors::InputsOf(Point point, int layer, const Batch& batch, const Parameters* p) const {
  const bitnet::PointInfo& info = bitnet::InfoOf(point);
  const auto rows = [&](size_t which, size_t first, size_t n) {
    bitnet::Source from = bitnet::SourceOf(info, which, layer, shape_);
    if (p != nullptr) from = InputOf(*p, info, which, layer, shape_);
    return Rows(from.point, from.layer, first, n);
  };
  TracedInputs in;
  in.batch = batch;
  in.n_cells = static_cast<size_t>(std::max(capture_.shapes.kv_cells, 0));
  for (size_t i = 0; info.op == Op::kLookup && i < batch.n; ++i) in.tokens.push_back(Token(batch.first + i));
  if (info.inputs[0] != Point::kUnknown) in.a = rows(0, batch.first, batch.n);
  if (info.inputs[1] == Point::kUnknown) return in;
  const bool reads_cache = info.op == Op::kScores || info.op == Op::kValues;
  in.b = reads_cache ? rows(1, 0, batch.first + batch.n) : rows(1, batch.first, batch.n);
  return in;
}

}  // namespace parity
