// Which mistake gives what a candidate computed, where it shows no tensors: the whole forward pass is run with each
// mistake of the table, and compared with the candidate's logits, or with the texts that it printed.
//
//   Search search({.model = &model, .order = &order, .tokens = site, .threads = 2});
//   SearchResult found = search.ByText(" 'E of the", tokenizer);
//
// Text is scored as it was made: greedily. At each step the tokens that spell the next bytes are looked at, and the one
// with the largest logit is taken; what it falls short of the largest of all is regret. The model that printed the text
// has none, or as much as its rounding; a model that did not leaves the text within a few tokens, and is given up.
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_SEARCH_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_SEARCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/kernels/order.h"
#include "engine/model/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/findings/search.h"
#include "parity_tests/mistakes/mistake.h"
#include "reference/capture/capture.h"

namespace parity {

class FirstRow;
struct Found;
struct Hypothesis;
struct Near;
class PromptTrial;

struct SearchOptions {
  const bitnet::Model* model = nullptr;
  const bitnet::ArithmeticOrder* order = nullptr;
  TokenSite tokens;           // the prompt; tokens.right are its ids
  size_t threads = 1;         // hypotheses that are tried at once
  double budget_seconds = 0;  // 0: all are tried
  size_t keep = 5;            // of the ranking
  std::function<void(const std::string&)> progress = nullptr;
  // Prompts that may tell mistakes apart where the evidence does not; what they refer to must outlive the search.
  std::vector<TokenSite> further = {};
  // What hypotheses answer is kept for the next search of the same prompt: megabytes for a small model.
  bool keep_answers = false;
};

// A prompt, and what the candidate printed after it, greedily; white space in front may be cut off.
struct Told {
  TokenSite tokens;
  std::string text;
};

class Search {
 public:
  // Throws std::runtime_error where the prompt has no token.
  explicit Search(SearchOptions options);
  ~Search();
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  // `logits`: [rows, n_vocab]. `positions`: of the rows; without them row i is of prompt position i, and a prefix of
  // the prompt is enough. Throws std::runtime_error where they do not fit the model or the prompt.
  SearchResult ByLogits(const Matrix& logits, std::span<const int64_t> positions = {});

  // Throws std::runtime_error on an empty text.
  SearchResult ByText(const std::string& text, const bitnet::Tokenizer& tokenizer);
  // Of several prompts; the first is that of the options. Throws as ByText does, and where none is given.
  SearchResult ByTexts(std::span<const Told> told, const bitnet::Tokenizer& tokenizer);
  // What is far from these logits of the first prompt is not asked for its text. Where none of the others prints it,
  // the answer is that of the logits alone. Throws as both do.
  SearchResult ByTextAndLogits(const std::string& text, const bitnet::Tokenizer& tokenizer, const Matrix& logits,
                               std::span<const int64_t> positions = {});

  // What an engine with the mistake that the last search found prints after a prompt, and what a healthy one does.
  // Throws std::logic_error where it found none.
  Confirmation Predict(const TokenSite& tokens, size_t max_tokens, const bitnet::Tokenizer& tokenizer) const;

 private:
  class ByTextRun;
  class ByLogitsRun;

  SearchResult ByTextOfNear(const std::string& text, const bitnet::Tokenizer& tokenizer, const Near& near);

  const std::vector<Hypothesis>& All();
  const std::vector<Hypothesis>& Pairs();
  // Kept for the next call where options_.keep_answers.
  std::shared_ptr<const PromptTrial> TrialOf(const TokenSite& tokens, size_t n_cells,
                                             std::vector<Hypothesis> habits = {});
  FirstRow& FirstRowAt(size_t position);

  SearchOptions options_;
  std::vector<Hypothesis> all_, pairs_;
  std::map<std::string, std::shared_ptr<const PromptTrial>> trials_, trials_with_habits_;
  std::unique_ptr<FirstRow> first_row_;
  std::shared_ptr<const Found> found_;  // by the last search; nullptr: nothing
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_SEARCH_H_
