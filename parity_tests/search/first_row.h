// Habits and a mistake, sought together in one row of logits.
//
//   FirstRow first_row(options, /*position=*/0);
//   for (const BesideHabits& found : first_row.Nearest(trials, row, hypotheses, n_whole)) ...
//
// An engine that is not exact rounds otherwise everywhere, by habit. Where its habits are not met, or its mistake is
// not, int8 roundings go other ways and nothing comes near; where both are met, next to nothing is left. So every
// mistake is tried beside each set of usual habits, where it costs least: on the prompt up to the first row that is
// known, and on the first of that row's logits. At position 0 no mistake of RoPE, mask or scores hides a habit, either.
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_FIRST_ROW_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_FIRST_ROW_H_

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/mistaken_pass.h"

namespace parity {

struct BesideHabits {
  std::vector<Hypothesis> habits;
  Hypothesis mistake;   // that comes nearest beside them; none: the healthy model
  double distance = 1;  // that is left, over what the healthy model without habits leaves

  // What is left may be the order of float32 sums, and a rounding that goes another way.
  bool explained() const { return distance < 0.05; }
};

class FirstRow {
 public:
  // `options` must outlive this. `position`: of the prompt.
  FirstRow(const SearchOptions& options, size_t position);

  size_t position() const { return tokens_.right.size() - 1; }

  // The best of `all`, or no mistake, beside each set of habits; the nearest first. The first `whole` of `all` are
  // everywhere, and tried first. Nothing where the healthy model gives the row, [n_vocab]. Ends early where one
  // explains it, or the search takes long.
  std::vector<BesideHabits> Nearest(const Trials& trials, std::span<const float> row, std::span<const Hypothesis> all,
                                    size_t whole);

 private:
  // What an engine does otherwise everywhere but in the head, and what comes before the head with each hypothesis.
  struct Set {
    std::vector<Hypothesis> habits;
    std::unique_ptr<const PromptTrial> trial = nullptr;
    std::map<int, Values> normed = {};  // by the number of the hypothesis; kept where options_.keep_answers
    std::mutex mutex = {};
  };
  // A way of multiplying with the head; it moves logits and nothing else, so that one pass serves all ways.
  struct Head {
    std::optional<Hypothesis> habit;
    Parameters parameters;
  };
  struct Best {
    double distance;
    const Head* head;
  };

  Values NormedBy(Set& set, const Hypothesis& h, Arithmetic& arithmetic) const;
  Best DistanceOf(Set& set, const Hypothesis& h, Arithmetic& arithmetic, std::span<const float> row) const;

  const SearchOptions& options_;
  TokenSite tokens_;
  std::deque<Set> sets_;
  std::vector<Head> heads_;  // the first: the model's own
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_FIRST_ROW_H_
