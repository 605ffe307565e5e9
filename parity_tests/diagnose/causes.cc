#include "parity_tests/diagnose/causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/mistakes/mistake.h"

namespace parity {

void Causes::Add(std::string_view id, Certainty certainty, std::string evidence) {
  const Mistake& row = FindMistake(id);
  Cause cause{.id = std::string(id),
              .certainty = certainty,
              .evidence = std::move(evidence),
              .what = std::string(row.what),
              .remedy = std::string(row.remedy)};
  for (Cause& known : causes_) {
    if (known.id != id) continue;
    if (certainty > known.certainty) known = std::move(cause);
    return;
  }
  causes_.push_back(std::move(cause));
}

std::vector<Cause> Causes::Sorted() const {
  std::vector<Cause> sorted = causes_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Cause& a, const Cause& b) { return a.certainty > b.certainty; });
  return sorted;
}

void TokenCauses(const Captures& captures, const OwnModel& own, Causes& causes) {
  const std::vector<int32_t>&found = captures.candidate.tokens, &right = captures.reference.tokens;
  std::optional<bitnet::Tokenizer> tokenizer;
  if (own.model != nullptr && own.model->file.Has("tokenizer.ggml.tokens")) {
    tokenizer = bitnet::Tokenizer::FromGguf(own.model->file, own.dialect);
  }
  const TokenSite site{.request = captures.reference.request,
                       .right = right,
                       .found = found,
                       .tokenizer = tokenizer ? &*tokenizer : nullptr,
                       .file = own.model != nullptr ? &own.model->file : nullptr};
  if (found.empty()) return;
  for (const Mistake& mistake : AllMistakes()) {
    if (mistake.tokens == nullptr) continue;
    for (const TokenChange& change : mistake.tokens(site)) {
      if (change.ids == found) causes.Add(mistake.id, Certainty::kCertain, change.how);
    }
  }
}

void MaskCauses(const Captures& captures, Causes& causes) {
  const auto &c = captures.candidate.shapes.attends, &r = captures.reference.shapes.attends;
  const auto last = [](const std::vector<std::pair<int, int>>& ranges) {
    return ranges.empty() ? -1 : ranges.back().second;
  };
  const int n = static_cast<int>(std::min(c.size(), r.size()));
  std::map<int, int> by;  // how many keys further, and at how many positions
  int whole = 0, furthest = -1;
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    ++by[last(c[i]) - last(r[i])];
    whole += last(c[i]) == n - 1;
    furthest = std::max(furthest, last(c[i]));
  }
  if (by.empty() || (by.size() == 1 && by.contains(0))) return;
  const std::string evidence =
      fmt::format("position 0 attends up to key {}, position {} up to key {}; expected up to its own", last(c[0]),
                  n - 1, last(c[static_cast<size_t>(n - 1)]));
  if (furthest >= n) {
    causes.Add("kv_not_cleared", Certainty::kCertain,
               fmt::format("{}; the prompt has {} positions, so {} keys are of an earlier one", evidence, n,
                           furthest - n + 1));
  } else if (whole == n && n > 2) {
    causes.Add("mask_missing", Certainty::kCertain, evidence);
  } else if (by.contains(1) || by.contains(-1)) {
    causes.Add("mask_off_by_one", Certainty::kCertain, evidence);
  }
}

namespace {

// True where every block of so many holds the same numbers on both sides.
bool SameInBlocks(std::span<const float> a, std::span<const float> b, size_t block) {
  for (size_t at = 0; at < a.size(); at += block) {
    std::vector<float> x(a.begin() + static_cast<ptrdiff_t>(at), a.begin() + static_cast<ptrdiff_t>(at + block));
    std::vector<float> y(b.begin() + static_cast<ptrdiff_t>(at), b.begin() + static_cast<ptrdiff_t>(at + block));
    std::sort(x.begin(), x.end());
    std::sort(y.begin(), y.end());
    if (x != y) return false;
  }
  return true;
}

}  // namespace

void OutputCauses(Point point, std::span<const float> a, std::span<const float> b, Causes& causes) {
  if (a.empty() || a.size() != b.size()) return;
  double aa = 0, bb = 0, ab = 0, largest = 0, error = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
    ab += static_cast<double>(a[i]) * b[i];
    largest = std::max(largest, std::fabs(static_cast<double>(b[i])));
    error = std::max(error, std::fabs(static_cast<double>(a[i]) - b[i]));
  }
  const double cosine = aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0, ratio = bb > 0 ? ab / bb : 0;
  if (cosine > 0.9999999 && std::fabs(ratio - 1) > 1e-4) {
    causes.Add("scaled_by_constant", Certainty::kLikely,
               fmt::format("the candidate's {} is {:.6g} times the reference's (cosine {:.9f})", PointName(point),
                           ratio, cosine));
  }
  for (const size_t block : {32, 64, 128, 256}) {
    if (a.size() % block != 0 || std::equal(a.begin(), a.end(), b.begin()) || !SameInBlocks(a, b, block)) continue;
    causes.Add("permuted", Certainty::kLikely,
               fmt::format("every block of {} holds the reference's numbers in another order", block));
    break;
  }
  if (point == Point::kLogits && std::fabs(cosine) < 0.5) {
    causes.Add("head_not_tied", Certainty::kLikely,
               fmt::format("output_norm is equal on both sides, and the logits have a cosine of {:.3f}: the head has "
                           "other weights",
                           cosine));
  }
  if (error <= 1e-4 * largest) {
    causes.Add("rounding", Certainty::kPossible,
               fmt::format("{} differs by {:.2g} of its largest value", PointName(point), error / largest));
  }
}

}  // namespace parity
