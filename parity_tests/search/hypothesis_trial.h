// Runs the whole forward pass with hypotheses, several at once, and ranks what comes of them.
//
//   const HypothesisTrial trial(options, CellsFor(prompt.size() + 16));
//   std::vector<Scored> scored = trial.All(hypotheses, score);   // score: what a pass is worth
//   Rank(std::move(scored), /*from_text=*/true, 5, result);
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "parity_tests/oracle/pass.h"
#include "parity_tests/search/hypotheses.h"
#include "parity_tests/search/search.h"

namespace parity {

// Cells of a KV cache of so many positions.
size_t CellsFor(size_t positions);

// One forward pass with a mistake in it.
class MistakenPass {
 public:
  // All must outlive this.
  MistakenPass(const SearchOptions& options, const Hypothesis& h, Arithmetic& arithmetic, size_t n_cells);

  // Logits of the prompt, [n, n_vocab] or of its last position. `healthy`: of the same prompt, without a mistake.
  Values Prompt(bitnet::LogitsFor which, const Pass::Checkpoint& healthy);
  Values Next(int32_t token);  // [n_vocab]

 private:
  size_t FirstLayer() const;
  void MakeMistake(Point point, int layer, Parameters& p);
  void Apply(const Hypothesis& h, Point point, int layer, Parameters& p) const;

  const bitnet::Model& model_;
  const Hypothesis& h_;
  std::span<const int32_t> right_;
  std::map<std::pair<Point, int>, Parameters> changed_;  // changed weights are read once
  std::optional<Pass> pass_;
};

struct Scored {
  const Hypothesis* hypothesis = nullptr;
  HypothesisResult result;
};

bool BetterByText(const HypothesisResult& a, const HypothesisResult& b);
bool BetterByLogits(const HypothesisResult& a, const HypothesisResult& b);

class HypothesisTrial {
 public:
  // Fills in what the pass is worth. Called by several threads at once.
  using Score = std::function<void(MistakenPass&, const Hypothesis&, HypothesisResult&)>;

  // Runs the healthy model on the prompt. `options` must outlive this.
  HypothesisTrial(const SearchOptions& options, size_t n_cells);

  const Pass::Checkpoint& healthy() const { return healthy_; }
  const Values& healthy_logits() const { return logits_; }  // of the prompt, [n, n_vocab]

  HypothesisResult One(const Hypothesis& h, const Score& score) const;
  // As many as the budget allows. The results refer to `hypotheses`. Throws what a pass throws.
  std::vector<Scored> All(const std::vector<Hypothesis>& hypotheses, const Score& score) const;

  bool OutOfTime() const { return options_.budget_seconds > 0 && seconds() > options_.budget_seconds; }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;

  HypothesisResult Try(const Hypothesis& h, const Score& score, Arithmetic& arithmetic) const;

  const SearchOptions& options_;
  size_t n_cells_;
  bitnet::GraphShape shape_;
  Clock::time_point start_ = Clock::now();
  Pass::Checkpoint healthy_;
  Values logits_;
};

// The best place of each mistake, and what cannot be told from the first, into result.best.
void Rank(std::vector<Scored> scored, bool from_text, size_t keep, SearchResult& result);

// Mistakes of another name that the evidence cannot tell from the best.
std::vector<std::string> Rivals(const SearchResult& result);

// "rope_base: base 500000 in place of 10000, q_rope, k_rope in every layer".
std::string NameOf(const HypothesisResult& r);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_
