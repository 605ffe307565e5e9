// Mistakes in norms.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/formats/half.h"
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

Changes EpsilonOutside(const Site&) {
  return {{"epsilon added to the root, not under it", [](Parameters& p) { p.norm.eps_outside = true; }}};
}

Changes Divisor(const Site& site) {
  const auto n = static_cast<float>(GammaOf(site.model, bitnet::InfoOf(site.point).weight, site.layer).size());
  const auto by = [](std::string how, float divisor) {
    return Change{std::move(how), [divisor](Parameters& p) { p.norm.divisor = divisor; }};
  };
  return {by("the sum of the squares in place of their mean", 1),
          by("the sum divided by n - 1", n - 1),
          by("the sum divided by 2 n", 2 * n),
          {"the mean of the first half of the row", [](Parameters& p) { p.norm.share = 0.5f; }}};
}
constexpr Dial kDivisor = {"divisor of the sum of squares", 0.5f, 1e6f,
                           [](const Parameters& p) { return static_cast<float>(p.norm.gamma.size()); },
                           [](Parameters& p, float divisor) { p.norm.divisor = divisor; }};

// Gammas of the same width: the layer's other norms, and the same norm in other layers.
Changes OtherGamma(const Site& site) {
  const bitnet::PointInfo& own = bitnet::InfoOf(site.point);
  const bitnet::GraphShape shape = bitnet::ShapeOf(site.model.hyperparameters);
  const size_t width = GammaOf(site.model, own.weight, site.layer).size();
  Changes changes;
  const auto add = [&](const bitnet::PointInfo& info, int layer) {
    const std::span<const float> gamma = GammaOf(site.model, info.weight, layer);
    const std::string name = layer < 0 ? std::string(info.name) : fmt::format("{} of layer {}", info.name, layer);
    changes.push_back(
        {"the gamma of " + name, [gamma](Parameters& p) { p.norm.gamma.assign(gamma.begin(), gamma.end()); }});
  };
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (info.op != bitnet::Op::kNorm || !bitnet::Exists(info, shape)) continue;
    if (bitnet::WidthOf(bitnet::InfoOf(info.weight).cols, shape) != width) continue;
    const int last = static_cast<int>(shape.n_layer) - 1;
    if (!info.in_layer) {
      if (info.point != site.point) add(info, -1);
    } else if (info.point == site.point) {
      for (int layer = 0; layer <= last; ++layer) {
        if (layer != site.layer) add(info, layer);
      }
    } else {
      add(info, site.layer < 0 ? last : site.layer);
    }
  }
  return changes;
}

Changes GammaChanged(const Site&) {
  const auto each = [](const char* how, float (*to)(float)) {
    return Change{how, [to](Parameters& p) {
                    for (float& v : p.norm.gamma) v = to(v);
                  }};
  };
  const auto shifted = [](const char* how, int by) {
    return Change{how, [by](Parameters& p) {
                    const std::vector<float> gamma = p.norm.gamma;
                    const size_t n = gamma.size();
                    for (size_t i = 0; i < n; ++i) p.norm.gamma[i] = gamma[(i + n + static_cast<size_t>(by)) % n];
                  }};
  };
  return {each("gamma + 1", [](float v) { return v + 1; }),
          each("gamma rounded to BF16", [](float v) { return bitnet::F32FromBf16(bitnet::Bf16FromF32(v)); }),
          each("gamma rounded to F16", [](float v) { return bitnet::F32FromF16(bitnet::F16FromF32(v)); }),
          each("gamma squared", [](float v) { return v * v; }),
          each("1 / gamma", [](float v) { return 1 / v; }),
          shifted("gamma read one number too far", 1),
          shifted("gamma read one number too early", -1)};
}
constexpr Dial kGammaFactor = {"factor of gamma", 1e-4f, 1e4f, [](const Parameters&) { return 1.0f; },
                               [](Parameters& p, float factor) {
                                 for (float& v : p.norm.gamma) v *= factor;
                               }};

Changes ReadsOther(const Site& site) {
  const auto reads = [](Point point) {
    return Change{fmt::format("the norm of {}", PointName(point)), [point](Parameters& p) { p.reads[0] = point; }};
  };
  switch (site.point) {
    case Point::kFfnNorm:
      return {{"the norm of what enters the layer", [](Parameters& p) { p.reads[0] = Point::kLayerOut; }},
              reads(Point::kAttnOProj)};
    case Point::kAttnSubNorm:
      return {reads(Point::kQRope), reads(Point::kQProj)};
    case Point::kFfnSubNorm:
      return {reads(Point::kFfnGate), reads(Point::kFfnUp)};
    case Point::kOutputNorm:
      return {reads(Point::kFfnInp), reads(Point::kFfnDown)};
    default:
      return {};
  }
}

Changes NormSkipped(const Site&) {
  return {{"the norm's input, unchanged", [](Parameters& p) { p.skip = true; }}};
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
    {.id = "norm_skipped",
     .what = "a norm is left out",
     .remedy = "norm what enters attention, the feed-forward network and the head",
     .points = {Point::kAttnNorm, Point::kFfnNorm, Point::kOutputNorm},
     .changes = NormSkipped},
    {.id = "norm_epsilon_outside",
     .what = "epsilon is added outside the square root",
     .remedy = "y = x / sqrt(mean(x^2) + eps) * gamma",
     .points = kNorms,
     .changes = EpsilonOutside,
     .made_in = {Point::kAttnNorm}},
    {.id = "norm_divisor",
     .what = "the norm does not take the mean of its row's squares",
     .remedy = "divide the sum of squares by the number of values that were added",
     .points = kNorms,
     .changes = Divisor,
     .dial = &kDivisor,
     .made_in = {Point::kAttnNorm}},
    {.id = "norm_wrong_gamma",
     .what = "the gamma of another norm is applied",
     .remedy = "check the tensors' names: attn_norm, attn_sub_norm, ffn_norm, ffn_sub_norm, output_norm",
     .points = kNorms,
     .changes = OtherGamma,
     .made_in = {Point::kAttnNorm}},
    {.id = "norm_gamma_changed",
     .what = "gamma is not what the file holds",
     .remedy = "use gammas as they are, in float32",
     .points = kNorms,
     .changes = GammaChanged,
     .dial = &kGammaFactor,
     .made_in = {Point::kAttnNorm}},
    {.id = "norm_wrong_input",
     .what = "another tensor is normed",
     .remedy = "ffn_norm takes the sum of attention's output and its residual; the sub-norms take what stands before "
               "the product",
     .points = {Point::kFfnNorm, Point::kAttnSubNorm, Point::kFfnSubNorm, Point::kOutputNorm},
     .changes = ReadsOther,
     .made_in = {Point::kFfnNorm}},
};

}  // namespace

std::span<const Mistake> NormMistakes() { return kMistakes; }

}  // namespace parity
