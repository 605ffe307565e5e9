// From text: follows what a candidate printed, after one prompt or several, with each hypothesis.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "parity_tests/search/continuation.h"
#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/mistaken_pass.h"
#include "parity_tests/search/search.h"
#include "parity_tests/search/speller.h"

namespace parity {
namespace {

// A model without contrast would print anything at no regret: so many tokens, and one of eight, may be others than its
// first choice.
constexpr size_t kMostOthers = 2;
constexpr size_t kTokensForAnother = 8;
// A text shorter than this may be another model's by chance.
constexpr size_t kTokensForCertainty = 8;

// A token that spells what comes next, and what its logit falls short of the model's choice.
struct Nearest {
  Speller::Spelling spelling{-1, 0};
  double short_by = std::numeric_limits<double>::infinity();
};

// Of several the choice itself, or the one that falls short by least. `short_by`: of a token; infinite: by too much.
template <typename ShortBy>
Nearest NearestOf(const std::vector<Speller::Spelling>& spellings, int32_t choice, const ShortBy& short_by) {
  Nearest best;
  for (const Speller::Spelling& s : spellings) {
    if (s.id == choice) return {s, 0};
    if (const double by = short_by(s.id); by < best.short_by) best = {s, by};
  }
  return best;
}

// A prompt, and the text to be followed behind it.
struct ToFollow {
  std::shared_ptr<const PromptTrial> prompt;
  std::string text;
};

// Follows one text with a model, greedily, and adds to `result` what came of it. True: to its end.
bool SpellOne(MistakenPass& pass, const Speller& speller, std::string_view text, HypothesisResult& result) {
  size_t tokens = 0, first_choice = 0, bytes = 0;
  double regret = 0;
  for (Step step = pass.First(); step.finite;) {
    const Nearest next =
        NearestOf(speller.At(text.substr(bytes), tokens == 0), step.choice, [&step](int32_t id) -> double {
          const auto near = std::ranges::find(step.near, id, &Step::Near::id);
          return near == step.near.end() ? std::numeric_limits<double>::infinity() : near->regret;
        });
    if (next.spelling.id < 0) break;  // no token near the choice spells it
    if (next.spelling.id == step.choice) {
      ++first_choice;
    } else {
      regret += next.short_by;
      const size_t others = tokens + 1 - first_choice;
      if (regret > kMostRegret || others > kMostOthers + tokens / kTokensForAnother) break;
    }
    ++tokens;
    bytes += next.spelling.bytes;
    if (bytes >= text.size()) break;
    step = pass.Next(next.spelling.id);
  }
  result.tokens += tokens;
  result.first_choice += first_choice;
  result.bytes += bytes;
  result.regret += regret;
  return bytes >= text.size();
}

void Spell(const std::vector<ToFollow>& texts, const Speller& speller, const Hypothesis& h, Arithmetic& arithmetic,
           HypothesisResult& result) {
  for (const ToFollow& t : texts) {
    MistakenPass pass(*t.prompt, h, arithmetic);
    if (!SpellOne(pass, speller, t.text, result)) return;
  }
  result.whole_text = true;
}

// Follows whole texts with a model that need not have made them: how likely they are there.
void SpellToTheEnd(const std::vector<ToFollow>& texts, const Speller& speller, const Hypothesis& h,
                   Arithmetic& arithmetic, HypothesisResult& result) {
  size_t all_bytes = 0, all_tokens = 0, first_choice = 0;
  double logprob = 0;
  for (const ToFollow& t : texts) {
    MistakenPass pass(*t.prompt, h, arithmetic);
    const std::string_view text = t.text;
    Values logits = pass.PromptLogits(bitnet::LogitsFor::kLast);
    for (size_t bytes = 0, tokens = 0; bytes < text.size();) {
      if (!AllFinite(logits)) return;
      const int32_t choice = ChoiceOf(h, logits);
      const Nearest next = NearestOf(speller.At(text.substr(bytes), tokens == 0), choice, [&](int32_t id) -> double {
        const auto i = static_cast<size_t>(id);
        if (i >= logits.size()) return std::numeric_limits<double>::infinity();
        return logits[static_cast<size_t>(choice)] - logits[i];
      });
      if (next.spelling.id < 0) return;
      const double largest = *std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (const float v : logits) sum += std::exp(v - largest);
      logprob += logits[static_cast<size_t>(next.spelling.id)] - largest - std::log(sum);
      first_choice += next.spelling.id == choice;
      ++tokens, ++all_tokens;
      bytes += next.spelling.bytes, all_bytes += next.spelling.bytes;
      if (bytes < text.size()) logits = pass.NextLogits(next.spelling.id);
    }
  }
  result.tokens = all_tokens;
  result.first_choice = first_choice;
  result.bytes = all_bytes;
  result.logprob = logprob;
}

Hypothesis Beside(Hypothesis h, const std::vector<Hypothesis>& habits) {
  h.also.insert(h.also.end(), habits.begin(), habits.end());
  h.number = -1;
  return h;
}

// Where no mistake prints the text: one under which it is likely beyond all others. True where there is one.
bool JudgeLikelihood(SearchResult& result) {
  constexpr double kEnough = 20;  // natural logarithm of how many times as likely; thousands were tried
  if (result.best.size() < 2 || !result.best[0].logprob || !result.healthy.logprob) return false;
  const HypothesisResult &best = result.best[0], &next = result.best[1];
  const double over_healthy = *best.logprob - *result.healthy.logprob;
  const double over_next = next.logprob ? *best.logprob - *next.logprob : over_healthy;
  result.next = next.id;
  result.over_next = over_next;
  result.over_healthy = over_healthy;
  if (std::min(over_healthy, over_next) < kEnough || 2 * best.first_choice < best.tokens) return false;
  result.certainty = Certainty::kLikely;
  result.verdict = fmt::format(
      "under {} {} of {} tokens are the first choice, and the text is e^{:.0f} times as likely as under the next "
      "mistake ({}), e^{:.0f} times as under the healthy model",
      NameOf(best), best.first_choice, best.tokens, over_next, next.id, over_healthy);
  return true;
}

// Other mistakes that print the texts but for near-ties so small that an engine's rounding may turn them.
std::vector<std::string> NearRivals(const SearchResult& result) {
  std::vector<std::string> rivals = Rivals(result);
  for (size_t i = 1; i < result.best.size(); ++i) {
    const HypothesisResult& r = result.best[i];
    const bool near = r.whole_text && r.regret < result.best[0].regret + HypothesisResult::kNearTies &&
                      r.distance < 1.5 * result.best[0].distance + 1e-6;
    if (near && std::find(rivals.begin(), rivals.end(), r.id) == rivals.end()) rivals.push_back(r.id);
  }
  return rivals;
}

void JudgeText(SearchResult& result) {
  const HypothesisResult& healthy = result.healthy;
  const char* text = result.texts > 1 ? "texts" : "text";
  if (healthy.prints_the_text()) {
    result.verdict = fmt::format(
        "the healthy model prints {} {}: all {} of {} tokens are its first choice{}; what is odd about it "
        "is the model's own, its file's or its template's",
        result.texts > 1 ? "these" : "this", text, healthy.tokens, result.texts > 1 ? "their" : "its",
        healthy.how.empty() ? "" : " (" + healthy.how + ")");
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
  const std::vector<std::string> rivals = NearRivals(result);
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

// The hypotheses of texts, the usual ones first: whole engines, two mistakes at once where none of them prints them,
// then single layers. Texts that no mistake prints may be of an engine that rounds otherwise: the best are tried again
// with K and V in float32, as many engines keep them, and at last each is asked how likely the whole texts are.
class Search::ByTextRun {
 public:
  // `near`, if not nullptr: those whose logits are near the candidate's are tried, and no others.
  ByTextRun(Search& search, std::span<const Told> told, const bitnet::Tokenizer& tokenizer, const Near* near)
      : search_(search),
        options_(search.options_),
        tokenizer_(tokenizer),
        speller_(tokenizer),
        trials_(search.options_),
        near_(near) {
    for (const Told& t : told) {
      if (t.text.empty()) throw std::runtime_error("the text that the candidate printed is empty");
      const size_t n_cells = CellsFor(t.tokens.right.size() + 16 + t.text.size());
      texts_.push_back({search.TrialOf(t.tokens, n_cells, habits()), t.text});
      result_.text_bytes += t.text.size();
    }
    if (texts_.empty()) throw std::runtime_error("no text was given");
    result_.from_text = true;
    result_.texts = texts_.size();
    if (near_ == nullptr) return;
    result_.tried = near_->tried;
    result_.possible = near_->possible;
    result_.ended_early = near_->tried < near_->possible;
  }

  SearchResult Run() {
    search_.found_.reset();
    // What the healthy model does not print says most.
    std::stable_partition(texts_.begin(), texts_.end(), [this](const ToFollow& t) {
      const auto spell = [&](const Hypothesis& h, Arithmetic& a, HypothesisResult& r) {
        Spell({t}, speller_, h, a, r);
      };
      return texts_.size() > 1 && !trials_.One(Hypothesis(), spell).prints_the_text();
    });
    result_.healthy = Healthy();
    if (!result_.healthy.may_print_the_text()) TryAll();
    JudgeText(result_);
    if (near_ != nullptr && result_.certainty && !LogitsAgree()) result_.certainty = Certainty::kPossible;
    SayWhatWasNotTried(result_);
    if (result_.certainty) {
      Weigh();
      Separate();
    }
    result_.seconds = trials_.seconds();
    return std::move(result_);
  }

 private:
  static constexpr size_t kLookedAt = 6;
  static constexpr size_t kTokensBeyondDoubt = 12;

  // The logits beside the text are the best's as well, or near enough.
  bool LogitsAgree() const { return !result_.best.empty() && result_.best[0].distance < 0.5; }

  std::vector<Hypothesis> habits() const { return near_ == nullptr ? std::vector<Hypothesis>() : near_->habits; }

  Trials::Score Spelling() const {
    return [this](const Hypothesis& h, Arithmetic& a, HypothesisResult& r) {
      Spell(texts_, speller_, h, a, r);
      if (near_ == nullptr) return;
      const auto at = std::ranges::find(near_->hypotheses, &h, [](const Hypothesis& other) { return &other; });
      if (at != near_->hypotheses.end())
        r.distance = near_->distances[static_cast<size_t>(at - near_->hypotheses.begin())];
    };
  }
  Trials::Score Likelihood() const {
    return
        [this](const Hypothesis& h, Arithmetic& a, HypothesisResult& r) { SpellToTheEnd(texts_, speller_, h, a, r); };
  }

  // The healthy model, or the one with K and V in float32 where that comes nearer.
  HypothesisResult Healthy() const {
    HypothesisResult healthy = trials_.One(Hypothesis(), Spelling());
    if (healthy.prints_the_text()) return healthy;
    HypothesisResult by_habit = trials_.One(Beside(Hypothesis(), FloatAttention()), Spelling());
    return BetterByText(by_habit, healthy) ? by_habit : healthy;
  }

  void TryAll() {
    const std::span<const Hypothesis> all = near_ != nullptr ? std::span(near_->hypotheses) : std::span(search_.All());
    const size_t whole = CountWhole(all), usual = near_ != nullptr ? all.size() : CountUsual(all);
    const bool healthy = result_.healthy.whole_text;
    Try(all.first(whole));
    bool beyond_doubt = trials_.TakesLong() && BeyondDoubt();
    if (!healthy && !Printed() && near_ == nullptr) {
      Try(search_.Pairs());
      TryBestWithFloatAttention();
      beyond_doubt = BeyondDoubt();
    }
    // A habit in one layer alone is an answer where there is no other: hundreds of them leave the text as it is for
    // long.
    Try(all.subspan(whole, usual - whole), beyond_doubt);
    if (beyond_doubt || !Printed()) Try(all.subspan(usual), beyond_doubt);
    if (!healthy && !Printed()) {
      TryBestWithFloatAttention();
      if (!Printed()) WeighBest();
    }
    for (const Hypothesis* h : Rank(std::move(scored_), true, options_.keep, result_)) ranked_.push_back(*h);
  }

  void Try(std::span<const Hypothesis> hypotheses, bool beyond_doubt = false) {
    std::vector<Scored> scored;
    if (!beyond_doubt) scored = trials_.All(hypotheses, Spelling(), IsBeyondDoubt);
    if (near_ == nullptr) {
      result_.tried += scored.size();
      result_.possible += hypotheses.size();
    }
    const bool all = scored.size() == hypotheses.size();
    std::ranges::move(scored, std::back_inserter(scored_));
    result_.ended_early |= !all && !BeyondDoubt();  // what is beyond doubt ends a search, and so does the time
  }

  // Tokens by the dozen that the healthy model would not have chosen are no other mistake's by chance.
  static bool IsBeyondDoubt(const HypothesisResult& r) { return r.prints_the_text() && r.tokens >= kTokensBeyondDoubt; }
  bool BeyondDoubt() const {
    return std::any_of(scored_.begin(), scored_.end(), [](const Scored& s) { return IsBeyondDoubt(s.result); });
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
      if (trials_.OutOfTime()) return;
      const Hypothesis& again = kept_.emplace_back(Beside(*h, FloatAttention()));
      scored_.push_back({&again, trials_.One(again, Spelling())});
      if (scored_.back().result.whole_text) return;
    }
  }

  void WeighBest() {
    const std::vector<const Hypothesis*> best = Best();
    result_.healthy = trials_.One(Hypothesis(), Likelihood());
    for (const Hypothesis* h : best) {
      if (trials_.OutOfTime()) return;
      scored_.push_back({h, trials_.One(*h, Likelihood())});
      const Hypothesis& again = kept_.emplace_back(Beside(*h, FloatAttention()));
      scored_.push_back({&again, trials_.One(again, Likelihood())});
    }
  }

  // How likely the texts are with the best mistake, with the best that can be told from it, and with none.
  void Weigh() {
    if (result_.over_next || ranked_.empty()) return;
    const auto logprob = [this](const Hypothesis& h) { return trials_.One(h, Likelihood()).logprob; };
    const std::optional<double> best = logprob(ranked_.front()), healthy = logprob(Hypothesis());
    if (!best) return;
    if (healthy) result_.over_healthy = *best - *healthy;
    for (size_t i = NextToldApart(result_, 0); i < ranked_.size(); i = NextToldApart(result_, i)) {
      const std::optional<double> next = logprob(ranked_[i]);
      if (!next) continue;
      result_.next = result_.best[i].id;
      result_.over_next = *best - *next;
      return;
    }
  }

  void Separate() {
    search_.found_ = std::make_shared<const Found>(Found{ranked_.front(), habits()});
    std::vector<Hypothesis> rivals = {ranked_.front()};
    const std::vector<std::string> names = NearRivals(result_);
    for (size_t i = 1; i < ranked_.size() && rivals.size() < kLookedAt; ++i) {
      if (std::find(names.begin(), names.end(), result_.best[i].id) != names.end()) rivals.push_back(ranked_[i]);
    }
    if (rivals.size() < 2) return;
    for (Hypothesis& h : rivals) h.number = -1;
    result_.separating = FindSeparatingPrompt(options_, trials_, rivals, habits(), tokenizer_, result_.prompts_tried);
  }

  Search& search_;
  const SearchOptions& options_;
  const bitnet::Tokenizer& tokenizer_;
  const Speller speller_;
  const Trials trials_;
  std::vector<ToFollow> texts_;
  const Near* near_;
  std::deque<Hypothesis> kept_;  // what the results refer to
  std::vector<Scored> scored_;
  std::vector<Hypothesis> ranked_;  // of result_.best
  SearchResult result_;
};

SearchResult Search::ByTexts(std::span<const Told> told, const bitnet::Tokenizer& tokenizer) {
  return ByTextRun(*this, told, tokenizer, nullptr).Run();
}

SearchResult Search::ByText(const std::string& text, const bitnet::Tokenizer& tokenizer) {
  const Told told{options_.tokens, text};
  return ByTexts({&told, 1}, tokenizer);
}

SearchResult Search::ByTextOfNear(const std::string& text, const bitnet::Tokenizer& tokenizer, const Near& near) {
  const Told told{options_.tokens, text};
  return ByTextRun(*this, {&told, 1}, tokenizer, &near).Run();
}

}  // namespace parity
