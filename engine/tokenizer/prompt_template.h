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

enum class PromptTemplate { kAuto, kRaw, kInstruct, kLlama3Chat, kBitnetChat, kFalcon3Chat, kChatml, kLlama2Chat };

// All but kAuto.
std::span<const PromptTemplate> AllPromptTemplates();
// "raw", "instruct", "llama3-chat", ...; throws on anything else and lists these.
PromptTemplate ParsePromptTemplate(std::string_view name);
std::string_view PromptTemplateName(PromptTemplate t);

// kAuto becomes the template that does what the file's chat template does, found by pieces of its text: no Jinja runs
// here. It is kRaw where the file has none. Throws where the file's is not known, where it begins with text of its own
// (a system turn that is always there), and where it writes BOS and the prompt would not have it, or the reverse.
PromptTemplate ResolveTemplate(PromptTemplate t, const Tokenizer& tokenizer);

struct FormattedPrompt {
  std::string text;
  bool add_special;  // false where the text writes BOS itself: it must not get a second one
};
// One turn of the user, behind that of the system where there is one, up to where the answer begins. llama3-chat,
// bitnet-chat and llama2-chat trim both texts, as the models' own templates do. `t` must not be kAuto; `system` may be
// empty, and must be for kRaw, which has no place for it.
FormattedPrompt FormatPrompt(PromptTemplate t, std::string_view prompt, std::string_view system = {});

// Number of BOS tokens at the start of `ids`; more than one is the mistake that a doubled template makes.
int LeadingBosCount(std::span<const int32_t> ids, const Tokenizer& tokenizer);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_PROMPT_TEMPLATE_H_
