#include "parity_tests/locate/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "parity_tests/oracle/ternary.h"

namespace parity {

using bitnet::Op;
using bitnet::TensorType;

// What the rows of an operation may differ by.
struct Replay::Limits {
  double units = 0;     // ReplayTolerance
  double rounding = 0;  // what rounding in another place can do, as a share of the row's largest magnitude
  bool to_int8 = false;
};

double ReplayTolerance(Op op, TensorType weights, size_t terms) {
  const double n = static_cast<double>(std::max<size_t>(terms, 1));
  switch (op) {
    // A copy has one result; so has an addition, but for an engine that keeps more digits of what it adds.
    case Op::kLookup:
      return 0;
    case Op::kAdd:
      return 2;
    // The mean moves by one rounding for each pairwise sum, which the square root halves; then a division and two
    // products.
    case Op::kNorm:
      return 4 + std::sqrt(n) / 2;
    // Angle, cosine and sine each within a unit, two products and a sum; an angle of thousands of radians is itself
    // rounded, and every pair of a head multiplies that once more.
    case Op::kRope:
      return 64;
    // exp of one scaled difference: the polynomial's two units, and the score's rounding, which the exponential
    // magnifies by its magnitude.
    case Op::kSoftmax:
      return 32;
    // One exponential (two units), a sum, a division, a product.
    case Op::kGate:
      return 8;
    // A sum of n products in another order: errors add like a random walk, 4 deviations; with int8 activations only the
    // blocks' sums are float.
    case Op::kScores:
    case Op::kValues:
      return 4 * std::sqrt(n) + 2;
    case Op::kProduct:
      return 4 * std::sqrt(bitnet::FormatOf(weights).is_ternary() ? n / 32 : n) + 2;
  }
  return 0;
}

namespace {

// The type of what an operation multiplies with: of weights, or of K and V.
TensorType WeightsOf(const bitnet::Model& model, Point point, int layer) {
  const bitnet::PointInfo& info = bitnet::InfoOf(point);
  if (info.op == Op::kProduct) return MatrixOf(model, info.weight, layer).type;
  return info.op == Op::kScores || info.op == Op::kValues ? TensorType::kF16 : TensorType::kF32;
}

float LargestFinite(std::span<const float> row) {
  float largest = 0;
  for (const float v : row) largest = std::isfinite(v) ? std::max(largest, std::fabs(v)) : largest;
  return largest;
}

}  // namespace

double ReplayTolerance(const bitnet::Model& model, Point point, int layer, size_t n_positions) {
  const bitnet::PointInfo& info = bitnet::InfoOf(point);
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  size_t terms = shape.n_embd;
  if (info.op == Op::kProduct) terms = MatrixOf(model, info.weight, layer).cols;
  if (info.op == Op::kScores) terms = shape.head_dim;
  if (info.op == Op::kValues) terms = n_positions;
  if (info.op == Op::kNorm) terms = bitnet::WidthOf(info.width, shape);
  return ReplayTolerance(info.op, WeightsOf(model, point, layer), terms);
}

Replay::Replay(const bitnet::Model& model, const Capture& capture, const bitnet::ArithmeticOrder& order, size_t threads)
    : model_(model),
      shape_(bitnet::ShapeOf(model.hyperparameters)),
      traced_(capture, shape_),
      arithmetic_(model.hyperparameters, order, std::max<size_t>(threads, 1)) {
  if (traced_.empty()) {
    throw std::runtime_error(
        fmt::format("{}: traces: found none, expected those of every operation; capture again with trace \"full\" "
                    "and raw tensors",
                    capture.directory));
  }
  if (std::all_of(capture.traces.begin(), capture.traces.end(),
                  [](const TraceRecord& r) { return r.tensor_file.empty(); })) {
    throw std::runtime_error(
        fmt::format("{}: tensors: found none, expected the raw tensors; capture again with "
                    "raw_tensors",
                    capture.directory));
  }
  if (capture.model.architecture != model.hyperparameters.architecture) {
    throw std::runtime_error(fmt::format("{}: model.architecture: found {}, expected {} as in {}", capture.directory,
                                         capture.model.architecture, model.hyperparameters.architecture,
                                         model.file.path()));
  }
}

std::vector<Point> Replay::Operations(int layer) const {
  std::vector<Point> points;
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (info.in_layer == (layer >= 0) && bitnet::Exists(info, shape_)) points.push_back(info.point);
  }
  return points;
}

