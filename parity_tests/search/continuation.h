// What a model with a mistake prints after a prompt, and the prompt on which mistakes print different texts.
//
//   std::vector<int32_t> ids = Continue(prompt, hypothesis, arithmetic, 24);   // "under gqa_mapping it says ..."
//   size_t tried = 0;
//   auto told_apart = FindSeparatingPrompt(options, trials, rivals, habits, tokenizer, tried);
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_CONTINUATION_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_CONTINUATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/mistaken_pass.h"

namespace parity {

// Greedy tokens after the prompt; fewer where a row of logits has no largest number.
std::vector<int32_t> Continue(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic,
                              size_t max_tokens);
// The same as text.
std::string Say(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic, size_t max_tokens,
                const bitnet::Tokenizer& tokenizer);

// Of the further prompts of the options the one on which `rivals`, beside `habits`, print most different texts. Nothing
// where none of them tells any two apart, or there was no time. Adds to `tried` the prompts that were looked at. Throws
// what a pass throws.
std::optional<SeparatingPrompt> FindSeparatingPrompt(const SearchOptions& options, const Trials& trials,
                                                     std::span<const Hypothesis> rivals,
                                                     const std::vector<Hypothesis>& habits,
                                                     const bitnet::Tokenizer& tokenizer, size_t& tried);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_CONTINUATION_H_
