#include "parity_tests/diagnose/causes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/mistakes/mistake.h"
#include "reference/capture/quote.h"

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

namespace {

// What is left where no known mistake gives the ids: the text that they spell.
void SpellingCauses(const bitnet::Tokenizer& tokenizer, std::span<const int32_t> found, std::span<const int32_t> right,
                    Causes& causes) {
  const auto inside = [&tokenizer](int32_t id) { return id >= 0 && id < tokenizer.n_vocab(); };
  const auto outside = std::find_if_not(found.begin(), found.end(), inside);
  if (outside != found.end()) {
    causes.Add("other_text", Certainty::kLikely,
               fmt::format("id {} at position {} is outside the vocabulary of {}", *outside, outside - found.begin(),
                           tokenizer.n_vocab()));
    return;
  }
  if (!std::all_of(right.begin(), right.end(), inside)) return;
  const std::string a = tokenizer.Decode(found, {.render_special = true});
  const std::string b = tokenizer.Decode(right, {.render_special = true});
  const auto at =
      static_cast<size_t>(std::mismatch(found.begin(), found.end(), right.begin(), right.end()).first - found.begin());
  if (a == b) {
    const auto pieces = [&](std::span<const int32_t> ids) {
      std::vector<std::string> some;
      for (size_t i = at; i < std::min(at + 3, ids.size()); ++i) some.push_back(Quote(tokenizer.Piece(ids[i])));
      return fmt::format("{}", fmt::join(some, " "));
    };
    causes.Add("same_text_split", Certainty::kLikely,
               fmt::format("from position {} on it is {}, expected {}", at, pieces(found), pieces(right)));
    return;
  }
  const auto parts = static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  constexpr size_t kShown = 16;
  const size_t from = parts > kShown ? parts - kShown : 0;
  causes.Add("other_text", Certainty::kLikely,
             fmt::format("at byte {} of the text the ids spell {}, expected {}", parts,
                         Quote(a.substr(from, 2 * kShown)), Quote(b.substr(from, 2 * kShown))));
}

}  // namespace

AtFault TokenCauses(const Captures& captures, const OwnModel& own, Causes& causes) {
  const Request& request = captures.reference.request;
  std::optional<bitnet::Tokenizer> tokenizer;
  if (own.model != nullptr && own.model->file.Has("tokenizer.ggml.tokens")) {
    tokenizer = bitnet::Tokenizer::FromGguf(own.model->file, own.dialect);
  }
  std::span<const int32_t> found = captures.candidate.tokens, right = captures.reference.tokens;
  AtFault side = AtFault::kUnknown;
  if (tokenizer && !request.token_ids) {
    const std::vector<int32_t> ours =
        tokenizer->Encode(request.text, {.add_special = request.add_special, .parse_special = request.parse_special});
    if (std::ranges::equal(ours, right)) side = AtFault::kCandidate;
    if (std::ranges::equal(ours, found)) side = AtFault::kReference;
  }
  if (side == AtFault::kReference) std::swap(found, right);
  if (found.empty()) return side;
  const TokenSite site{.request = request,
                       .right = right,
                       .found = found,
                       .tokenizer = tokenizer ? &*tokenizer : nullptr,
                       .file = own.model != nullptr ? &own.model->file : nullptr};
  std::vector<std::pair<const Mistake*, std::string>> fit;
  for (const Mistake& mistake : AllMistakes()) {
    if (mistake.tokens == nullptr) continue;
    for (const TokenChange& change : mistake.tokens(site)) {
      const bool known = !fit.empty() && fit.back().first == &mistake;
      if (!known && std::ranges::equal(change.ids, found)) fit.emplace_back(&mistake, change.how);
    }
  }
  // One prompt may not tell two mistakes apart.
  const Certainty certainty = fit.size() == 1 ? Certainty::kCertain : Certainty::kLikely;
  for (const auto& [mistake, how] : fit) {
    causes.Add(mistake->id, certainty,
               fmt::format("{}: that gives all {} of the {}'s ids", how, found.size(),
                           side == AtFault::kReference ? "reference" : "candidate"));
  }
  if (fit.empty() && tokenizer) SpellingCauses(*tokenizer, found, right, causes);
  return side;
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
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return;  // no figure says anything
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