Replay::Limits Replay::LimitsOf(Point point, int layer) const {
  const TensorType type = WeightsOf(model_, point, layer);
  const bool to_f16 = type == TensorType::kF16 || type == TensorType::kBF16;
  return {.units = ReplayTolerance(model_, point, layer, traced_.n_positions()),
          .rounding = to_f16 ? kF16Rounding : kF32Rounding,
          .to_int8 = IsInt8(bitnet::FormatOf(type).activations)};
}

// True where the first `n` numbers of a position's row are the product of the decoded weights with activations that
// were not rounded to int8.
bool Replay::IsUnrounded(Point point, int layer, size_t position, std::span<const float> row, size_t n) {
  const TracedInputs in = traced_.InputsOf(point, layer, {position, 1});
  const Values y = UnroundedProduct(ParametersOf(model_, point, layer).product.Rows(0, n).w, in.a.data.data());
  const float largest = LargestFinite(row);
  for (size_t i = 0; i < n; ++i) {
    if (!(std::fabs(row[i] - y[i]) <= kF32Rounding * largest)) return false;
  }
  return true;
}

void Replay::CompareRow(const Limits& limits, int position, std::span<const float> ours, std::span<const float> theirs,
                        ReplayResult& result, bool& wrong) const {
  const float largest = LargestFinite(theirs);
  const double limit = limits.units * 0x1p-23 * largest;
  for (size_t j = 0; j < theirs.size(); ++j) {
    ++result.elements;
    if (std::bit_cast<uint32_t>(ours[j]) == std::bit_cast<uint32_t>(theirs[j])) continue;
    ++result.differing;
    double difference = std::fabs(static_cast<double>(ours[j]) - static_cast<double>(theirs[j]));
    if (std::isnan(difference)) difference = std::numeric_limits<double>::infinity();
    const double error = difference == 0 ? 0 : limit > 0 ? difference / limit : std::numeric_limits<double>::infinity();
    result.max_abs = std::max(result.max_abs, difference);
    if (error > 1 && result.first_guilty < 0) result.first_guilty = position;
    wrong = wrong || (error > 1 && difference > limits.rounding * largest);
    if (error > result.max_error || result.index < 0) {
      result.max_error = error;
      result.place.position = position;
      result.index = static_cast<int64_t>(j);
      result.ours = ours[j];
      result.reference = theirs[j];
    }
  }
}

ReplayResult Replay::Operation(Point point, int layer) {
  ReplayResult result;
  result.place = {-1, layer, point};
  const Limits limits = LimitsOf(point, layer);
  result.tolerance_units = limits.units;
  constexpr size_t kSample = 64;  // numbers of a row, where the first wrong one was looked at whole
  size_t looked_at = 0;
  try {
    for (const Batch& batch : traced_.Batches()) {
      const Tensor theirs = traced_.Rows(point, layer, batch.first, batch.n);
      const Tensor ours =
          arithmetic_.Compute(point, ParametersOf(model_, point, layer), traced_.InputsOf(point, layer, batch).view());
      for (size_t i = 0; i < batch.n; ++i) {
        const int position = static_cast<int>(batch.first + i);
        const std::span<const float> row = theirs.row(i);
        if (row.size() != ours.row(i).size()) {
          throw std::runtime_error(fmt::format("{} of layer {} at position {}: found {} elements, expected {}",
                                               PointName(point), layer, position, row.size(), ours.row(i).size()));
        }
        bool wrong = false;
        CompareRow(limits, position, ours.row(i), row, result, wrong);
        if (!wrong) continue;
        // A row that was made of activations as they are is another arithmetic, and not wrong.
        if (result.first_wrong >= 0) continue;
        const size_t n = looked_at++ == 0 ? row.size() : std::min(kSample, row.size());
        if (!limits.to_int8 || !IsUnrounded(point, layer, batch.first + i, row, n)) result.first_wrong = position;
      }
    }
  } catch (const NotTraced& missing) {
    result.verdict = ReplayVerdict::kNotTraced;
    result.missing = missing.name;
    result.place.position = missing.position;
    return result;
  }
  result.verdict = result.differing == 0   ? ReplayVerdict::kExact
                   : result.max_error <= 1 ? ReplayVerdict::kWithin
                                           : ReplayVerdict::kGuilty;
  return result;
}

std::vector<ReplayResult> Replay::Layer(int layer) {
  std::vector<ReplayResult> results;
  for (const Point point : Operations(layer)) results.push_back(Operation(point, layer));
  return results;
}

}  // namespace parity
