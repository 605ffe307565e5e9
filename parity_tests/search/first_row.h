// Habits and a mistake, sought together in one row of logits.
//
//   FirstRow first_row(options, /*position=*/0);
//   for (const BesideHabits& found : first_row.Nearest(trials, row, healthy_row, hypotheses, n_whole)) ...
//
// An engine that is not exact rounds differently everywhere, by habit. Unless both its habits and its mistake are
// right, int8 values round differently and no hypothesis comes close; when both are, next to nothing is left. So every
// mistake is tried beside each set of usual habits, where that is cheap: on the prompt up to the first row that is
// known, and on the first logits of that row. At position 0 the mistakes and the habits of RoPE, mask and scores have
// no effect.
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_FIRST_ROW_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_FIRST_ROW_H_

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/mistaken_pass.h"

namespace parity {

struct BesideHabits {
  std::vector<Hypothesis> habits;
  Hypothesis mistake;   // that comes nearest beside them; none: the healthy model
  double distance = 1;  // that is left, over what the healthy model without habits leaves

  // What is left may be the order of float32 sums, and a rounding that goes another way.
  static constexpr double kExplained = 0.05;
  bool explained() const { return distance < kExplained; }
  // It may be the habits alone, or the mistake alone.
  bool near() const { return distance < 0.5; }
};

class FirstRow {
 public:
  // `options` must outlive this. `position`: of the prompt.
  FirstRow(const SearchOptions& options, size_t position);

  size_t position() const { return tokens_.right.size() - 1; }

  // The best of `all`, or no mistake, beside each set of habits; the nearest first. The first `whole` of `all` are
  // everywhere, and tried first. row, healthy: [n_vocab], the candidate's and the healthy model's; nothing where they
  // are equal, or where the candidate's has no numbers. Ends early where one explains it, or the search takes long.
  std::vector<BesideHabits> Nearest(const Trials& trials, std::span<const float> row, std::span<const float> healthy,
                                    std::span<const Hypothesis> all, size_t whole);

 private:
  // A way of multiplying with the head; it moves logits and nothing else, so that one pass serves all ways.
  struct Head {
    std::optional<Hypothesis> habit;
    Parameters parameters;
  };
  // What an engine does otherwise everywhere, and what comes before the head with each hypothesis.
  struct Set {
    explicit Set(std::vector<Hypothesis> some) : habits(std::move(some)) {}
    std::vector<Hypothesis> habits;
    std::vector<Head> heads = {};  // the first: without a habit of its own
    std::unique_ptr<const PromptTrial> trial = nullptr;
    std::map<int, Values> normed = {};  // by the number of the hypothesis; kept where options_.keep_answers
    std::mutex mutex = {};
    BesideHabits best = {};
  };
  struct Best {
    double distance;
    const Head* head;
  };

  Values NormedBy(Set& set, const Hypothesis& h, Arithmetic& arithmetic) const;
  void AddHead(Set& set, const std::optional<Hypothesis>& habit) const;
  Best DistanceOf(Set& set, const Hypothesis& h, Arithmetic& arithmetic, std::span<const float> row) const;
  static void Take(Set& set, const Hypothesis& h, const Best& best, double unit);

  const SearchOptions& options_;
  TokenSite tokens_;
  std::deque<Set> sets_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_FIRST_ROW_H_
