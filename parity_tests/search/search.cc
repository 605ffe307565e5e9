#include "parity_tests/search/search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <utility>

#include "parity_tests/search/continuation.h"
#include "parity_tests/search/first_row.h"
#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/mistaken_pass.h"

namespace parity {
namespace {

// Sets of habits whose answers are kept for the next search.
constexpr size_t kMostTrialsWithHabits = 4;

}  // namespace

Search::Search(SearchOptions options) : options_(std::move(options)) {
  if (options_.tokens.right.empty())
    throw std::runtime_error("the prompt has no token; nothing can be searched from it");
}

Search::~Search() = default;

const std::vector<Hypothesis>& Search::All() {
  if (all_.empty()) all_ = AllHypotheses(*options_.model, options_.tokens);
  return all_;
}

const std::vector<Hypothesis>& Search::Pairs() {
  if (pairs_.empty()) {
    pairs_ = PairHypotheses(*options_.model);
    for (size_t i = 0; i < pairs_.size(); ++i) pairs_[i].number = static_cast<int>(All().size() + i);
  }
  return pairs_;
}

std::shared_ptr<const PromptTrial> Search::TrialOf(const TokenSite& tokens, size_t n_cells,
                                                   std::vector<Hypothesis> habits) {
  std::string key = fmt::format("{} {}", n_cells, fmt::join(tokens.right, ","));
  for (const Hypothesis& habit : habits) key += fmt::format(" {} {}", habit.mistake->id, habit.variant);
  std::map<std::string, std::shared_ptr<const PromptTrial>>& trials = habits.empty() ? trials_ : trials_with_habits_;
  if (const auto known = trials.find(key); known != trials.end()) return known->second;
  auto trial = std::make_shared<const PromptTrial>(options_, tokens, n_cells, std::move(habits));
  if (!options_.keep_answers) return trial;
  if (&trials == &trials_with_habits_ && trials.size() == kMostTrialsWithHabits) trials.erase(trials.begin());
  return trials[key] = trial;
}

FirstRow& Search::FirstRowAt(size_t position) {
  if (first_row_ == nullptr || first_row_->position() != position) {
    first_row_ = std::make_unique<FirstRow>(options_, position);
  }
  return *first_row_;
}

Confirmation Search::Predict(const TokenSite& tokens, size_t max_tokens, const bitnet::Tokenizer& tokenizer) const {
  if (found_ == nullptr) throw std::logic_error("nothing was found whose text could be predicted");
  const PromptTrial prompt(options_, tokens, CellsFor(tokens.right.size() + max_tokens), found_->habits);
  KernelArithmetic arithmetic(options_.model->hyperparameters, *options_.order, options_.threads);
  return {.prompt = tokens.request.prompt,
          .predicted = Say(prompt, found_->mistake, arithmetic, max_tokens, tokenizer),
          .healthy = Say(prompt, Hypothesis(), arithmetic, max_tokens, tokenizer)};
}

}  // namespace parity
