// From text: follows what a candidate printed with each hypothesis.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <utility>

#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/search.h"
#include "parity_tests/search/speller.h"

namespace parity {
namespace {

// Standard deviations of a row of logits: what a text may lose on its way and still be this model's, by its rounding.
constexpr double kMostRegret = 0.5;
// A model without contrast would print anything at no regret: so many tokens, and one of eight, may be others than its
// first choice.
constexpr size_t kMostOthers = 2;
constexpr size_t kTokensForAnother = 8;
// A text that the healthy model prints at so little regret is that of a healthy engine that rounds otherwise.
constexpr double kHealthyRegret = 0.1;
// A text shorter than this may be another model's by chance.
constexpr size_t kTokensForCertainty = 8;

double Deviation(std::span<const float> row) {
  double sum = 0, squares = 0;
  for (const float v : row) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  const double n = static_cast<double>(row.size()), mean = sum / n;
  return std::sqrt(std::max(squares / n - mean * mean, 1e-30));
}

// Of the tokens that spell what comes next the one with the largest logit, or the model's own choice.
Speller::Spelling Nearest(const std::vector<Speller::Spelling>& spellings, const Values& logits, int32_t choice) {
  Speller::Spelling best{-1, 0};
  for (const Speller::Spelling& s : spellings) {
    if (static_cast<size_t>(s.id) >= logits.size()) continue;
    if (s.id == choice) return s;
    if (best.id < 0 || logits[static_cast<size_t>(s.id)] > logits[static_cast<size_t>(best.id)]) best = s;
  }
  return best;
}

// Follows the text with a model, greedily.
void Spell(MistakenPass& pass, const Hypothesis& h, const Pass::Checkpoint& healthy, const Speller& speller,
           std::string_view text, HypothesisResult& result) {
  Values logits = pass.Prompt(bitnet::LogitsFor::kLast, healthy);
  while (std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); })) {
    const int32_t choice =
        h.mistake != nullptr && h.mistake->choose != nullptr ? h.mistake->choose(logits) : bitnet::Argmax(logits);
    const Speller::Spelling next = Nearest(speller.At(text.substr(result.bytes), result.tokens == 0), logits, choice);
    if (next.id < 0) return;  // no token spells it
    if (next.id == choice) {
      ++result.first_choice;
    } else {
      const float short_by = logits[static_cast<size_t>(choice)] - logits[static_cast<size_t>(next.id)];
      result.regret += short_by / Deviation(logits);
      const size_t others = result.tokens + 1 - result.first_choice;
      if (result.regret > kMostRegret || others > kMostOthers + result.tokens / kTokensForAnother) return;
    }
    ++result.tokens;
    result.bytes += next.bytes;
    if (result.bytes >= text.size()) {
      result.whole_text = true;
      return;
    }
    logits = pass.Next(next.id);
  }
}

// Follows the whole text with a model that need not have made it: how likely it is there.
void SpellToTheEnd(MistakenPass& pass, const Pass::Checkpoint& healthy, const Speller& speller, std::string_view text,
                   HypothesisResult& result) {
  Values logits = pass.Prompt(bitnet::LogitsFor::kLast, healthy);
  size_t bytes = 0, tokens = 0, first_choice = 0;
  double logprob = 0;
  while (bytes < text.size()) {
    if (!std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); })) return;
    const int32_t choice = bitnet::Argmax(logits);
    const Speller::Spelling next = Nearest(speller.At(text.substr(bytes), tokens == 0), logits, choice);
    if (next.id < 0) return;
    const double largest = logits[static_cast<size_t>(choice)];
    double sum = 0;
    for (const float v : logits) sum += std::exp(v - largest);
    logprob += logits[static_cast<size_t>(next.id)] - largest - std::log(sum);
    first_choice += next.id == choice;
    ++tokens;
    bytes += next.bytes;
    if (bytes < text.size()) logits = pass.Next(next.id);
  }
  result.tokens = tokens;
  result.first_choice = first_choice;
  result.bytes = bytes;
  result.logprob = logprob;
}

// The hypotheses of a text, the usual ones first: whole engines, two mistakes at once where none of them prints it,
// then single layers. A text that no mistake prints may be of an engine that rounds otherwise: the best are tried again
// with K and V in float32, as many engines keep them, and at last each is asked how likely the whole text is.
class TextTrials {
 public:
  TextTrials(const SearchOptions& options, const HypothesisTrial& trial, const HypothesisTrial::Score& spell,
             const HypothesisTrial::Score& likelihood)
      : options_(options), trial_(trial), spell_(spell), likelihood_(likelihood) {}

