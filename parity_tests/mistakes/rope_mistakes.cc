// Mistakes in the rotation of queries and keys.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/formats/half.h"
#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;

constexpr PointSet kRopes = {Point::kQRope, Point::kKRope};

Changes RopeLayout(const Site& site) {
  const bitnet::RopeLayout other = bitnet::OtherLayout(site.model.hyperparameters.rope_layout);
  return {{other == bitnet::RopeLayout::kInterleaved ? "neighbours rotated together" : "halves rotated",
           [other](Parameters& p) { p.rope.layout = other; }}};
}

Changes RopeBase(const Site& site) {
  const bitnet::Hyperparameters& h = site.model.hyperparameters;
  const float right = h.RopeBase(static_cast<size_t>(site.layer));
  // The usual ones, and that of the model's other layers.
  std::vector<float> others = {500000.0f, 10000.0f, 100000.0f, 1000000.0f};
  for (const float base : {h.rope_freq_base, h.window_rope_freq_base}) {
    if (!h.windowed.empty() && std::find(others.begin(), others.end(), base) == others.end()) others.push_back(base);
  }
  Changes changes;
  for (const float base : others) {
    if (base == right) continue;
    changes.push_back(
        {fmt::format("base {:g} in place of {:g}", base, right), [base](Parameters& p) { p.rope.base = base; }});
  }
  return changes;
}

// Of a model that asks for none: a factor that longer contexts are often reached with.
constexpr Dial kRopeBase = {"base", 100, 1e8f, [](const Parameters& p) { return p.rope.base; },
                            [](Parameters& p, float base) { p.rope.base = base; }};

Changes RopeScaling(const Site& site) {
  const bitnet::RopeScaling right = site.model.hyperparameters.RopeScalingOf(static_cast<size_t>(site.layer));
  Changes changes;
  if (!site.model.weights.rope_divisors.empty()) {
    changes.push_back({"rope_freqs.weight is not read", [](Parameters& p) { p.rope.divisors = {}; }});
  }
  if (right.frequency != 1.0f || right.magnitude != 1.0f) {
    changes.push_back({"angles are not scaled", [](Parameters& p) { p.rope.scaling = {}; }});
    if (!right.yarn) return changes;
    changes.push_back({"every angle is scaled, as without YaRN",
                       [right](Parameters& p) { p.rope.scaling = {.frequency = right.frequency}; }});
    return changes;
  }
  for (const float factor : {2.0f, 4.0f, 8.0f}) {
    changes.push_back({fmt::format("angles are divided by {:g}", factor),
                       [factor](Parameters& p) { p.rope.scaling.frequency = 1.0f / factor; }});
  }
  return changes;
}

Changes RopePosition(const Site& site) {
  Changes changes;
  for (const int by : {1, -1}) {
    changes.push_back({fmt::format("the rotation of position {}", static_cast<int>(site.position) + by),
                       [by](Parameters& p) { p.rope.shift = by; }});
  }
  return changes;
}

Changes RopeMissing(const Site&) {
  return {{"no rotation", [](Parameters& p) { p.skip = true; }}};
}

Changes RopeRestarts(const Site& site) {
  Changes changes = {{"the first position of a batch for all of it", [](Parameters& p) {
                        p.rope.position = [](size_t, const Batch& b) { return static_cast<double>(b.first); };
                      }}};
  changes.push_back({"positions counted from the start of each batch", [](Parameters& p) {
                       p.rope.position = [](size_t i, const Batch&) { return static_cast<double>(i); };
                     }});
  for (size_t every = 2; every <= std::min<size_t>(site.position, 4096); every *= 2) {
    changes.push_back({fmt::format("positions counted modulo {}", every), [every](Parameters& p) {
                         p.rope.position = [every](size_t i, const Batch& b) {
                           return static_cast<double>((b.first + i) % every);
                         };
                       }});
  }
  return changes;
}

Changes RopeAngle(const Site&) {
  const auto turns = [](const char* how, double by) { return Change{how, [by](Parameters& p) { p.rope.turns = by; }}; };
  const auto as = [](const char* how, double (*angle)(double)) {
    return Change{how, [angle](Parameters& p) { p.rope.angle_as = angle; }};
  };
  return {turns("the other way round", -1),
          turns("twice", 2),
          turns("an angle in degrees where radians are meant", 180 / std::numbers::pi),
          turns("an angle in radians taken for degrees", std::numbers::pi / 180),
          turns("an angle in turns: times 2 pi", 2 * std::numbers::pi),
          as("sine and cosine exchanged", [](double angle) { return std::numbers::pi / 2 - angle; }),
          as("an angle rounded to F16", [](double angle) {
            return static_cast<double>(bitnet::F32FromF16(bitnet::F16FromF32(static_cast<float>(angle))));
          })};
}

