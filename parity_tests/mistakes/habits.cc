// What engines do otherwise than the references and mean to. Each is a change of the parameters like any mistake, or a
// share by which an output may differ.
#include <fmt/format.h>

#include <cmath>

#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;

constexpr PointSet kProducts = {Point::kQProj,   Point::kKProj, Point::kVProj,   Point::kAttnOProj,
                                Point::kFfnGate, Point::kFfnUp, Point::kFfnDown, Point::kLogits};
constexpr PointSet kReadsCache = {Point::kAttnScores, Point::kAttnOut};

const bitnet::WeightMatrix& MatrixAt(const Site& site) {
  return MatrixOf(site.model, bitnet::InfoOf(site.point).weight, site.layer);
}

Changes FloatCache(const Site& site) {
  return {{site.point == Point::kAttnScores ? "K in float32" : "V in float32",
           [](Parameters& p) { p.attention.cache = CacheType::kF32; }}};
}

Changes FloatQuery(const Site& site) {
  const char* what = site.point == Point::kAttnScores ? "Q" : "probabilities";
  return {{fmt::format("{} in float32", what), [](Parameters& p) { p.attention.rounds_query = false; }},
          {fmt::format("{} rounded to F16", what), [](Parameters& p) { p.attention.rounds_query = true; }}};
}

Changes FloatActivations(const Site& site) {
  const bitnet::ActivationKind kind = bitnet::FormatOf(MatrixAt(site).type).activations;
  if (kind == bitnet::ActivationKind::kF32 || IsInt8(kind)) return {};
  return {{"float32 activations", [](Parameters& p) { p.product.quantizing.none = true; }},
          {"activations rounded to F16", [](Parameters& p) { p.product.quantizing.to_f16 = true; }}};
}

// A row of the weights as int8 times a scale for each `group` of them.
void ToInt8(float* row, size_t cols, size_t group) {
  for (size_t at = 0; at < cols; at += group) {
    float largest = 0;
    for (size_t i = at; i < at + group; ++i) largest = std::max(largest, std::fabs(row[i]));
    const float d = largest / 127.0f;
    for (size_t i = at; i < at + group && d > 0; ++i) row[i] = std::round(row[i] / d) * d;
  }
}

Changes Int8Head(const Site& site) {
  const bitnet::WeightMatrix w = MatrixAt(site);
  Changes changes;
  for (const size_t group : {w.cols, size_t{32}}) {
    if (w.cols % group != 0) continue;
    const auto read = [w, group](size_t r, float* row) {
      bitnet::WeightRow(w, r, row);
      ToInt8(row, w.cols, group);
    };
    const std::string weights = group == w.cols ? "each row of the head" : "each 32 weights of the head";
    const auto add = [&](const char* activations, const Quantizing& rule) {
      changes.push_back({fmt::format("{} as int8, {}", weights, activations), [read, rule](Parameters& p) {
                           p.product.read_row = read;
                           p.product.quantizing = rule;
                         }});
    };
    add("int8 activations, a scale a row", {.group = Quantizing::Group::kRow});
    if (w.cols % 32 == 0) add("int8 activations in blocks of 32", {.group = Quantizing::Group::kBlock, .block = 32});
    add("float32 activations", {.none = true});
  }
  return changes;
}

Changes ExactAngles(const Site&) {
  return {{"each angle computed by itself, in double", [](Parameters& p) { p.rope.exact = true; }}};
}

const Mistake kHabits[] = {
    {.id = "float_cache",
     .what = "K and V are kept in float32",
     .remedy = "nothing: compare by profile cosine, or round K and V to F16 as the references do",
     .points = kReadsCache,
     .changes = FloatCache,
     .habit = true},
    {.id = "float_attention",
     .what = "Q and the probabilities are rounded otherwise",
     .remedy = "nothing: compare by profile cosine, or round them as the references do",
     .points = kReadsCache,
     .changes = FloatQuery,
     .habit = true},
    {.id = "float_activations",
     .what = "activations are rounded otherwise",
     .remedy = "nothing: compare by profile cosine, or round them as the references do",
     .points = kProducts,
     .changes = FloatActivations,
     .habit = true},
    {.id = "int8_head",
     .what = "the head is multiplied in int8",
     .remedy = "nothing, if that is meant: it moves every logit; else keep the head's own type",
     .points = {Point::kLogits},
     .changes = Int8Head,
     .habit = true,
     .slack = 2e-3},  // weights that lie between two int8 values go either way
    {.id = "exact_angles",
     .what = "RoPE's angles are computed one by one",
     .remedy = "nothing: the references multiply them up in float32 from pair to pair",
     .points = {Point::kQRope, Point::kKRope},
     .changes = ExactAngles,
     .habit = true,
     .tried = false},
    {.id = "fast_exponential",
     .what = "exponentials have fewer digits than float32",
     .remedy = "nothing, if that is meant: the softmax and SiLU are as exact as that",
     .points = {Point::kAttnScoresSoftmax, Point::kFfnAct},
     .changes = [](const Site&) -> Changes {
       return {{"a fast exponential", [](Parameters&) {}}};
     },
     .habit = true,
     .slack = 2e-4,
     .tried = false},
};

}  // namespace

std::span<const Mistake> Habits() { return kHabits; }

}  // namespace parity