  void Run(SearchResult& result) {
    std::vector<Hypothesis> whole = AllHypotheses(*options_.model, options_.tokens);
    const auto layers = std::stable_partition(whole.begin(), whole.end(),
                                              [](const Hypothesis& h) { return h.layer == Hypothesis::kEverywhere; });
    std::vector<Hypothesis> single(std::make_move_iterator(layers), std::make_move_iterator(whole.end()));
    whole.erase(layers, whole.end());
    result.possible = whole.size() + single.size();
    const bool healthy = result.healthy.whole_text;
    Try(std::move(whole));
    if (!healthy && !Printed()) {
      std::vector<Hypothesis> pairs = PairHypotheses(*options_.model);
      result.possible += pairs.size();
      Try(std::move(pairs));
      TryBestWithFloatAttention();
      // Tokens by the dozen that the healthy model would not have chosen are no other mistake's by chance.
      const bool beyond_doubt = std::any_of(scored_.begin(), scored_.end(), [](const Scored& s) {
        return s.result.prints_the_text() && s.result.tokens >= kTokensBeyondDoubt;
      });
      if (beyond_doubt) single.clear();
    }
    Try(std::move(single));
    if (!healthy && !Printed()) {
      TryBestWithFloatAttention();
      if (!Printed()) WeighBest(result.healthy);
    }
    result.tried = tried_;
    Rank(std::move(scored_), true, options_.keep, result);
  }

 private:
  static constexpr size_t kLookedAt = 6;
  static constexpr size_t kTokensBeyondDoubt = 12;

  void Try(std::vector<Hypothesis> hypotheses) {
    const std::vector<Hypothesis>& kept = kept_.emplace_back(std::move(hypotheses));
    for (Scored& s : trial_.All(kept, spell_)) {
      scored_.push_back(std::move(s));
      ++tried_;
    }
  }

  bool Printed() const {
    return std::any_of(scored_.begin(), scored_.end(), [](const Scored& s) { return s.result.whole_text; });
  }

  // The best place of each of the best mistakes.
  std::vector<const Hypothesis*> Best() {
    std::stable_sort(scored_.begin(), scored_.end(),
                     [](const Scored& a, const Scored& b) { return BetterByText(a.result, b.result); });
    std::vector<const Hypothesis*> best;
    std::vector<std::string> ids;
    for (const Scored& s : scored_) {
      if (best.size() == kLookedAt) break;
      if (std::find(ids.begin(), ids.end(), s.result.id) != ids.end() || s.hypothesis->points.empty()) continue;
      best.push_back(s.hypothesis);
      ids.push_back(s.result.id);
    }
    return best;
  }

  void TryBestWithFloatAttention() {
    if (Printed()) return;
    for (const Hypothesis* h : Best()) {
      if (trial_.OutOfTime()) return;
      const Hypothesis& again = kept_.emplace_back(1, WithFloatAttention(*h)).front();
      scored_.push_back({&again, trial_.One(again, spell_)});
      if (scored_.back().result.whole_text) return;
    }
  }

  void WeighBest(HypothesisResult& healthy) {
    const std::vector<const Hypothesis*> best = Best();
    healthy = trial_.One(Hypothesis(), likelihood_);
    for (const Hypothesis* h : best) {
      if (trial_.OutOfTime()) return;
      scored_.push_back({h, trial_.One(*h, likelihood_)});
      const Hypothesis& again = kept_.emplace_back(1, WithFloatAttention(*h)).front();
      scored_.push_back({&again, trial_.One(again, likelihood_)});
    }
  }

  const SearchOptions& options_;
  const HypothesisTrial& trial_;
  const HypothesisTrial::Score &spell_, &likelihood_;
  std::deque<std::vector<Hypothesis>> kept_;  // what the results refer to
  std::vector<Scored> scored_;
  size_t tried_ = 0;
};

// The healthy model, or the one with K and V in float32 where that comes nearer.
HypothesisResult HealthyByText(const HypothesisTrial& trial, const HypothesisTrial::Score& spell) {
  HypothesisResult healthy = trial.One(Hypothesis(), spell);
  if (healthy.prints_the_text()) return healthy;
  const Hypothesis h = WithFloatAttention(Hypothesis());
  HypothesisResult by_habit = trial.One(h, spell);
  if (!BetterByText(by_habit, healthy)) return healthy;
  by_habit.id.clear();
  by_habit.what = healthy.what;
  by_habit.where.clear();
  by_habit.remedy.clear();
  return by_habit;
}

