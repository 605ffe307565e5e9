// The whole forward pass with a mistake in it, after a prompt.
//
//   const PromptTrial prompt(options, options.tokens, CellsFor(options.tokens.right.size() + 24));
//   MistakenPass pass(prompt, hypothesis, arithmetic);
//   Step step = pass.First();               // what it makes of the prompt
//   step = pass.Next(step.choice);          // and of the token that it takes
//
// A mistake in one layer starts above what the healthy model computed below it, with the same bits.
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_MISTAKEN_PASS_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_MISTAKEN_PASS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "parity_tests/oracle/pass.h"
#include "parity_tests/search/hypotheses.h"
#include "parity_tests/search/search.h"

namespace parity {

// Cells of a KV cache of so many positions.
size_t CellsFor(size_t positions);

// What a text may lose on its way and still be this model's, by its rounding: standard deviations of a row of logits.
inline constexpr double kMostRegret = 0.5;

// Norm of the difference; infinite where one side has a number and the other has none.
double DistanceBetween(std::span<const float> a, std::span<const float> b);

bool AllFinite(const Values& logits);

// The token that a hypothesis takes of a row of logits [n_vocab], greedily.
int32_t ChoiceOf(const Hypothesis& h, const Values& logits);

// Of a row of logits all that following a greedy text asks.
struct Step {
  // A token, and what its logit falls short of the choice's, in standard deviations of the row.
  struct Near {
    int32_t id;
    double regret;
  };
  bool finite = false;  // else nothing is known
  int32_t choice = -1;
  std::vector<Near> near = {};  // all but the choice that fall short by no more than kMostRegret
};
Step StepOf(const Hypothesis& h, const Values& logits);

// What a hypothesis has answered to a prompt: logits of all its positions, and the steps behind it, as a tree.
struct Answers {
  struct Node {
    std::optional<Step> step;
    std::map<int32_t, std::unique_ptr<Node>> next;  // by the token that follows
  };
  std::optional<Values> all;
  Node prompt;
  size_t nodes = 1;
};

// A prompt, and what the healthy model makes of it, or one with an engine's habits.
class PromptTrial {
 public:
  // `options` must outlive this, and so must what `tokens` refers to. `n_logits`: of each row, the first ones that are
  // computed; 0: all.
  PromptTrial(const SearchOptions& options, const TokenSite& tokens, size_t n_cells,
              std::vector<Hypothesis> habits = {}, size_t n_logits = 0);

  const SearchOptions& options() const { return options_; }
  const TokenSite& tokens() const { return tokens_; }
  size_t n_cells() const { return n_cells_; }
  const std::vector<Hypothesis>& habits() const { return habits_; }
  // Whether anything is computed otherwise than by the model's file; then what, at a point.
  bool changes() const { return !habits_.empty() || n_logits_ > 0; }
  void ChangeAt(Point point, int layer, Parameters& p) const;
  const Pass::Checkpoint& healthy() const { return healthy_; }
  const Values& healthy_logits() const { return logits_; }  // of the prompt, [n, n_logits]

  // Where answers are kept, of hypotheses that have a number; nullptr where they are not.
  Answers* AnswersOf(const Hypothesis& h) const;

 private:
  const SearchOptions& options_;
  TokenSite tokens_;
  size_t n_cells_;
  std::vector<Hypothesis> habits_;
  size_t n_logits_;
  std::map<std::pair<Point, int>, Parameters> habit_parameters_;
  Pass::Checkpoint healthy_;
  Values logits_;
  mutable std::mutex mutex_;
  mutable std::map<int, Answers> answers_;
};

// What is known of its answers is not computed again.
class MistakenPass {
 public:
  // All must outlive this; `trace` may be nullptr.
  MistakenPass(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic,
               bitnet::TraceSink* trace = nullptr);

  // Logits of the prompt, [n, n_vocab] or of its last position; of one more token behind it, [n_vocab].
  Values PromptLogits(bitnet::LogitsFor which);
  Values NextLogits(int32_t token);

  // The same, as steps of a greedy text.
  Step First();
  Step Next(int32_t token);

 private:
  template <typename Run>
  Step Known(const Run& run);
  Values RunPrompt(bitnet::LogitsFor which);
  Values RunToTheEnd();
  size_t FirstLayer() const;
  void MakeMistake(Point point, int layer, Parameters& p);

  const PromptTrial& prompt_;
  const bitnet::Model& model_;
  const Hypothesis& h_;
  Arithmetic& arithmetic_;
  bitnet::TraceSink* trace_;
  Answers* answers_;
  Answers::Node* node_ = nullptr;                        // of the path; nullptr: it is not kept
  std::map<std::pair<Point, int>, Parameters> changed_;  // changed weights are read once
  bool keeps_rows_ = false;                              // all of `changed_` that are worth it
  std::optional<Pass> pass_;
  std::vector<int32_t> path_;  // tokens behind the prompt
  size_t ran_ = 0;             // of them: seen by the pass
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_MISTAKEN_PASS_H_
