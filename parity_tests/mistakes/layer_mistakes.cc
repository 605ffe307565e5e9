// Mistakes in the embeddings, the activation, the residual stream, and in what stands behind the logits.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "engine/formats/half.h"
#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

using Curve = double (*)(double gate, double up);
Change AsCurve(const char* how, Curve curve) {
  return {how, [curve](Parameters& p) { p.gate.curve = curve; }};
}

Changes ActivationFunction(const Site& site) {
  constexpr std::pair<bitnet::Activation, const char*> kKinds[] = {{bitnet::Activation::kSquaredRelu, "squared ReLU"},
                                                                   {bitnet::Activation::kSilu, "SiLU"},
                                                                   {bitnet::Activation::kGelu, "GELU"}};
  const bitnet::Activation own = site.model.hyperparameters.activation;
  const auto* right = std::find_if(std::begin(kKinds), std::end(kKinds), [&](auto& k) { return k.first == own; });
  Changes changes;
  for (const auto& [other, name] : kKinds) {
    if (other == own) continue;
    changes.push_back(
        {fmt::format("{} in place of {}", name, right->second), [other](Parameters& p) { p.gate.activation = other; }});
  }
  for (const Change& curve :
       {AsCurve("GELU (erf)", [](double g, double u) { return 0.5 * g * (1 + std::erf(g / std::numbers::sqrt2)) * u; }),
        AsCurve("GELU (tanh)",
                [](double g, double u) {
                  return 0.5 * g * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * g * g * g))) * u;
                }),
        AsCurve("GELU (sigmoid of 1.702 x)", [](double g, double u) { return g * Sigmoid(1.702 * g) * u; }),
        AsCurve("ReLU", [](double g, double u) { return std::max(g, 0.0) * u; }),
        AsCurve("squared leaky ReLU",
                [](double g, double u) {
                  const double r = g > 0 ? g : 0.01 * g;
                  return r * r * u;
                }),
        AsCurve("x squared, with no ReLU", [](double g, double u) { return g * g * u; }),
        AsCurve("sigmoid", [](double g, double u) { return Sigmoid(g) * u; }),
        AsCurve("tanh", [](double g, double u) { return std::tanh(g) * u; }),
        AsCurve("no activation", [](double g, double u) { return g * u; })}) {
    changes.push_back(curve);
  }
  return changes;
}

Changes GateMisused(const Site& site) {
  if (site.model.hyperparameters.activation == bitnet::Activation::kSilu) {
    return {AsCurve("SiLU of gate times up", [](double g, double u) { return g * u * Sigmoid(g * u); }),
            AsCurve("SiLU of gate, without up", [](double g, double) { return g * Sigmoid(g); }),
            AsCurve("SiLU of gate, times up + 1", [](double g, double u) { return g * Sigmoid(g) * (u + 1); }),
            AsCurve("SiLU twice", [](double g, double u) {
              const double once = g * Sigmoid(g);
              return once * Sigmoid(once) * u;
            })};
  }
  if (site.model.hyperparameters.activation != bitnet::Activation::kSquaredRelu) return {};
  return {
      AsCurve("squared ReLU of gate times up",
              [](double g, double u) {
                const double r = std::max(g * u, 0.0);
                return r * r;
              }),
      AsCurve("squared ReLU of gate, without up", [](double g, double) { return std::max(g, 0.0) * std::max(g, 0.0); }),
      AsCurve("squared ReLU of gate, times up + 1",
              [](double g, double u) { return std::max(g, 0.0) * std::max(g, 0.0) * (u + 1); })};
}

Changes ActivationClamped(const Site& site) {
  if (site.model.hyperparameters.activation == bitnet::Activation::kGelu) return {};
  const bool silu = site.model.hyperparameters.activation == bitnet::Activation::kSilu;
  Changes changes;
  for (const double most : {1.0, 2.0, 6.0, 7.0, 10.0}) {
    changes.push_back({fmt::format("gate and up clamped to {:g}", most), [silu, most](Parameters& p) {
                         p.gate.curve = [silu, most](double g, double u) {
                           g = std::clamp(g, -most, most);
                           u = std::clamp(u, -most, most);
                           return silu ? g * Sigmoid(g) * u : std::max(g, 0.0) * std::max(g, 0.0) * u;
                         };
                       }});
  }
  return changes;
}

