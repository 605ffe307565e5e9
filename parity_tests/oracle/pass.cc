#include "parity_tests/oracle/pass.h"

#include <algorithm>
#include <utility>

namespace parity {
namespace {

// Rows of a prompt that was in the cache before.
constexpr std::array<int32_t, 3> kEarlierPrompt = {5, 6, 7};

void AppendAll(Tensor& to, const Tensor& rows) {
  for (size_t i = 0; i < rows.n(); ++i) to.Append(rows.row(i));
}

}  // namespace

Pass::Pass(const bitnet::Model& model, Arithmetic& arithmetic, PassOptions options)
    : model_(model),
      shape_(bitnet::ShapeOf(model.hyperparameters)),
      arithmetic_(arithmetic),
      options_(std::move(options)),
      seen_(shape_.n_layer) {
  if (options_.change) LeavePrompt();
}

// The layers that do not forget an earlier prompt keep its rows.
void Pass::LeavePrompt() {
  std::vector<size_t> stale;
  for (size_t layer = 0; layer < shape_.n_layer; ++layer) {
    stale.push_back(ParametersAt(Point::kAttnScores, static_cast<int>(layer)).attention.stale);
  }
  if (std::all_of(stale.begin(), stale.end(), [](size_t n) { return n == 0; })) return;
  Pass earlier(model_, arithmetic_, {.n_cells = options_.n_cells, .change = {}, .trace = nullptr});
  earlier.Forward(kEarlierPrompt);
  for (size_t layer = 0; layer < shape_.n_layer; ++layer) {
    if (stale[layer] > 0) seen_[layer] = std::move(earlier.seen_[layer]);
  }
}

Parameters Pass::ParametersAt(Point point, int layer) const {
  Parameters p = ParametersOf(model_, point, layer);
  if (options_.change) options_.change(point, layer, p);
  return p;
}

void Pass::Trace(Point point, int layer, const Tensor& tensor) const {
  if (options_.trace == nullptr || !options_.trace->Wants(point, layer)) return;
  const bool by_head = bitnet::InfoOf(point).width == bitnet::Width::kKeys;
  for (size_t i = 0; i < tensor.n(); ++i) {
    const std::span<const float> row = tensor.row(i);
    const size_t rows = by_head ? shape_.n_head : 1;
    options_.trace->OnTensor({point, layer, static_cast<int>(n_past_ + i), rows, row.size() / rows, row});
  }
}

// `stream`: the residual stream that enters the layer, or behind the layers what they leave.
void Pass::Run(Point point, int layer, std::span<const int32_t> tokens, Tensors& tensors, const Tensor& stream) {
  const bitnet::PointInfo& info = bitnet::InfoOf(point);
  const Parameters p = ParametersAt(point, layer);
  const auto input = [&](size_t which) -> const Tensor* {
    if (info.inputs[which] == Point::kUnknown) return nullptr;
    const bitnet::Source from = InputOf(p, info, which, layer, shape_);
    const bool own = from.layer == layer && from.point != Point::kEmbeddings;
    const Point read = p.reads[which];
    const bool of_the_last_layer = layer < 0 && read != Point::kUnknown && read != Point::kLayerOut;
    return own || of_the_last_layer ? &tensors[static_cast<size_t>(from.point)] : &stream;
  };
  Inputs in{
      .batch = {n_past_, tokens.size()}, .tokens = tokens, .a = input(0), .b = input(1), .n_cells = options_.n_cells};
  if (info.op == bitnet::Op::kScores || info.op == bitnet::Op::kValues) {
    const Seen& seen = seen_[static_cast<size_t>(layer)];
    const Point cached = InputOf(p, info, 1, layer, shape_).point;
    in.b = cached == Point::kVProj ? &seen.v : cached == Point::kKRope ? &seen.k_rope : &seen.k;
  }
  if (info.op == bitnet::Op::kScores) {
    const std::vector<size_t> keys = Arithmetic::KeysAttended(p.attention, in.batch);
    const bitnet::AttentionShape mask{.window = p.attention.window};
    for (size_t i = 0; i < keys.size(); ++i) {
      int& most = keys_attended_[n_past_ + i];
      most = std::max(most, static_cast<int>(keys[i]));
      if (layer == 0) first_key_[n_past_ + i] = static_cast<int>(mask.FirstKey(n_past_ + i));
    }
  }
  Tensor& y = tensors[static_cast<size_t>(point)];
  y = arithmetic_.Compute(point, p, in);
  Trace(point, layer, y);
  if (layer < 0) return;
  Seen& seen = seen_[static_cast<size_t>(layer)];
  if (point == bitnet::SourceOf(bitnet::InfoOf(Point::kKRope), 0, layer, shape_).point) AppendAll(seen.k, y);
  if (point == Point::kKRope) AppendAll(seen.k_rope, y);
  if (point == Point::kVProj) AppendAll(seen.v, y);
}

Values Pass::Forward(std::span<const int32_t> tokens, bitnet::LogitsFor which) {
  Tensors tensors;
  keys_attended_.resize(n_past_ + tokens.size(), 0);
  first_key_.resize(n_past_ + tokens.size(), 0);
  Run(Point::kEmbeddings, -1, tokens, tensors, {});
  return Layers(0, std::move(tensors[static_cast<size_t>(Point::kEmbeddings)]), tokens, which);
}

Values Pass::ForwardAbove(const Checkpoint& below, size_t layer, std::span<const int32_t> tokens,
                          bitnet::LogitsFor which) {
  keys_attended_.resize(tokens.size(), 0);
  first_key_.resize(tokens.size(), 0);
  std::copy_n(below.seen.begin(), layer, seen_.begin());
  return Layers(layer, below.entering[layer], tokens, which);
}

Values Pass::Layers(size_t first, Tensor stream, std::span<const int32_t> tokens, bitnet::LogitsFor which) {
  Tensors tensors;
  for (size_t layer = first; layer < shape_.n_layer; ++layer) {
    if (keep_ != nullptr) keep_->entering.push_back(stream);
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (!info.in_layer || !bitnet::Exists(info, shape_)) continue;
      Run(info.point, static_cast<int>(layer), tokens, tensors, stream);
    }
    stream = std::move(tensors[static_cast<size_t>(Point::kLayerOut)]);
  }
  if (keep_ != nullptr) {
    keep_->entering.push_back(stream);
    keep_->seen = seen_;
    keep_ = nullptr;
  }
  if (which == bitnet::LogitsFor::kLast) {
    const auto keep_last = [&tokens](Tensor& tensor) {
      if (tensor.n() != tokens.size()) return;
      const std::span<const float> last = tensor.row(tokens.size() - 1);
      tensor = Tensor::Uniform(Values(last.begin(), last.end()), 1);
    };
    keep_last(stream);
    for (Tensor& tensor : tensors) keep_last(tensor);
    n_past_ += tokens.size() - 1;
    tokens = tokens.last(1);
  }
  Run(Point::kOutputNorm, -1, tokens, tensors, stream);
  Run(Point::kLogits, -1, tokens, tensors, stream);
  n_past_ += tokens.size();
  return std::move(tensors[static_cast<size_t>(Point::kLogits)].data);
}

}  // namespace parity
