// Which mistake gives what a candidate computed, where it shows no tensors: the whole forward pass is run with each
// mistake of the table, and compared with the candidate's logits, or with the text that it printed.
//
//   Search search({.model = &model, .order = &order, .prompt = ids, .tokens = site, .threads = 2});
//   SearchResult found = search.ByText(" 'E of the", tokenizer);
//
// Text is scored as it was made: greedily. At each step the tokens that spell the next bytes are looked at, and the one
// with the largest logit is taken; what it falls short of the largest of all is regret. The model that printed the text
// has none, or as much as its rounding; a model that did not leaves the text within a few tokens, and is given up.
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_SEARCH_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_SEARCH_H_

#include <cstdint>
#include <functional>
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

struct SearchOptions {
  const bitnet::Model* model = nullptr;
  const bitnet::ArithmeticOrder* order = nullptr;
  TokenSite tokens;           // the prompt; tokens.right are its ids
  size_t threads = 1;         // hypotheses that are tried at once
  double budget_seconds = 0;  // 0: all are tried
  size_t keep = 5;            // of the ranking
  std::function<void(const std::string&)> progress = nullptr;
};

class Search {
 public:
  explicit Search(SearchOptions options);

  // `positions`: of the rows; without them row i is of prompt position i, and a prefix of the prompt is enough. Throws
  // std::runtime_error where they do not fit the model.
  SearchResult ByLogits(const Matrix& logits, std::span<const int64_t> positions = {});

  // `text`: what the candidate printed after the prompt, greedily; white space in front may be cut off.
  SearchResult ByText(const std::string& text, const bitnet::Tokenizer& tokenizer);

 private:
  SearchOptions options_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_SEARCH_H_