Changes Residual(const Site& site) {
  const float depth = std::sqrt(2.0f * static_cast<float>(site.model.hyperparameters.n_layer));
  const auto sum = [](std::string how, float branch, float stream) {
    return Change{std::move(how), [=](Parameters& p) { p.add = {.branch = branch, .stream = stream}; }};
  };
  Changes changes = {sum("the branch alone: the residual is not added", 1, 0),
                     sum("the residual alone: the branch is not added", 0, 1),
                     sum("the residual twice", 1, 2),
                     sum("the branch twice", 2, 1),
                     sum("the branch taken off", -1, 1),
                     sum("both halved", 0.5f, 0.5f),
                     sum("both divided by sqrt(2)", 1 / std::sqrt(2.0f), 1 / std::sqrt(2.0f)),
                     sum(fmt::format("the branch divided by sqrt(2 n_layer) = {:g}", depth), 1 / depth, 1)};
  const auto reads = [](const char* how, Point point) {
    return Change{how, [point](Parameters& p) { p.reads[1] = point; }};
  };
  if (site.point == Point::kFfnInp) {
    changes.push_back(reads("the normed input in place of the residual", Point::kAttnNorm));
  } else {
    changes.push_back(reads("the normed input in place of the residual", Point::kFfnNorm));
    changes.push_back(reads("the layer's input in place of attention's output", Point::kLayerOut));
  }
  return changes;
}
constexpr Dial kBranch = {"factor of the branch", 1e-3f, 1e3f, [](const Parameters& p) { return p.add.branch; },
                          [](Parameters& p, float branch) { p.add.branch = branch; }};

Changes EmbeddingRow(const Site&) {
  return {{"the row of token id + 1", [](Parameters& p) { p.lookup.shift = 1; }},
          {"the row of token id - 1", [](Parameters& p) { p.lookup.shift = -1; }}};
}

Changes EmbeddingScaled(const Site& site) {
  const float root = std::sqrt(static_cast<float>(site.model.hyperparameters.n_embd));
  Changes changes;
  if (site.model.hyperparameters.embedding_scale != 1) {
    changes.push_back({"embeddings as they are", [](Parameters& p) { p.lookup.factor = 1; }});
  }
  for (const float factor : {root, 1 / root}) {
    changes.push_back({fmt::format("embeddings times {:g} (sqrt(n_embd) = {:g})", factor, root),
                       [factor](Parameters& p) { p.lookup.factor *= factor; }});
  }
  return changes;
}

Changes LogitsChanged(const Site& site) {
  const float root = std::sqrt(static_cast<float>(site.model.hyperparameters.n_embd));
  Changes changes = {
      {fmt::format("logits divided by sqrt(n_embd) = {:g}", root), [root](Parameters& p) { p.factor = 1 / root; }}};
  for (const float cap : {30.0f, 50.0f, 15.0f}) {
    changes.push_back({fmt::format("logits soft-capped at {:g}", cap), [cap](Parameters& p) {
                         p.spoil = [cap](std::vector<float>& y) {
                           for (float& v : y) v = cap * std::tanh(v / cap);
                         };
                       }});
  }
  changes.push_back({"logits rounded to F16", [](Parameters& p) {
                       p.spoil = [](std::vector<float>& y) {
                         for (float& v : y) v = bitnet::F32FromF16(bitnet::F16FromF32(v));
                       };
                     }});
  changes.push_back({"logits rounded to BF16", [](Parameters& p) {
                       p.spoil = [](std::vector<float>& y) {
                         for (float& v : y) v = bitnet::F32FromBf16(bitnet::Bf16FromF32(v));
                       };
                     }});
  return changes;
}

Changes NeighbouringRow(const Site&) {
  return {{"the row of the position before", [](Parameters& p) { p.row_shift = -1; }},
          {"the row of the next position", [](Parameters& p) { p.row_shift = 1; }}};
}

// Far from what belongs there, or the ladder may now and then pass a stage by luck.
Changes Uninitialized(const Site& site) {
  const size_t width = bitnet::WidthOf(bitnet::InfoOf(site.point).width, bitnet::ShapeOf(site.model.hyperparameters));
  return {{"one number of each row was never set", [width](Parameters& p) {
             p.spoil = [width](std::vector<float>& y) {
               std::random_device device;
               std::uniform_real_distribution<float> any(16, 32);
               for (size_t end = width; end <= y.size(); end += width) y[end - 1] = any(device);
             };
           }}};
}

