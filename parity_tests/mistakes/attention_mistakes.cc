// Mistakes in attention: rotation, cache, mask, heads, softmax.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;
using bitnet::Hyperparameters;

constexpr PointSet kRopes = {Point::kQRope, Point::kKRope};
constexpr PointSet kReadsCache = {Point::kAttnScores, Point::kAttnOut};

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

Changes Window(const Site& site) {
  const size_t right = site.model.hyperparameters.WindowOf(static_cast<size_t>(site.layer));
  Changes changes;
  if (right == 0) return changes;
  changes.push_back({"all keys up to its own are attended", [](Parameters& p) { p.attention.window = 0; }});
  for (const size_t wrong : {right + 1, right - 1}) {
    if (wrong == 0) continue;
    changes.push_back({fmt::format("{} keys are attended in place of {}", wrong, right),
                       [wrong](Parameters& p) { p.attention.window = wrong; }});
  }
  return changes;
}

Changes GqaMapping(const Site& site) {
  const size_t kv = site.model.hyperparameters.n_head_kv, group = site.model.hyperparameters.n_head / kv;
  const std::string how = site.point == Point::kAttnScores
                              ? fmt::format("query head i with key head i % {} in place of i / {}", kv, group)
                              : fmt::format("query head i with value head i % {}", kv);
  return {{how, [kv](Parameters& p) { p.attention.kv_head = [kv](size_t head) { return head % kv; }; }}};
}

Changes KStride(const Site& site) {
  const Hyperparameters& h = site.model.hyperparameters;
  const size_t dim = h.n_embd_head, width = h.n_head_kv * dim;
  Changes changes;
  for (size_t wrong = h.n_head_kv; wrong-- > 0;) {
    for (const size_t stride : {dim, width + dim, width - dim}) {
      if (stride == width) continue;
      changes.push_back({fmt::format("key head {} with a stride of {} numbers in place of {}", wrong, stride, width),
                         [=](Parameters& p) {
                           p.attention.key_at = [=](size_t kv_head, size_t cell) {
                             return kv_head * dim + cell * (kv_head == wrong ? stride : width);
                           };
                         }});
    }
  }
  return changes;
}

Changes KNotRotated(const Site&) {
  return {{"keys as they were before RoPE", [](Parameters& p) { p.attention.unrotated_keys = true; }}};
}

// Rows from one position on are one cell further than they should be. The oracle moves those from 4 on.
Changes KvWrongCell(const Site& site) {
  std::vector<std::pair<size_t, int>> moves = {{4, 1}};
  for (const int by : {1, -1}) {
    for (size_t from = 0; from <= site.position; ++from) {
      if (from != 4 || by != 1) moves.emplace_back(from, by);
    }
  }
  Changes changes;
  for (const auto& [from, by] : moves) {
    changes.push_back({fmt::format("K rows from position {} on in the cell {}", from, by > 0 ? "behind" : "before"),
                       [from = from, by = by](Parameters& p) {
                         p.attention.row_of = [=](size_t cell) -> std::optional<size_t> {
                           if (cell < from) return cell;
                           if (by < 0) return cell + 1;
                           return cell == from ? std::nullopt : std::optional(cell - 1);
                         };
                       }});
  }
  return changes;
}

Changes KvNotCleared(const Site&) {
  return {{"three rows of an earlier prompt in front", [](Parameters& p) { p.attention.stale = 3; }}};
}

Changes MaskOffByOne(const Site&) {
  Changes changes = {{"each position sees the next", [](Parameters& p) {
                        p.attention.n_keys = [](size_t i, const Batch& b) {
                          return std::min(b.first + i + 2, b.first + b.n);
                        };
                      }}};
  changes.push_back({"no position sees itself", [](Parameters& p) {
                       p.attention.n_keys = [](size_t i, const Batch& b) { return std::max<size_t>(b.first + i, 1); };
                     }});
  return changes;
}

Changes MaskMissing(const Site&) {
  return {{"each position sees the whole batch",
           [](Parameters& p) { p.attention.n_keys = [](size_t, const Batch& b) { return b.first + b.n; }; }}};
}

Changes SoftmaxScale(const Site& site) {
  const float dim = static_cast<float>(site.model.hyperparameters.n_embd_head);
  Changes changes;
  for (const float scale : {1.0f, 1.0f / dim}) {
    changes.push_back({fmt::format("a scale of {:g} in place of {:g}", scale, 1.0f / std::sqrt(dim)),
                       [scale](Parameters& p) { p.attention.scale = scale; }});
  }
  return changes;
}

constexpr Dial kSoftmaxScale = {"scale", 1e-3f, 10, [](const Parameters& p) { return p.attention.scale; },
                                [](Parameters& p, float scale) { p.attention.scale = scale; }};

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
    {.id = "k_not_rotated",
     .what = "keys are cached before they are rotated",
     .remedy = "rotate K, then store it",
     .points = {Point::kAttnScores},
     .changes = KNotRotated},
    {.id = "gqa_mapping",
     .what = "query heads read the wrong key head",
     .remedy = "query head i reads key head i / (n_head / n_head_kv)",
     .points = kReadsCache,
     .changes = GqaMapping,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kAttnScores},
    {.id = "k_stride",
     .what = "a key head advances by the wrong number of values",
     .remedy = "a row of K is n_head_kv * head_dim wide",
     .points = {Point::kAttnScores},
     .changes = KStride,
     .rung = "positions",
     .position = 1,
     .place = Point::kAttnScores},
    {.id = "kv_wrong_cell",
     .what = "K and V rows are in the wrong cells",
     .remedy = "check the cell that a new row is written to",
     .points = kReadsCache,
     .changes = KvWrongCell,
     .rung = "positions",
     .position = 4,
     .place = Point::kAttnScores},
    {.id = "kv_not_cleared",
     .what = "rows of an earlier prompt are still attended",
     .remedy = "clear the cache between prompts",
     .points = kReadsCache,
     .changes = KvNotCleared,
     .tried = false,
     .rung = "shapes",
     .position = 0,
     .place = Point::kAttnScores},
    {.id = "mask_off_by_one",
     .what = "the causal mask is off by one",
     .remedy = "the query at position i attends the keys 0 to i",
     .points = {Point::kAttnScores},
     .changes = MaskOffByOne,
     .rung = "shapes",
     .position = 0,
     .place = Point::kAttnScores},
    {.id = "mask_missing",
     .what = "the causal mask is missing",
     .remedy = "the query at position i attends the keys 0 to i",
     .points = {Point::kAttnScores},
     .changes = MaskMissing,
     .rung = "shapes",
     .position = 0,
     .place = Point::kAttnScores},
    {.id = "sliding_window",
     .what = "the sliding window is missing, or of another size",
     .remedy = "read {architecture}.attention.sliding_window; the query's own key is one of them",
     .points = {Point::kAttnScoresSoftmax},
     .changes = Window},
    {.id = "softmax_scale",
     .what = "scores are not scaled by 1/sqrt(head_dim)",
     .remedy = "multiply the scores by 1/sqrt(head_dim)",
     .points = {Point::kAttnScoresSoftmax},
     .changes = SoftmaxScale,
     .dial = &kSoftmaxScale,
     .rung = "positions",
     .position = 1,
     .place = Point::kAttnScoresSoftmax},
};

}  // namespace

std::span<const Mistake> AttentionMistakes() { return kMistakes; }

}  // namespace parity