Changes RopeExponent(const Site& site) {
  const double dim = site.model.hyperparameters.n_embd_head, n_embd = site.model.hyperparameters.n_embd;
  Changes changes;
  const auto add = [&](const char* how, double exponent) {
    changes.push_back({how, [exponent](Parameters& p) { p.rope.exponent = exponent; }});
  };
  add("pair i turns by base^(-i/n_rot)", 0.5);
  add("pair i turns by base^(-4i/n_rot)", 2);
  add("pair i turns by base^(-2i/n_embd)", dim / n_embd);
  return changes;
}

Changes RopePart(const Site& site) {
  const size_t n_rot = site.model.hyperparameters.n_rot;
  Changes changes = {{"the first head alone", [](Parameters& p) { p.rope.heads = 1; }}};
  for (const size_t part : {n_rot / 2, n_rot / 4}) {
    if (part < 2 || part % 2 != 0) continue;
    changes.push_back(
        {fmt::format("{} of the {} numbers of a head", part, n_rot), [part](Parameters& p) { p.rope.n_rot = part; }});
  }
  for (const size_t pairs : {n_rot / 4, n_rot / 8}) {
    if (pairs == 0) continue;
    changes.push_back({fmt::format("the first {} of the {} pairs of a head", pairs, n_rot / 2),
                       [pairs](Parameters& p) { p.rope.pairs = pairs; }});
  }
  return changes;
}

constexpr Dial kRopeTurns = {"factor of every angle", 1e-3f, 100,
                             [](const Parameters& p) { return static_cast<float>(p.rope.turns); },
                             [](Parameters& p, float turns) { p.rope.turns = turns; }};

// A rotation is nothing at position 0, and neither is a scale on a single score. The norms in front of int8 products
// and the sub-norms behind them take most constant factors out again, so that such mistakes show from position 1 on.
const Mistake kMistakes[] = {
    {.id = "rope_layout",
     .what = "RoPE pairs other elements than this architecture does",
     .remedy = "bitnet: element i with i + n_rot/2 (NeoX); llama: 2i with 2i + 1 (interleaved)",
     .points = kRopes,
     .changes = RopeLayout,
     .rung = "positions",
     .position = 1,
     .place = Point::kQRope},
    {.id = "rope_base",
     .what = "RoPE has another frequency base",
     .remedy = "read {architecture}.rope.freq_base",
     .points = kRopes,
     .changes = RopeBase,
     .dial = &kRopeBase,
     .rung = "positions",
     .position = 1,
     .place = Point::kQRope},
    {.id = "rope_scaling",
     .what = "RoPE's angles are scaled otherwise than the model says",
     .remedy = "read {architecture}.rope.scaling.* and rope_freqs.weight; a factor without a type is linear",
     .points = kRopes,
     .changes = RopeScaling},
    {.id = "rope_position_off_by_one",
     .what = "RoPE rotates by a neighbouring position",
     .remedy = "count positions from 0",
     .points = kRopes,
     .changes = RopePosition,
     .rung = "positions",
     .position = 0,
     .place = Point::kQRope},
    {.id = "rope_missing",
     .what = "RoPE is not applied",
     .remedy = "rotate Q and K",
     .points = kRopes,
     .changes = RopeMissing},
    {.id = "rope_restarts",
     .what = "positions are not counted through",
     .remedy = "rotate by the position in the sequence, whatever batch it is evaluated in",
     .points = kRopes,
     .changes = RopeRestarts},
    {.id = "rope_angle",
     .what = "RoPE turns by another angle",
     .remedy = "angle of pair i: position * base^(-2i/n_rot), in radians, in float32",
     .points = kRopes,
     .changes = RopeAngle,
     .dial = &kRopeTurns},
    {.id = "rope_exponent",
     .what = "RoPE's frequencies fall otherwise from pair to pair",
     .remedy = "angle of pair i: position * base^(-2i/n_rot)",
     .points = kRopes,
     .changes = RopeExponent},
    {.id = "rope_part",
     .what = "only a part of the heads, or of a head, is rotated",
     .remedy = "read {architecture}.rope.dimension_count, and rotate every head",
     .points = kRopes,
     .changes = RopePart},
};

}  // namespace

std::span<const Mistake> RopeMistakes() { return kMistakes; }

}  // namespace parity
