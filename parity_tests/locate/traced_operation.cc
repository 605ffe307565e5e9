#include "parity_tests/locate/traced_operation.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/kernels/activations.h"
#include "parity_tests/locate/replay.h"

namespace parity {
namespace {

using bitnet::Op;
using bitnet::Width;

constexpr double kInfinite = std::numeric_limits<double>::infinity();
// A value this near to the middle of two int8 steps goes either way, by how an engine computes its scale.
constexpr float kNearTie = 1e-4f;

size_t HeadsOf(Point point, const bitnet::GraphShape& shape) {
  switch (bitnet::InfoOf(point).op) {
    case Op::kScores:
    case Op::kSoftmax:
    case Op::kValues:
      return shape.n_head;
    case Op::kRope:
      return bitnet::InfoOf(point).width == Width::kKv ? shape.n_head_kv : shape.n_head;
    default:
      return 0;
  }
}

bool AllFinite(std::span<const float> row) {
  return std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); });
}

// How many int8 values of a row are a matter of rounding, times what a step is worth.
double TieSlack(const float* x, size_t cols, bitnet::ActivationKind kind, const Quantizing& rule,
                double largest_weight) {
  using Rounding = Quantizing::Rounding;
  const size_t group = rule.group == Quantizing::Group::kRow     ? cols
                       : rule.group == Quantizing::Group::kBlock ? rule.block
                                                                 : ScaleGroup(kind, cols);
  const bool whole = rule.rounding == Rounding::kTruncating || rule.rounding == Rounding::kFloor;
  const float tie = whole ? 0.0f : rule.nearest_from;
  double slack = 0;
  for (size_t at = 0; at < cols; at += group) {
    float m = 0;
    for (size_t i = at; i < at + group; ++i) m = std::max(m, std::fabs(x[i]));
    if (m == 0) continue;
    for (size_t i = at; i < at + group; ++i) {
      // kUp looks at the number, the others at its magnitude.
      const float of = rule.rounding == Rounding::kUp ? x[i] : std::fabs(x[i]);
      const float scaled = of * (rule.levels / m), from_tie = scaled - std::floor(scaled) - tie;
      if (std::fabs(from_tie - std::round(from_tie)) < kNearTie) {
        slack += static_cast<double>(m) / static_cast<double>(rule.levels);
      }
    }
  }
  return 1.05 * slack * largest_weight;
}

}  // namespace

size_t Fit::wrong() const {
  return static_cast<size_t>(std::count_if(cells.begin(), cells.end(), [](const Cell& c) { return c.wrong(); }));
}

bool Fit::exact() const {
  return std::all_of(cells.begin(), cells.end(), [](const Cell& c) { return c.equal == c.elements; });
}

double Fit::worst() const {
  double worst = 0;
  for (const Cell& c : cells) worst = std::max(worst, c.error);
  return worst;
}

TracedOperation::TracedOperation(const bitnet::Model& model, const TracedTensors& traced, Arithmetic& arithmetic,
                                 Point point, int layer)
    : model_(model), traced_(traced), arithmetic_(arithmetic), point_(point), layer_(layer) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  const bitnet::PointInfo& info = bitnet::InfoOf(point);
  n_positions_ = traced.n_positions();
  n_prompt_ = traced.n_prompt();
  heads_ = HeadsOf(point, shape);
  batches_ = traced.Batches();
  for (const Batch& batch : batches_) {
    Part part{traced.InputsOf(point, layer, batch), traced.Rows(point, layer, batch.first, batch.n)};
    for (size_t i = 0; i < batch.n; ++i) {
      output_.Append(part.output.row(i));
      if (part.inputs.a.n() == batch.n) a_.Append(part.inputs.a.row(i));
      if (part.inputs.b.n() == batch.n && info.op != Op::kScores && info.op != Op::kValues) {
        b_.Append(part.inputs.b.row(i));
      }
    }
    if (info.op == Op::kScores || info.op == Op::kValues) b_ = part.inputs.b;
    parts_.push_back(std::move(part));
  }
  units_ = ReplayTolerance(model, point, layer, n_positions_);
  if (info.op != Op::kProduct) return;
  const bitnet::WeightMatrix& w = MatrixOf(model, info.weight, layer);
  if (!IsInt8(bitnet::FormatOf(w.type).activations)) return;
  Values row(w.cols);
  for (size_t r = 0; r < w.rows; r += std::max<size_t>(w.rows / 8, 1)) {
    bitnet::WeightRow(w, r, row.data());
    for (const float v : row) largest_weight_ = std::max(largest_weight_, static_cast<double>(std::fabs(v)));
  }
}

// A mistake may read other tensors than the graph names.
Tensor TracedOperation::ComputePart(const Parameters& p, const Part& part) const {
  const bool other = p.reads[0] != Point::kUnknown || p.reads[1] != Point::kUnknown;
  if (!other) return arithmetic_.Compute(point_, p, part.inputs.view());
  return arithmetic_.Compute(point_, p, traced_.InputsOf(point_, layer_, part.inputs.batch, &p).view());
}

Tensor TracedOperation::Compute(const Parameters& p) const {
  Tensor all;
  // The weights are read once, not once a batch.
  Parameters read = p;
  read.product = p.product.Read();
  for (const Part& part : parts_) {
    const Tensor y = ComputePart(read, part);
    for (size_t i = 0; i < y.n(); ++i) all.Append(y.row(i));
  }
  return all;
}

