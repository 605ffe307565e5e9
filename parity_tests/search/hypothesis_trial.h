// Runs the whole forward pass with hypotheses, several at once, and ranks what comes of them.
//
//   const Trials trials(options);
//   std::vector<Scored> scored = trials.All(hypotheses, [&](const Hypothesis& h, Arithmetic& a, HypothesisResult& r) {
//     MistakenPass pass(prompt, h, a);   // r: what the pass is worth
//   });
//   Rank(std::move(scored), /*from_text=*/true, 5, result);
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "parity_tests/oracle/arithmetic.h"
#include "parity_tests/search/hypotheses.h"
#include "parity_tests/search/search.h"

namespace parity {

struct Scored {
  const Hypothesis* hypothesis = nullptr;
  HypothesisResult result;
};

// What a search found, for the next question about it.
struct Found {
  Hypothesis mistake;
  std::vector<Hypothesis> habits;  // beside which it was found
};

// What a search by logits leaves to one by text: the hypotheses whose logits are about as near as the best's, how far
// each is, the habits beside which they were tried, and of how many they are.
struct Near {
  std::vector<Hypothesis> hypotheses = {};
  std::vector<double> distances = {};
  std::vector<Hypothesis> habits = {};
  size_t tried = 0, possible = 0;
};

bool BetterByText(const HypothesisResult& a, const HypothesisResult& b);
bool BetterByLogits(const HypothesisResult& a, const HypothesisResult& b);

// Hypotheses on several threads, within a budget that starts with this.
class Trials {
 public:
  // Fills in what a hypothesis is worth. Called by several threads at once, each with an arithmetic of its own.
  using Score = std::function<void(const Hypothesis&, Arithmetic&, HypothesisResult&)>;

  // `options` must outlive this.
  explicit Trials(const SearchOptions& options);

  HypothesisResult One(const Hypothesis& h, const Score& score) const;
  // As many as the budget allows. The results refer to `hypotheses`. Throws what a pass throws. A result that is
  // `enough` ends a search that takes long, as that of a large model does.
  std::vector<Scored> All(std::span<const Hypothesis> hypotheses, const Score& score,
                          const std::function<bool(const HypothesisResult&)>& enough = nullptr) const;

  // So long that what explains everything is taken for the answer, with hypotheses untried.
  bool TakesLong() const { return seconds() > kPatienceSeconds; }
  bool OutOfTime() const { return options_.budget_seconds > 0 && seconds() > options_.budget_seconds; }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr double kPatienceSeconds = 90;

  const SearchOptions& options_;
  bitnet::GraphShape shape_;
  Clock::time_point start_ = Clock::now();
};

// The best place of each mistake, and what cannot be told from the first, into result.best. Returns their hypotheses.
std::vector<const Hypothesis*> Rank(std::vector<Scored> scored, bool from_text, size_t keep, SearchResult& result);

// Mistakes of another name that the evidence cannot tell from the best.
std::vector<std::string> Rivals(const SearchResult& result);
// The next behind `i` of result.best that it can tell from the best; its size where there is none.
size_t NextToldApart(const SearchResult& result, size_t i);

// Of a search that ended before all was tried: nothing is certain, and the verdict says how far it came.
void SayWhatWasNotTried(SearchResult& result);

// "rope_base: base 500000 in place of 10000, q_rope, k_rope in every layer".
std::string NameOf(const HypothesisResult& r);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_
