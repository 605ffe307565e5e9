// Which mistake gives what a candidate computed, where it shows no tensors. parity_tests/search/search.h finds it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_SEARCH_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_SEARCH_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "parity_tests/findings/diagnosis.h"

namespace parity {

// A mistake, made in a whole forward pass.
struct HypothesisResult {
  std::string id = {};     // of the mistake; empty: the healthy model
  std::string what = {};   // the mistake in words
  std::string how = {};    // "base 500000 in place of 10000"
  std::string where = {};  // "q_rope, k_rope in every layer"
  std::string remedy = {};
  bool habit = false;  // what an engine does otherwise and may mean to, and no mistake

  // From logits. Norm of what is left to the candidate's logits, over the norm of what the healthy model leaves.
  double distance = 1;
  bool every_bit = false;  // all logits are equal

  // From text, greedy: the tokens that spell it, each among the largest logits of this model.
  size_t tokens = 0;        // spelled before the text left this model, or all of them
  size_t first_choice = 0;  // of them: the largest logit
  size_t bytes = 0;         // of the text
  // By how much the logits of the others fell short of the largest, in standard deviations of the row, summed.
  double regret = 0;
  bool whole_text = false;
  // Where no mistake prints the text, of the best: how likely it is there (natural logarithm); tokens, first_choice and
  // bytes are then of the whole text.
  std::optional<double> logprob = {};

  // Tokens that were not the largest logit.
  size_t others() const { return tokens - first_choice; }
  // A greedy engine with this mistake prints the text; or may, because it rounds otherwise.
  bool prints_the_text() const { return whole_text && others() == 0; }
  bool may_print_the_text() const { return whole_text && regret < kNearTies; }
  static constexpr double kNearTies = 0.1;  // regret that rounding explains

  // The mistakes that cannot be told from this one by the evidence: the same logits, or the same text.
  std::vector<std::string> alike = {};
};

// A prompt on which mistakes that the evidence cannot tell apart print different texts.
struct SeparatingPrompt {
  std::string prompt = {};
  std::vector<int32_t> token_ids = {};  // in place of it
  size_t groups = 0;                    // different texts
  struct Says {
    std::string id, where, text;
  };
  std::vector<Says> says = {};  // each mistake
  std::string command = {};     // that asks for it
};

// What an engine with the mistake found says on a prompt that the search did not use.
struct Confirmation {
  std::string prompt = {};
  std::string predicted = {};  // with the mistake
  std::string healthy = {};    // without it
  // What the candidate said there, where it was asked, and for how many bytes it is what was predicted, and what the
  // healthy model says. White space at both ends aside.
  std::optional<std::string> said = {};
  size_t as_predicted = 0, as_healthy = 0;

  bool tells_them_apart() const { return predicted != healthy; }
  bool confirmed() const { return said && tells_them_apart() && as_predicted > as_healthy; }
};

struct SearchResult {
  bool from_text = false;
  size_t positions = 0;   // of logits that were compared
  size_t texts = 0;       // prompts whose text was followed
  size_t text_bytes = 0;  // that were to be spelled
  // What the engine does otherwise than the references everywhere, beside which the mistakes were tried.
  std::vector<std::string> habits = {};
  HypothesisResult healthy = {};
  std::vector<HypothesisResult> best = {};  // the best first; one entry for each mistake, at its best place
  size_t tried = 0;
  size_t possible = 0;  // what would have been tried without a budget
  // The time ended, or, where it takes long, something explained everything: the rest was not tried.
  bool ended_early = false;
  double seconds = 0;

  // Of best.front(); nothing where no mistake explains more than the healthy model does.
  std::optional<Certainty> certainty = {};
  std::string verdict = {};  // in one sentence

  // Natural logarithms of how many times as likely the evidence is with best.front() as with the best mistake that can
  // be told from it (`next`), and as without a mistake.
  std::string next = {};
  std::optional<double> over_next = {}, over_healthy = {};

  // Where several mistakes explain it: the prompt that tells most of them apart, of so many that were tried.
  std::optional<SeparatingPrompt> separating = {};
  size_t prompts_tried = 0;
  std::optional<Confirmation> confirmation = {};
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_SEARCH_H_