// What rounding can do to a row: of the sum, and of activations that lie between two int8 values.
double TracedOperation::LimitOf(const Parameters& p, std::span<const float> row, const float* input) const {
  double largest = 0;
  for (const float v : row) {
    if (std::isfinite(v)) largest = std::max(largest, static_cast<double>(std::fabs(v)));
  }
  double limit = units_ * 0x1p-23 * largest;
  if (largest_weight_ > 0 && !p.product.quantizing.none) {
    const bitnet::WeightMatrix& w = MatrixOf(model_, bitnet::InfoOf(point_).weight, layer_);
    limit += TieSlack(input, w.cols, bitnet::FormatOf(w.type).activations, p.product.quantizing, largest_weight_);
  }
  return limit;
}

double TracedOperation::ErrorAt(const Parameters& p, size_t position, int64_t element, double slack) const {
  constexpr size_t kSample = 64;  // rows of a matrix
  Inputs in{.batch = {position, 1}};
  Tensor a = Tensor::Uniform(Values(a_.row(position).begin(), a_.row(position).end()), 1);
  if (p.reads[0] != Point::kUnknown) a = traced_.InputsOf(point_, layer_, {position, 1}, &p).a;
  in.a = &a;
  std::span<const float> row = output_.row(position);
  double largest = 0;
  for (const float v : row) largest = std::isfinite(v) ? std::max(largest, static_cast<double>(std::fabs(v))) : largest;
  const double limit = LimitOf(p, row, a.data.data()) + slack * largest;
  Parameters sample = p;
  const size_t rows = p.product.w.rows;
  // What changes the row as a whole needs all of it.
  if (bitnet::InfoOf(point_).op == Op::kProduct && element >= 0 && rows > 2 * kSample && !p.spoil &&
      row.size() == rows) {
    const size_t first = std::min(static_cast<size_t>(element) / kSample * kSample, (rows - kSample) / 8 * 8);
    sample.product = p.product.Rows(first, kSample);
    row = row.subspan(first, kSample);
  }
  const Tensor ours = arithmetic_.Compute(point_, sample, in);
  const std::span<const float> mine = ours.row(0);
  if (row.size() != mine.size()) return kInfinite;
  double worst = 0;
  for (size_t j = 0; j < row.size(); ++j) {
    const double difference = std::fabs(static_cast<double>(row[j]) - mine[j]);
    worst = std::max(worst, std::isfinite(difference) ? difference : kInfinite);
  }
  return limit > 0 ? worst / limit : worst > 0 ? kInfinite : 0;
}

Fit TracedOperation::Compare(const Parameters& p, double slack, const Fit* within) const {
  const Tensor ours = Compute(p);
  Fit fit;
  for (size_t i = 0; i < output_.n(); ++i) {
    const std::span<const float> row = output_.row(i), mine = ours.row(i);
    // What came in broken says nothing about this operation; so does what it never set, of a masked key.
    const bool broken_input = a_.n() > i && !AllFinite(a_.row(i)) && bitnet::InfoOf(point_).op != Op::kSoftmax;
    double largest = 0;
    for (const float v : row)
      largest = std::isfinite(v) ? std::max(largest, static_cast<double>(std::fabs(v))) : largest;
    const double limit = LimitOf(p, row, a_.n() > i ? a_.row(i).data() : nullptr) + slack * largest;
    const size_t heads = std::max<size_t>(heads_, 1), width = row.size() / heads;
    for (size_t head = 0; head < heads; ++head) {
      Cell cell{.position = static_cast<int>(i), .head = heads_ == 0 ? -1 : static_cast<int>(head), .elements = width};
      if (row.size() != mine.size()) {
        cell.error = cell.share = kInfinite;
        fit.cells.push_back(cell);
        continue;
      }
      size_t from = head * width, to = from + width;
      if (within != nullptr) {
        const Cell& stretch = within->cells[fit.cells.size()];
        if (stretch.first_wrong >= 0) {
          from = static_cast<size_t>(stretch.first_wrong);
          to = static_cast<size_t>(stretch.last_wrong) + 1;
          cell.elements = to - from;
        }
      }
      for (size_t j = from; j < to; ++j) {
        if (broken_input || std::bit_cast<uint32_t>(row[j]) == std::bit_cast<uint32_t>(mine[j])) {
          ++cell.equal;
          continue;
        }
        double difference = std::fabs(static_cast<double>(row[j]) - mine[j]);
        if (std::isnan(difference)) difference = std::isnan(row[j]) == std::isnan(mine[j]) ? 0 : kInfinite;
        const double error = difference == 0 ? 0 : limit > 0 ? difference / limit : kInfinite;
        if (error > 1) {
          ++cell.n_wrong;
          if (cell.first_wrong < 0) cell.first_wrong = static_cast<int64_t>(j);
          cell.last_wrong = static_cast<int64_t>(j);
        }
        if (error < cell.error || (cell.element >= 0 && error == cell.error)) continue;
        cell.error = error;
        cell.share = largest > 0 ? difference / largest : kInfinite;
        cell.element = static_cast<int64_t>(j);
        cell.ours = mine[j];
        cell.theirs = row[j];
      }
      fit.cells.push_back(cell);
    }
  }
  return fit;
}

}  // namespace parity
