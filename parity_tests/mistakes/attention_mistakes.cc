// Mistakes in attention: cache, mask, heads, softmax.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;
using bitnet::Hyperparameters;

constexpr PointSet kReadsCache = {Point::kAttnScores, Point::kAttnOut};

Changes GqaMapping(const Site& site) {
  const size_t kv = site.model.hyperparameters.n_head_kv, group = site.model.hyperparameters.n_head / kv;
  const std::string how = site.point == Point::kAttnScores
                              ? fmt::format("query head i with key head i % {} in place of i / {}", kv, group)
                              : fmt::format("query head i with value head i % {}", kv);
  Changes changes = {{how, [kv](Parameters& p) { p.attention.kv_head = [kv](size_t head) { return head % kv; }; }}};
  const auto add = [&](const char* words, std::function<size_t(size_t)> map) {
    changes.push_back({words, [map = std::move(map)](Parameters& p) { p.attention.kv_head = map; }});
  };
  add("the heads in reverse order", [=](size_t head) { return kv - 1 - head / group; });
  add("the next head", [=](size_t head) { return (head / group + 1) % kv; });
  add("the first head for all", [](size_t) { return size_t{0}; });
  return changes;
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
  for (const size_t stride : {dim, width + dim}) {
    if (stride == width) continue;
    changes.push_back(
        {fmt::format("every key head with a stride of {} numbers in place of {}", stride, width), [=](Parameters& p) {
           p.attention.key_at = [=](size_t kv_head, size_t cell) { return kv_head * dim + cell * stride; };
         }});
  }
  return changes;
}

Changes KNotRotated(const Site& site) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(site.model.hyperparameters);
  const auto before = [&](Point rope) { return bitnet::SourceOf(bitnet::InfoOf(rope), 0, site.layer, shape).point; };
  const Point k = before(Point::kKRope), q = before(Point::kQRope);
  return {{"keys as they were before RoPE", [k](Parameters& p) { p.reads[1] = k; }},
          {"queries as they were before RoPE", [q](Parameters& p) { p.reads[0] = q; }},
          {"values in place of keys", [](Parameters& p) { p.reads[1] = Point::kVProj; }}};
}

