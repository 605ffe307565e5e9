// Mistakes in the activations that meet the weights.
#include <fmt/format.h>

#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;

constexpr PointSet kProjections = {Point::kQProj,   Point::kKProj, Point::kVProj,  Point::kAttnOProj,
                                   Point::kFfnGate, Point::kFfnUp, Point::kFfnDown};

const bitnet::WeightMatrix& MatrixAt(const Site& site) {
  return MatrixOf(site.model, bitnet::InfoOf(site.point).weight, site.layer);
}

// `how`, where the format rounds activations to int8 at all.
Changes Quantized(const Site& site, const Quantizing& rule, const char* how) {
  const bitnet::ActivationKind kind = bitnet::ActivationKindFor(MatrixAt(site), 2, bitnet::AllOrders().front());
  if (!IsInt8(kind)) return {};
  return {{how, [rule](Parameters& p) { p.product.quantizing = rule; }}};
}
Changes QuantizedPerTensor(const Site& site) {
  return Quantized(site, {.group = Quantizing::Group::kBatch}, "one int8 scale for all rows of activations");
}
Changes QuantizedByTruncation(const Site& site) {
  return Quantized(site, {.rounding = Quantizing::Rounding::kTruncating},
                   "int8 activations cut off in place of rounded");
}
Changes NotQuantized(const Site& site) {
  return Quantized(site, {.none = true}, "the weights times activations that were not rounded to int8");
}

bool RoundsToInt8(const Site& site) {
  return IsInt8(bitnet::ActivationKindFor(MatrixAt(site), 2, bitnet::AllOrders().front()));
}

Changes RoundedOtherwise(const Site& site) {
  if (!RoundsToInt8(site)) return {};
  Changes changes;
  const auto add = [&](std::string how, const Quantizing& rule) {
    changes.push_back({std::move(how), [rule](Parameters& p) { p.product.quantizing = rule; }});
  };
  add("int8 activations rounded down", {.rounding = Quantizing::Rounding::kFloor});
  add("int8 activations rounded up from 0.45 on", {.nearest_from = 0.45f});
  add("int8 activations rounded up from 0.55 on", {.nearest_from = 0.55f});
  add("int8 activations rounded by floor(x + 0.55)", {.rounding = Quantizing::Rounding::kUp, .nearest_from = 0.45f});
  add("int8 activations rounded by floor(x + 0.45)", {.rounding = Quantizing::Rounding::kUp, .nearest_from = 0.55f});
  return changes;
}

Changes ScaledOtherwise(const Site& site) {
  if (!RoundsToInt8(site)) return {};
  Changes changes;
  const auto add = [&](std::string how, const Quantizing& rule) {
    changes.push_back({std::move(how), [rule](Parameters& p) { p.product.quantizing = rule; }});
  };
  for (const float levels : {128.0f, 126.0f, 63.0f, 7.0f, 255.0f}) {
    add(fmt::format("a scale of {:g} / max in place of 127 / max, clipped", levels), {.levels = levels});
    if (levels > 127) add(fmt::format("a scale of {:g} / max, wrapped", levels), {.levels = levels, .wraps = true});
  }
  add("a scale from the largest value, not the largest magnitude", {.largest = Quantizing::Largest::kValue});
  add("a scale from the largest value, not the largest magnitude, clipped at -127",
      {.largest = Quantizing::Largest::kValue, .lowest = -127});
  add("a scale from the mean magnitude", {.largest = Quantizing::Largest::kMeanMagnitude});
  return changes;
}

// Groups of activations that share a scale: another engine's choice more often than a mistake.
Changes GroupedOtherwise(const Site& site) {
  if (!RoundsToInt8(site)) return {};
  const bitnet::WeightMatrix& w = MatrixAt(site);
  const size_t own = ScaleGroup(bitnet::ActivationKindFor(w, 2, bitnet::AllOrders().front()), w.cols);
  Changes changes;
  if (own != w.cols) {
    changes.push_back({"one int8 scale for each row of activations",
                       [](Parameters& p) { p.product.quantizing = {.group = Quantizing::Group::kRow}; }});
  }
  for (const size_t block : {32, 64, 128, 256}) {
    if (block == own || w.cols % block != 0 || block == w.cols) continue;
    changes.push_back({fmt::format("one int8 scale for each {} activations", block), [block](Parameters& p) {
                         p.product.quantizing = {.group = Quantizing::Group::kBlock, .block = block};
                       }});
  }
  return changes;
}

Changes SumsThatWrap(const Site& site) {
  if (!RoundsToInt8(site) || !bitnet::FormatOf(MatrixAt(site).type).is_ternary()) return {};
  const auto sums = [](const char* how, const NarrowSums& narrow) {
    return Change{how, [narrow](Parameters& p) { p.product.narrow = narrow; }};
  };
  return {sums("8 sums of 16 bits for 2048 weights, which wrap (ARM without the dot product)",
               {.sums = 8, .weights = 2048, .codes = true}),
          sums("16 sums of 16 bits for 4096 weights, which wrap (AVX2)",
               {.sums = 16, .neighbours = 2, .weights = 4096, .codes = true}),
          sums("one sum of 16 bits, which wraps", {})};
}

