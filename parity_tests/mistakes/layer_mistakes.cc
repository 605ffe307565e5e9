// Mistakes in norms, in the activation, and in what stands between the products.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;

constexpr PointSet kNorms = [] {
  PointSet norms;
  for (const bitnet::PointInfo& p : bitnet::kGraph) {
    if (p.op == bitnet::Op::kNorm) norms.Add(p.point);
  }
  return norms;
}();
// Those that an architecture may lack.
constexpr PointSet kFurtherNorms = [] {
  PointSet norms;
  for (const bitnet::PointInfo& p : bitnet::kGraph) {
    if (p.op == bitnet::Op::kNorm && p.when != bitnet::When::kAlways) norms.Add(p.point);
  }
  return norms;
}();
constexpr PointSet kNormsOfALayer = {Point::kAttnNorm, Point::kAttnSubNorm, Point::kFfnNorm, Point::kFfnSubNorm};

Changes SubtractsMean(const Site&) {
  return {{"the norm of x minus its mean (LayerNorm)", [](Parameters& p) { p.norm.subtract_mean = true; }}};
}

Changes GammaRescaled(const Site& site) {
  const float root = std::sqrt(static_cast<float>(site.model.hyperparameters.n_embd));
  Changes changes;
  for (const float factor : {root, 1 / root}) {
    changes.push_back({fmt::format("gamma times {:g} (sqrt(n_embd) = {:g})", factor, root), [factor](Parameters& p) {
                         for (float& v : p.norm.gamma) v *= factor;
                       }});
  }
  return changes;
}

Changes Epsilon(const Site& site) {
  const float right = site.model.hyperparameters.rms_norm_eps;
  Changes changes;
  for (const float eps : {1e-2f, 0.0f, 1e-12f, 1e-8f, 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-1f}) {
    if (eps == right) continue;
    changes.push_back(
        {fmt::format("epsilon {:g} in place of {:g}", eps, right), [eps](Parameters& p) { p.norm.eps = eps; }});
  }
  return changes;
}

constexpr Dial kEpsilon = {"epsilon", 1e-12f, 10, [](const Parameters& p) { return p.norm.eps; },
                           [](Parameters& p, float eps) { p.norm.eps = eps; }};

Changes GammaAll(const char* how, float value) {
  return {{how, [value](Parameters& p) { std::fill(p.norm.gamma.begin(), p.norm.gamma.end(), value); }}};
}
Changes GammaZero(const Site&) { return GammaAll("gamma of all zeros", 0.0f); }
Changes GammaMissing(const Site&) { return GammaAll("gamma of all ones", 1.0f); }

Changes SubNormSkipped(const Site&) {
  return {{"the norm's input, unchanged", [](Parameters& p) { p.skip = true; }}};
}

Changes EmbeddingsNotScaled(const Site& site) {
  if (site.model.hyperparameters.embedding_scale == 1) return {};
  return {{"rows as they are", [](Parameters& p) { p.product.lookup_scale = 1; }}};
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
  return changes;
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
    {.id = "norm_subtracts_mean",
     .what = "the norm subtracts the mean: LayerNorm where the model has RMSNorm",
     .remedy = "y = x / sqrt(mean(x^2) + eps) * gamma, with no mean taken off",
     .points = kNorms,
     .changes = SubtractsMean,
     .made_in = kNormsOfALayer,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kAttnNorm},
    {.id = "norm_gamma_rescaled",
     .what = "gamma is rescaled by sqrt(n_embd)",
     .remedy = "use gammas as they are: small ones (RMS 0.02) are how such models are trained",
     .points = kNorms,
     .changes = GammaRescaled,
     .made_in = {Point::kAttnNorm, Point::kFfnNorm},
     .rung = "first-logit",
     .position = 0,
     .place = Point::kAttnNorm},
    {.id = "norm_epsilon",
     .what = "another epsilon in the norm",
     .remedy = "read {architecture}.attention.layer_norm_rms_epsilon",
     .points = kNorms,
     .changes = Epsilon,
     .dial = &kEpsilon,
     .made_in = kNormsOfALayer,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kAttnNorm},
    {.id = "norm_gamma_zero",
     .what = "a gamma of all zeros: the tensor was not loaded",
     .remedy = "check the tensor's name and that it is read",
     .points = kNorms,
     .changes = GammaZero,
     .made_in = {Point::kAttnNorm},
     .rung = "first-logit",
     .position = 0,
     .place = Point::kAttnNorm},
    {.id = "norm_gamma_missing",
     .what = "gamma is not applied",
     .remedy = "multiply the normed values by gamma",
     .points = kNorms,
     .changes = GammaMissing,
     .made_in = {Point::kAttnNorm}},
    {.id = "sub_norm_skipped",
     .what = "a sub-norm is left out",
     .remedy = "norm the input of attn_output (attn_sub_norm) and of ffn_down (ffn_sub_norm); Qwen and Gemma norm the "
               "heads of Q and K, Gemma what each branch adds",
     .points = kFurtherNorms,
     .changes = SubNormSkipped,
     .made_in = {Point::kAttnSubNorm, Point::kFfnSubNorm},
     .rung = "first-logit",
     .position = 0,
     .place = Point::kAttnSubNorm},
    {.id = "embeddings_not_scaled",
     .what = "embeddings are not multiplied by sqrt(n_embd)",
     .remedy = "gemma3 scales the rows that it looks up, and not the head that is tied to them",
     .points = {Point::kEmbeddings},
     .changes = EmbeddingsNotScaled},
    {.id = "activation_function",
     .what = "another activation function: SiLU, squared ReLU and GELU exchanged",
     .remedy = "bitnet, llama and qwen3 take SiLU; bitnet-b1.58 and bitnet-25 squared ReLU; gemma3 GELU",
     .points = {Point::kFfnAct},
     .changes = ActivationFunction,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kFfnAct},
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
    {.id = "rounding",
     .what = "rounding: no mistake is proven, and figures differ a little everywhere",
     .remedy = "round where the reference rounds (docs/exactness.md), or judge with --profile cosine beside --noise"},
};

}  // namespace

std::span<const Mistake> LayerMistakes() { return kMistakes; }
std::span<const Mistake> OtherMistakes() { return kOthers; }

}  // namespace parity