Changes KeysAsValues(const Site&) {
  return {{"keys in place of values", [](Parameters& p) { p.reads[1] = Point::kKRope; }}};
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

// Cells that keep what they held before, which is nothing here.
Changes KvNotStored(const Site& site) {
  const char* what = site.point == Point::kAttnScores ? "K" : "V";
  Changes changes;
  const auto add = [&](std::string how, std::function<bool(size_t)> lost) {
    changes.push_back({std::move(how), [lost = std::move(lost)](Parameters& p) {
                         p.attention.row_of = [lost](size_t cell) {
                           return lost(cell) ? std::nullopt : std::optional(cell);
                         };
                       }});
  };
  for (size_t every = 2; every <= std::min<size_t>(site.position + 1, 512); every *= 2) {
    add(fmt::format("{} of the last of each {} positions is not stored", what, every),
        [every](size_t cell) { return cell % every == every - 1; });
  }
  for (size_t at = 0; at <= std::min<size_t>(site.position, 64); ++at) {
    add(fmt::format("{} of position {} is not stored", what, at), [at](size_t cell) { return cell == at; });
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
  const float n_embd = static_cast<float>(site.model.hyperparameters.n_embd);
  Changes changes;
  for (const float scale : {1.0f, 1.0f / dim, std::sqrt(dim), 1.0f / std::sqrt(n_embd)}) {
    if (scale == 1.0f / std::sqrt(dim)) continue;
    changes.push_back({fmt::format("a scale of {:g} in place of {:g}", scale, 1.0f / std::sqrt(dim)),
                       [scale](Parameters& p) { p.attention.scale = scale; }});
  }
  return changes;
}

constexpr Dial kSoftmaxScale = {"scale", 1e-3f, 10, [](const Parameters& p) { return p.attention.scale; },
                                [](Parameters& p, float scale) { p.attention.scale = scale; }};

using Score = std::function<double(size_t head, size_t position, size_t key, double score)>;
Change AsScore(std::string how, Score score) {
  return {std::move(how), [score = std::move(score)](Parameters& p) { p.attention.score_as = score; }};
}

// Of a model that has no window every one is wrong; of one that has, the neighbouring sizes and none.
Changes AttentionWindow(const Site& site) {
  const size_t right = site.model.hyperparameters.WindowOf(static_cast<size_t>(site.layer));
  Changes changes;
  if (right != 0) {
    changes.push_back({"all keys up to its own are attended", [](Parameters& p) { p.attention.window = 0; }});
    for (const size_t wrong : {right + 1, right - 1}) {
      if (wrong == 0) continue;
      changes.push_back({fmt::format("{} keys are attended in place of {}", wrong, right),
                         [wrong](Parameters& p) { p.attention.window = wrong; }});
    }
    return changes;
  }
  for (size_t window = 1; window <= std::min<size_t>(site.position, 1024);
       window = window < 32 ? window + 1 : 2 * window) {
    changes.push_back(
        AsScore(fmt::format("a window of {} keys", window),
                [window](size_t, size_t at, size_t key, double s) { return key + window <= at ? -INFINITY : s; }));
  }
  for (size_t batch = 2; batch <= std::min<size_t>(site.position, 512); batch *= 2) {
    changes.push_back(
        AsScore(fmt::format("each batch of {} sees itself alone", batch),
                [batch](size_t, size_t at, size_t key, double s) { return key < at / batch * batch ? -INFINITY : s; }));
  }
  return changes;
}

Changes OwnKeyMasked(const Site&) {
  return {AsScore("no position attends itself, but the first",
                  [](size_t, size_t at, size_t key, double s) { return at > 0 && key == at ? -INFINITY : s; }),
          AsScore("no position attends the first",
                  [](size_t, size_t at, size_t key, double s) { return at > 0 && key == 0 ? -INFINITY : s; })};
}

Changes ScoreBias(const Site& site) {
  const double n_head = site.model.hyperparameters.n_head;
  return {AsScore("ALiBi: a slope by distance for each head", [n_head](size_t head, size_t at, size_t key, double s) {
    return s - std::exp2(-8.0 * static_cast<double>(head + 1) / n_head) * static_cast<double>(at - key);
  })};
}

Changes ScoreCap(const Site&) {
  Changes changes;
  for (const double cap : {50.0, 30.0, 20.0, 15.0}) {
    changes.push_back(AsScore(fmt::format("scores soft-capped at {:g}", cap),
                              [cap](size_t, size_t, size_t, double s) { return cap * std::tanh(s / cap); }));
  }
  return changes;
}

Changes SoftmaxSum(const Site&) {
  const auto summed = [](const char* how, bool (*counts)(size_t, size_t)) {
    return Change{how, [counts](Parameters& p) { p.attention.summed = counts; }};
  };
  return {{"one more key of score 0 that has no value", [](Parameters& p) { p.attention.sink = 1; }},
          summed("the last key's exponential is not in the sum",
                 [](size_t key, size_t n_keys) { return key + 1 < n_keys || n_keys == 1; }),
          summed("the first key's exponential is not in the sum",
                 [](size_t key, size_t n_keys) { return key > 0 || n_keys == 1; })};
}
Changes SoftmaxBase(const Site&) {
  return {{"powers of 2 in place of e", [](Parameters& p) { p.attention.exp_base = 2; }}};
}
Changes SoftmaxNotNormalized(const Site&) {
  return {{"exponentials that are not divided by their sum", [](Parameters& p) { p.attention.normalized = false; }}};
}

Changes CacheRounded(const Site& site) {
  const char* what = site.point == Point::kAttnScores ? "K" : "V";
  Changes changes;
  const auto add = [&](const char* how, CacheType type) {
    changes.push_back({fmt::format("{} {}", what, how), [type](Parameters& p) { p.attention.cache = type; }});
  };
  add("in BF16", CacheType::kBF16);
  add("truncated to F16", CacheType::kTruncatedF16);
  add("in Q8_0", CacheType::kQ80);
  return changes;
}

const Mistake kMistakes[] = {
    {.id = "k_not_rotated",
     .what = "keys are cached before they are rotated",
     .remedy = "rotate K, then store it",
     .points = {Point::kAttnScores},
     .changes = KNotRotated},
    {.id = "keys_as_values",
     .what = "keys are weighted in place of values",
     .remedy = "weight V with the probabilities",
     .points = {Point::kAttnOut},
     .changes = KeysAsValues},
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
    {.id = "kv_not_stored",
     .what = "rows of K or V are not stored",
     .remedy = "write every position's K and V to the cache before it is read",
     .points = kReadsCache,
     .changes = KvNotStored},
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
    {.id = "softmax_scale",
     .what = "scores are not scaled by 1/sqrt(head_dim)",
     .remedy = "multiply the scores by 1/sqrt(head_dim)",
     .points = {Point::kAttnScoresSoftmax},
     .changes = SoftmaxScale,
     .dial = &kSoftmaxScale,
     .rung = "positions",
     .position = 1,
     .place = Point::kAttnScoresSoftmax},
    {.id = "attention_window",
     .what = "a query sees more or fewer earlier keys: a sliding window, or batches that see themselves alone",
     .remedy = "attend the keys 0 to i; where the file has {architecture}.attention.sliding_window, so many, the "
               "query's own among them",
     .points = {Point::kAttnScoresSoftmax},
     .changes = AttentionWindow},
    {.id = "key_left_out",
     .what = "a key is left out of the softmax",
     .remedy = "the query at position i attends the keys 0 to i",
     .points = {Point::kAttnScoresSoftmax},
     .changes = OwnKeyMasked},
    {.id = "score_bias",
     .what = "a bias by distance is added to the scores",
     .remedy = "add nothing: positions are in RoPE",
     .points = {Point::kAttnScoresSoftmax},
     .changes = ScoreBias},
    {.id = "score_soft_cap",
     .what = "scores are soft-capped",
     .remedy = "cap them only where the file has {architecture}.attn_logit_softcapping",
     .points = {Point::kAttnScoresSoftmax},
     .changes = ScoreCap},
    {.id = "softmax_sum",
     .what = "the softmax has a key too many or too few in its sum",
     .remedy = "divide by the sum of the attended keys' exponentials",
     .points = {Point::kAttnScoresSoftmax},
     .changes = SoftmaxSum},
    {.id = "softmax_base",
     .what = "the softmax has powers of another base",
     .remedy = "multiply by log2(e) before exp2",
     .points = {Point::kAttnScoresSoftmax},
     .changes = SoftmaxBase},
    {.id = "softmax_not_normalized",
     .what = "probabilities do not add up to 1",
     .remedy = "divide by the sum of the exponentials",
     .points = {Point::kAttnScoresSoftmax},
     .changes = SoftmaxNotNormalized},
    {.id = "cache_rounded",
     .what = "K or V are rounded more than to F16",
     .remedy = "nothing, if the cache is meant to be of that type; else keep F16, rounded to nearest even",
     .points = kReadsCache,
     .changes = CacheRounded,
     .habit = true},
};

}  // namespace

std::span<const Mistake> AttentionMistakes() { return kMistakes; }

}  // namespace parity