int32_t LastOfEquals(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] >= logits[best]) best = i;
  }
  return static_cast<int32_t>(best);
}

const Mistake kMistakes[] = {
    {.id = "activation_function",
     .what = "another activation function: SiLU, squared ReLU and GELU exchanged",
     .remedy = "bitnet, llama and qwen3 take SiLU; bitnet-b1.58 and bitnet-25 squared ReLU; gemma3 GELU",
     .points = {Point::kFfnAct},
     .changes = ActivationFunction,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kFfnAct},
    {.id = "gate_misused",
     .what = "activation, gate and up are combined in another way",
     .remedy = "activation(gate) * up",
     .points = {Point::kFfnAct},
     .changes = GateMisused},
    {.id = "activation_clamped",
     .what = "gate and up are clamped",
     .remedy = "clamp nothing",
     .points = {Point::kFfnAct},
     .changes = ActivationClamped},
    {.id = "residual",
     .what = "branch and residual are added in another way",
     .remedy = "add the branch to what entered it, once, with no factor",
     .points = {Point::kFfnInp, Point::kLayerOut},
     .changes = Residual,
     .dial = &kBranch},
    {.id = "embedding_row",
     .what = "the embedding of another token is read",
     .remedy = "read row id of token_embd, counted from 0",
     .points = {Point::kEmbeddings},
     .changes = EmbeddingRow},
    {.id = "embedding_scaled",
     .what = "embeddings are scaled where they should not be, or not where they should",
     .remedy = "gemma3 multiplies the rows that it looks up by sqrt(n_embd), the other architectures do not",
     .points = {Point::kEmbeddings},
     .changes = EmbeddingScaled},
    {.id = "logits_changed",
     .what = "logits are scaled, capped or rounded",
     .remedy = "hand on what the head gives, in float32",
     .points = {Point::kLogits},
     .changes = LogitsChanged},
    {.id = "neighbouring_row",
     .what = "a row holds the numbers of a neighbouring position",
     .remedy = "row i of every tensor is of position i",
     .points = {Point::kEmbeddings, Point::kAttnNorm, Point::kQProj, Point::kKProj, Point::kVProj, Point::kAttnOProj,
                Point::kFfnNorm, Point::kFfnGate, Point::kFfnUp, Point::kFfnAct, Point::kFfnDown, Point::kOutputNorm,
                Point::kLogits},
     .changes = NeighbouringRow,
     .made_in = {Point::kLogits}},
    {.id = "uninitialized",
     .what = "the engine answers the same request in two ways: memory that was never set, or a race",
     .remedy = "run it under a memory checker; compare two runs' traces",
     .points = {Point::kAttnOut},
     .changes = Uninitialized,
     .tried = false,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kAttnOut},
};

// What the outputs say beside each other, and what happens behind the logits.
const Mistake kOthers[] = {
    {.id = "scaled_by_constant",
     .what = "the output is the right one times a constant",
     .remedy = "look for a scale applied twice or not at all"},
    {.id = "permuted",
     .what = "the output holds the right numbers in another order",
     .remedy = "check the order of rows, heads or blocks"},
    {.id = "argmax_last",
     .what = "of equal logits the last is taken",
     .remedy = "take the first of equals",
     .choose = LastOfEquals,
     .rung = "decode"},
    {.id = "not_greedy",
     .what = "tokens are not taken greedily: of its own logits the engine does not take the largest",
     .remedy = "decode with temperature 0, without penalties and without suppressed tokens",
     .tried = false},
    {.id = "ends_elsewhere",
     .what = "generation ends where the reference's goes on, or goes on where it ends; the tokens before are equal",
     .remedy = "end at the end-of-generation tokens of the vocabulary and at max_tokens, and nowhere else",
     .tried = false},
    {.id = "weights_not_finite",
     .what = "the model file holds NaN or infinity, and engines make different things of them",
     .remedy = "look at the file (bitnet-parity inspect names the tensor), and export it again",
     .tried = false},
    {.id = "rounding",
     .what = "rounding: no mistake is proven, and figures differ a little everywhere",
     .remedy = "round where the reference rounds (docs/exactness.md), or judge with --profile cosine beside --noise"},
};

}  // namespace

std::span<const Mistake> LayerMistakes() { return kMistakes; }
std::span<const Mistake> OtherMistakes() { return kOthers; }

}  // namespace parity
