// Prompt templates: from what the user typed to the text that is tokenized.
//
//   PromptTemplate t = ResolveTemplate(ParsePromptTemplate("auto"), tokenizer);
//   FormattedPrompt p = FormatPrompt(t, "What is 2+2?");
//   ids = tokenizer.Encode(p.text, {.add_special = p.add_special, .parse_special = true});
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_PROMPT_TEMPLATE_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_PROMPT_TEMPLATE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/tokenizer/tokenizer.h"

namespace bitnet {

enum class PromptTemplate { kAuto, kRaw, kInstruct, kLlama3Chat };

// "auto", "raw", "instruct", "llama3-chat"; throws on anything else and lists these.
PromptTemplate ParsePromptTemplate(std::string_view name);
std::string_view PromptTemplateName(PromptTemplate t);

// kAuto becomes kLlama3Chat where the vocabulary has its header tokens and the file has a chat template, and kRaw
// otherwise.
PromptTemplate ResolveTemplate(PromptTemplate t, const Tokenizer& tokenizer);

struct FormattedPrompt {
  std::string text;
  bool add_special;  // false where the text writes BOS itself: it must not get a second one
};
// Source of llama3-chat: the model card of Llama 3. `t` must not be kAuto; `system` may be empty, and must be for kRaw,
// which has no place for it.
FormattedPrompt FormatPrompt(PromptTemplate t, std::string_view prompt, std::string_view system = {});

// Number of BOS tokens at the start of `ids`; more than one is the mistake that a doubled template makes.
int LeadingBosCount(std::span<const int32_t> ids, const Tokenizer& tokenizer);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_PROMPT_TEMPLATE_H_