// The healthy model prints it, or would but for near-ties.
bool IsHealthyText(const HypothesisResult& healthy) {
  return healthy.prints_the_text() || (healthy.whole_text && healthy.regret < kHealthyRegret);
}

// Where no mistake prints the text: one under which it is likely beyond all others. True where there is one.
bool JudgeLikelihood(SearchResult& result) {
  constexpr double kEnough = 20;  // natural logarithm of how many times as likely; thousands were tried
  if (result.best.size() < 2 || !result.best[0].logprob || !result.healthy.logprob) return false;
  const HypothesisResult &best = result.best[0], &next = result.best[1];
  const double over_healthy = *best.logprob - *result.healthy.logprob;
  const double over_next = next.logprob ? *best.logprob - *next.logprob : over_healthy;
  if (std::min(over_healthy, over_next) < kEnough || 2 * best.first_choice < best.tokens) return false;
  result.certainty = Certainty::kLikely;
  result.verdict = fmt::format(
      "under {} {} of {} tokens are the first choice, and the text is e^{:.0f} times as likely as under the next "
      "mistake ({}), e^{:.0f} times as under the healthy model",
      NameOf(best), best.first_choice, best.tokens, over_next, next.id, over_healthy);
  return true;
}

void JudgeText(SearchResult& result) {
  const HypothesisResult& healthy = result.healthy;
  if (healthy.prints_the_text()) {
    result.verdict = fmt::format("the healthy model prints this text: all {} of its tokens are its first choice{}",
                                 healthy.tokens, healthy.how.empty() ? "" : " (" + healthy.how + ")");
    return;
  }
  if (!healthy.whole_text && JudgeLikelihood(result)) return;
  if (result.best.empty() || !result.best[0].whole_text || !BetterByText(result.best[0], healthy)) {
    result.verdict = healthy.whole_text
                         ? fmt::format(
                               "the healthy model prints this text but for near-ties ({:.3g} standard "
                               "deviations of its logits), so there is nothing to explain",
                               healthy.regret)
                         : fmt::format("no known mistake prints this text; the healthy model spells {} of {} bytes",
                                       healthy.bytes, result.text_bytes);
    return;
  }
  const HypothesisResult& best = result.best[0];
  const std::vector<std::string> rivals = Rivals(result);
  const bool clear = rivals.empty() && best.prints_the_text() && best.tokens >= kTokensForCertainty;
  result.certainty = clear ? Certainty::kCertain : rivals.empty() ? Certainty::kLikely : Certainty::kPossible;
  if (healthy.whole_text) result.certainty = Certainty::kPossible;
  result.verdict =
      fmt::format("under {} all {} tokens are the first choice; the healthy model leaves the text after {}",
                  NameOf(best), best.tokens, healthy.tokens);
  if (best.first_choice < best.tokens) {
    result.verdict = fmt::format(
        "under {} {} of {} tokens are the first choice and the others near-ties; the healthy "
        "model leaves the text after {}",
        NameOf(best), best.first_choice, best.tokens, healthy.tokens);
  }
  if (!rivals.empty()) result.verdict += fmt::format("; the same holds under {}", fmt::join(rivals, ", "));
}

}  // namespace

SearchResult Search::ByText(const std::string& text, const bitnet::Tokenizer& tokenizer) {
  if (text.empty()) throw std::runtime_error("the text that the candidate printed is empty");
  SearchResult result{.from_text = true, .text_bytes = text.size()};
  const Speller speller(tokenizer);
  const HypothesisTrial trial(options_, CellsFor(options_.tokens.right.size() + 16 + text.size()));
  const HypothesisTrial::Score score = [&](MistakenPass& pass, const Hypothesis& h, HypothesisResult& r) {
    Spell(pass, h, trial.healthy(), speller, text, r);
  };
  const HypothesisTrial::Score likelihood = [&](MistakenPass& pass, const Hypothesis&, HypothesisResult& r) {
    SpellToTheEnd(pass, trial.healthy(), speller, text, r);
  };
  result.healthy = HealthyByText(trial, score);
  if (!IsHealthyText(result.healthy)) TextTrials(options_, trial, score, likelihood).Run(result);
  JudgeText(result);
  result.seconds = trial.seconds();
  return result;
}

}  // namespace parity
