#include "parity_tests/oracle/parameters.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

namespace parity {

using bitnet::Op;
using bitnet::Weight;

const bitnet::WeightMatrix& MatrixOf(const bitnet::Model& model, Weight weight, int layer) {
  const bitnet::WeightMatrix* matrix = FindMatrix(model.weights, weight, static_cast<size_t>(layer));
  if (matrix == nullptr) throw std::logic_error("this weight is not a matrix");
  return *matrix;
}

std::span<const float> GammaOf(const bitnet::Model& model, Weight weight, int layer) {
  const std::span<const float>* gamma = FindVector(model.weights, weight, static_cast<size_t>(layer));
  if (gamma == nullptr) throw std::logic_error("this weight is not a vector");
  return *gamma;
}

bitnet::Source InputOf(const Parameters& p, const bitnet::PointInfo& info, size_t which, int layer,
                       const bitnet::GraphShape& shape) {
  const Point read = p.reads[which];
  if (read == Point::kUnknown) return bitnet::SourceOf(info, which, layer, shape);
  if (!info.in_layer) return {read, static_cast<int>(shape.n_layer) - 1};
  if (read != Point::kLayerOut) return {read, layer};
  return layer == 0 ? bitnet::Source{Point::kEmbeddings, -1} : bitnet::Source{read, layer - 1};
}

DecodedWeights::DecodedWeights(const bitnet::WeightMatrix& from) : of(from), values(of.rows * of.cols) {
  for (size_t r = 0; r < of.rows; ++r) bitnet::WeightRow(of, r, values.data() + r * of.cols);
}

bitnet::WeightMatrix DecodedWeights::matrix() const {
  bitnet::WeightMatrix decoded = of;
  decoded.type = bitnet::TensorType::kF32;
  decoded.data = reinterpret_cast<const std::byte*>(values.data());
  return decoded;
}

ProductParameters ProductParameters::Rows(size_t first, size_t n) const {
  ProductParameters part = *this;
  part.w.data += first * bitnet::RowBytes(w.type, w.cols);
  part.w.rows = n;
  if (w.bias != nullptr) part.w.bias += first;
  if (read_row) part.read_row = [read = read_row, first](size_t r, float* values) { read(first + r, values); };
  return part;
}

ProductParameters ProductParameters::Read() const {
  if (!read_block) return *this;
  ProductParameters own = *this;
  const bitnet::Format& format = bitnet::FormatOf(w.type);
  std::vector<std::byte> read(w.data, w.data + bitnet::TensorBytes(w.type, w.rows, w.cols));
  for (size_t b = 0; b < w.rows * w.cols / format.block_weights; ++b) read_block(read.data() + b * format.block_bytes);
  own.bytes = std::make_shared<const std::vector<std::byte>>(std::move(read));
  own.w.data = own.bytes->data();
  own.read_block = nullptr;
  return own;
}

ProductParameters ProductParameters::Kept() const {
  ProductParameters own = *this;
  if (!read_row) {
    if (quantizing.none || quantizing.group == Quantizing::Group::kBlock)
      own.decoded = std::make_shared<const DecodedWeights>(w);
    return own;
  }
  std::vector<float> rows(w.rows * w.cols);
  for (size_t r = 0; r < w.rows; ++r) read_row(r, rows.data() + r * w.cols);
  own.read_row = [kept = std::make_shared<const std::vector<float>>(std::move(rows)), cols = w.cols](
                     size_t r, float* values) { std::copy_n(kept->data() + r * cols, cols, values); };
  return own;
}

Parameters ParametersOf(const bitnet::Model& model, Point point, int layer) {
  const bitnet::Hyperparameters& h = model.hyperparameters;
  const bitnet::PointInfo& info = bitnet::InfoOf(point);
  Parameters p;
  switch (info.op) {
    case Op::kNorm: {
      const std::span<const float> gamma = GammaOf(model, info.weight, layer);
      p.norm.gamma.assign(gamma.begin(), gamma.end());
      p.norm.eps = h.rms_norm_eps;
      break;
    }
    case Op::kLookup:
    case Op::kProduct:
      p.product.w = MatrixOf(model, info.weight, layer);
      p.lookup.factor = h.embedding_scale;
      break;
    case Op::kRope:
      p.rope.base = h.RopeBase(static_cast<size_t>(layer));
      p.rope.layout = h.rope_layout;
      p.rope.scaling = h.RopeScalingOf(static_cast<size_t>(layer));
      p.rope.divisors = model.weights.rope_divisors;
      break;
    case Op::kScores:
    case Op::kSoftmax:
    case Op::kValues:
      p.attention.query_scale = h.query_scale;
      p.attention.scale = h.attention_scale;
      p.attention.window = h.WindowOf(static_cast<size_t>(layer));
      break;
    case Op::kGate:
      p.gate.activation = h.activation;
      break;
    case Op::kAdd:
      break;
  }
  return p;
}

}  // namespace parity
