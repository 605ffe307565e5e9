// What a model with a mistake prints after a prompt, and the prompt on which mistakes print different texts.
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_CONTINUATION_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_CONTINUATION_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "parity_tests/search/hypothesis_trial.h"

namespace parity {

// The token that a hypothesis takes of a row of logits, greedily.
int32_t ChoiceOf(const Hypothesis& h, const Values& logits);

// Greedy tokens after the prompt; fewer where a row of logits has no largest number.
std::vector<int32_t> Continue(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic,
                              size_t max_tokens);
std::string TextOf(std::span<const int32_t> ids, const bitnet::Tokenizer& tokenizer);

// Of the further prompts of the options the one on which `rivals` print most different texts. Nothing where none of
// them tells any two apart. `tried`: prompts.
std::optional<SeparatingPrompt> FindSeparatingPrompt(const SearchOptions& options, const Trials& trials,
                                                     std::span<const Hypothesis> rivals,
                                                     const std::vector<Hypothesis>& habits,
                                                     const bitnet::Tokenizer& tokenizer, size_t& tried);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_CONTINUATION_H_
