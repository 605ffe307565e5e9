// Mistakes in how weights are read, and in the products with them.
#include <fmt/format.h>

#include <random>

#include "engine/formats/codec.h"
#include "parity_tests/mistakes/mistake.h"
#include "parity_tests/oracle/quantize.h"
#include "parity_tests/oracle/ternary.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;
using bitnet::InfoOf;

constexpr PointSet kProjections = {Point::kQProj,   Point::kKProj, Point::kVProj,  Point::kAttnOProj,
                                   Point::kFfnGate, Point::kFfnUp, Point::kFfnDown};

const bitnet::WeightMatrix& MatrixAt(const Site& site) {
  return MatrixOf(site.model, InfoOf(site.point).weight, site.layer);
}

Changes LinearOrder(const Site& site) {
  if (!bitnet::FormatOf(MatrixAt(site).type).is_ternary()) return {};
  const size_t codes = MatrixAt(site).type == bitnet::TensorType::kTQ1_0 ? 5 : 4;
  return {{fmt::format("the weights with {} neighbours read from each byte", codes == 4 ? "four" : "five"),
           [](Parameters& p) { p.product = ReadLinearly(p.product.w); }}};
}

Changes ScaleDropped(const Site& site) {
  if (!bitnet::FormatOf(MatrixAt(site).type).is_ternary()) return {};
  return {{"the weights with scale 1", [](Parameters& p) { p.product = WithoutScale(p.product.w); }}};
}

Changes CodesSwapped(const Site& site) {
  if (!bitnet::FormatOf(MatrixAt(site).type).is_ternary()) return {};
  return {{"the weights with codes 0 and 2 exchanged", [](Parameters& p) {
             p.product = WithCodes(p.product.w, [](uint8_t code) { return static_cast<uint8_t>(2 - code); });
           }}};
}

// `how`, where the format rounds activations to int8 at all.
Changes Quantized(const Site& site, Quantizing rule, const char* how) {
  const bitnet::ActivationKind kind = bitnet::ActivationKindFor(MatrixAt(site).type, 2, bitnet::AllOrders().front());
  if (!IsInt8(kind)) return {};
  return {{how, [rule](Parameters& p) { p.product.quantizing = rule; }}};
}
Changes QuantizedPerTensor(const Site& site) {
  return Quantized(site, Quantizing::kWholeBatch, "one int8 scale for all rows of activations");
}
Changes QuantizedByTruncation(const Site& site) {
  return Quantized(site, Quantizing::kTruncating, "int8 activations cut off in place of rounded");
}
Changes NotQuantized(const Site& site) {
  return Quantized(site, Quantizing::kNone, "the weights times activations that were not rounded to int8");
}

bool IsGateOrUp(Point point) { return point == Point::kFfnGate || point == Point::kFfnUp; }

// The product with another matrix of the layer that has the same shape.
Changes OtherTensors(const Site& site, bool gate_up) {
  if (site.layer < 0 || gate_up != IsGateOrUp(site.point)) return {};
  const bitnet::WeightMatrix& own = MatrixAt(site);
  Changes changes;
  for (const bitnet::PointInfo& other : bitnet::kGraph) {
    if (!kProjections.Has(other.point) || other.point == site.point || (gate_up && !IsGateOrUp(other.point))) continue;
    const bitnet::WeightMatrix& w = MatrixOf(site.model, other.weight, site.layer);
    if (w.rows != own.rows || w.cols != own.cols) continue;
    changes.push_back(
        {fmt::format("the product with the weights of {}", other.name), [w](Parameters& p) { p.product.w = w; }});
  }
  return changes;
}
Changes WrongTensor(const Site& site) { return OtherTensors(site, false); }

Changes GateUpSwapped(const Site& site) {
  if (site.point != Point::kFfnAct) return OtherTensors(site, true);
  return {{"the activation applied to up, times gate", [](Parameters& p) { p.gate.swapped = true; }}};
}

// A head with weights of its own that were never loaded.
Changes HeadNotTied(const Site& site) {
  return {{"a head of random weights", [](Parameters& p) {
             bitnet::WeightMatrix& w = p.product.w;
             std::mt19937 random(1);
             std::normal_distribution<float> normal(0, 0.02f);
             std::vector<float> values(w.rows * w.cols);
             for (float& v : values) v = normal(random);
             std::vector<std::byte> bytes(bitnet::TensorBytes(w.type, w.rows, w.cols));
             bitnet::QuantizeTensor(w.type, values, w.rows, w.cols, bytes);
             p.product.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
             w.data = p.product.bytes->data();
           }}};
}

const Mistake kMistakes[] = {
    {.id = "weights_linear_order",
     .what = "ternary codes are read in linear, not in interleaved order",
     .remedy = "read a byte's four codes 32 weights apart (engine/formats has the layouts)",
     .points = kProjections,
     .changes = LinearOrder,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "weights_scale_dropped",
     .what = "the scale of ternary weights is not applied",
     .remedy = "multiply by the block's F16 scale (TQ1_0, TQ2_0) or by the tensor's float32 behind the codes (I2_S)",
     .points = kProjections,
     .changes = ScaleDropped,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "weights_codes_swapped",
     .what = "the codes 0 and 2 are exchanged",
     .remedy = "codes 0, 1, 2 are -1, 0, +1",
     .points = kProjections,
     .changes = CodesSwapped,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "gate_up_swapped",
     .what = "ffn_gate and ffn_up are exchanged",
     .remedy = "the activation is applied to the gate",
     .points = {Point::kFfnGate, Point::kFfnUp, Point::kFfnAct},
     .changes = GateUpSwapped,
     .made_in = {Point::kFfnGate, Point::kFfnUp},
     .rung = "first-logit",
     .position = 0,
     .place = Point::kFfnGate},
    {.id = "wrong_tensor",
     .what = "another tensor of the layer is multiplied",
     .remedy = "check the tensors' names",
     .points = kProjections,
     .changes = WrongTensor},
    {.id = "quantized_per_tensor",
     .what = "activations are quantized with one scale for the whole batch",
     .remedy = "a scale for each row (I2_S) or block of 256 (TQ1_0, TQ2_0)",
     .points = kProjections,
     .changes = QuantizedPerTensor,
     .rung = "first-logit",
     .position = 0,
     // A single row has one scale in any case; only ffn_down's has more than one block.
     .place = Point::kFfnDown},
    {.id = "quantized_by_truncation",
     .what = "activations are truncated to int8",
     .remedy = "round to the nearest, ties to even",
     .points = kProjections,
     .changes = QuantizedByTruncation,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "activations_not_quantized",
     .what = "activations are not rounded to int8, as the references round them for these weights",
     .remedy = "nothing, if that is meant: compare by profile cosine, or with an F32 model; else quantize them",
     .points = {Point::kQProj, Point::kKProj, Point::kVProj, Point::kAttnOProj, Point::kFfnGate, Point::kFfnUp,
                Point::kFfnDown, Point::kLogits},
     .changes = NotQuantized,
     .made_in = kProjections,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "head_not_tied",
     .what = "the head does not use token_embd",
     .remedy = "without output.weight, the head is token_embd",
     .points = {Point::kLogits},
     .changes = HeadNotTied,
     .tried = false,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kLogits},
};

}  // namespace

std::span<const Mistake> WeightMistakes() { return kMistakes; }

}  // namespace parity
