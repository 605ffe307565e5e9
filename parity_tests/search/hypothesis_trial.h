// Runs the whole forward pass with hypotheses, several at once, and ranks what comes of them.
//
//   const PromptTrial prompt(options, options.tokens, CellsFor(24));
//   const Trials trials(options);
//   std::vector<Scored> scored = trials.All(hypotheses, [&](const Hypothesis& h, Arithmetic& a, HypothesisResult& r) {
//     MistakenPass pass(prompt, h, a);   // r: what the pass is worth
//   });
//   Rank(std::move(scored), /*from_text=*/true, 5, result);
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
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

// What a hypothesis has answered to a prompt: logits of all its positions, of the last alone, and behind some tokens.
struct Answers {
  std::optional<Values> all, last;
  std::map<std::vector<int32_t>, Values> next;
};

// A prompt, and what the healthy model makes of it, or one with an engine's habits.
class PromptTrial {
 public:
  // `options` must outlive this, and so must what `tokens` refers to.
  PromptTrial(const SearchOptions& options, const TokenSite& tokens, size_t n_cells,
              std::vector<Hypothesis> habits = {});

  const SearchOptions& options() const { return options_; }
  const TokenSite& tokens() const { return tokens_; }
  size_t n_cells() const { return n_cells_; }
  const std::vector<Hypothesis>& habits() const { return habits_; }
  const Pass::Checkpoint& healthy() const { return healthy_; }
  const Values& healthy_logits() const { return logits_; }  // of the prompt, [n, n_vocab]
  // The habits' parameters of a point, or nullptr where they are the model's.
  const Parameters* HabitsAt(Point point, int layer) const;

  // Where answers are kept, of hypotheses that have a number; nullptr where they are not.
  Answers* AnswersOf(const Hypothesis& h) const;

 private:
  const SearchOptions& options_;
  TokenSite tokens_;
  size_t n_cells_;
  std::vector<Hypothesis> habits_;
  std::map<std::pair<Point, int>, Parameters> habit_parameters_;
  Pass::Checkpoint healthy_;
  Values logits_;
  mutable std::mutex mutex_;
  mutable std::map<int, Answers> answers_;
};

// One forward pass with a mistake in it. What is known of its answers is not computed again.
class MistakenPass {
 public:
  // All must outlive this.
  MistakenPass(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic);

  // Logits of the prompt, [n, n_vocab] or of its last position.
  Values Prompt(bitnet::LogitsFor which);
  Values Next(int32_t token);  // [n_vocab]

 private:
  Values RunPrompt(bitnet::LogitsFor which);
  Values RunNext(int32_t token);
  size_t FirstLayer() const;
  void MakeMistake(Point point, int layer, Parameters& p);
  void Apply(const Hypothesis& h, Point point, int layer, Parameters& p) const;

  const PromptTrial& prompt_;
  const bitnet::Model& model_;
  const Hypothesis& h_;
  Arithmetic& arithmetic_;
  Answers* answers_;
  std::map<std::pair<Point, int>, Parameters> changed_;  // changed weights are read once
  std::optional<Pass> pass_;
  std::vector<int32_t> path_;  // tokens behind the prompt
  size_t ran_ = 0;             // of them: seen by the pass
};

struct Scored {
  const Hypothesis* hypothesis = nullptr;
  HypothesisResult result;
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

// "rope_base: base 500000 in place of 10000, q_rope, k_rope in every layer".
std::string NameOf(const HypothesisResult& r);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESIS_TRIAL_H_