Changes WrongInput(const Site& site) {
  const auto reads = [](Point point) {
    return Change{fmt::format("the product with {}", PointName(point)), [point](Parameters& p) { p.reads[0] = point; }};
  };
  switch (site.point) {
    case Point::kQProj:
    case Point::kKProj:
    case Point::kVProj:
      return {
          {"the product with what enters the layer, not normed", [](Parameters& p) { p.reads[0] = Point::kLayerOut; }}};
    case Point::kAttnOProj:
      return {reads(Point::kAttnOut)};
    case Point::kFfnGate:
    case Point::kFfnUp:
      return {reads(Point::kFfnInp), reads(Point::kAttnNorm)};
    case Point::kFfnDown:
      return {reads(Point::kFfnAct)};
    case Point::kLogits:
      return {{"the product with what leaves the last layer, not normed",
               [](Parameters& p) { p.reads[0] = Point::kLayerOut; }}};
    default:
      return {};
  }
}

Changes SideTensors(const Site& site) {
  const bitnet::WeightMatrix& w = MatrixAt(site);
  Changes changes;
  if (w.bias != nullptr) changes.push_back({"without the bias", [](Parameters& p) { p.product.w.bias = nullptr; }});
  if (w.side_scale != 1.0f) {
    changes.push_back({fmt::format("without the scale {:g} beside the weights", w.side_scale),
                       [](Parameters& p) { p.product.w.side_scale = 1; }});
    changes.push_back({"divided by the scale beside the weights",
                       [](Parameters& p) { p.product.w.side_scale = 1 / p.product.w.side_scale; }});
  }
  return changes;
}

constexpr Dial kFactor = {"factor of the output", 1e-4f, 1e4f, [](const Parameters& p) { return p.factor; },
                          [](Parameters& p, float factor) { p.factor = factor; }};
Changes OutputScaled(const Site&) {
  return {{"twice the output", [](Parameters& p) { p.factor = 2; }},
          {"half the output", [](Parameters& p) { p.factor = 0.5f; }}};
}

const Mistake kMistakes[] = {
    {.id = "quantized_per_tensor",
     .what = "activations are quantized with one scale for the whole batch",
     .remedy = "a scale for each row (I2_S) or block of 256 (TQ1_0, TQ2_0)",
     .points = kProjections,
     .changes = QuantizedPerTensor,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
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
     .habit = true,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "quantized_rounding",
     .what = "activations are rounded to int8 by another rule",
     .remedy = "round to the nearest, ties to even",
     .points = kProjections,
     .changes = RoundedOtherwise},
    {.id = "quantized_scale",
     .what = "activations have another int8 scale",
     .remedy = "127 divided by the largest magnitude of the row (I2_S) or block of 256 (TQ1_0, TQ2_0)",
     .points = kProjections,
     .changes = ScaledOtherwise},
    {.id = "quantized_groups",
     .what = "other groups of activations share an int8 scale",
     .remedy = "nothing, if that is meant; else a scale for each row (I2_S) or block of 256 (TQ1_0, TQ2_0)",
     .points = kProjections,
     .changes = GroupedOtherwise,
     .habit = true},
    {.id = "narrow_sums",
     .what = "sums of int8 products overflow 16 bits",
     .remedy = "add up in 32 bits, or widen before the sum can reach 32,768",
     .points = kProjections,
     .changes = SumsThatWrap,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "product_wrong_input",
     .what = "the weights meet another tensor than they should",
     .remedy = "Q, K and V take attn_norm, attn_output takes attn_sub_norm, ffn_down takes ffn_sub_norm",
     .points = {Point::kQProj, Point::kKProj, Point::kVProj, Point::kAttnOProj, Point::kFfnGate, Point::kFfnUp,
                Point::kFfnDown, Point::kLogits},
     .changes = WrongInput},
    {.id = "side_tensor",
     .what = "a scale or bias beside the weights is not applied",
     .remedy = "multiply by <name>.scale and add <name>.bias where the file has them",
     .points = kProjections,
     .changes = SideTensors},
    {.id = "output_scaled",
     .what = "the output has a factor that does not belong there",
     .remedy = "look for a scale applied twice or not at all",
     .points = {Point::kQProj, Point::kKProj, Point::kVProj, Point::kAttnOProj, Point::kFfnGate, Point::kFfnUp,
                Point::kFfnDown, Point::kAttnOut, Point::kFfnAct, Point::kLogits},
     .changes = OutputScaled,
     .dial = &kFactor},
};

}  // namespace

std::span<const Mistake> ProductMistakes() { return kMistakes; }

}  // namespace parity
