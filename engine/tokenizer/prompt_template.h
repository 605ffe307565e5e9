// Prompt templates: from what the user typed to the text that is tokenized.
//
//   FormattedPrompt p = FormatAuto(tokenizer, "What is 2+2?").formatted;   // what the file's own template does
//   FormattedPrompt p = FormatPrompt(PromptTemplate::kLlama3Chat, "What is 2+2?");
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

struct FormattedPrompt {
  std::string text;
  bool add_special;  // false where the text writes BOS itself: it must not get a second one
};
// One turn of the user, behind that of the system where there is one, up to where the answer begins. llama3-chat,
// bitnet-chat and llama2-chat trim both texts, as the models' own templates do. `t` must not be kAuto; `system` may be
// empty, and must be for kRaw, which has no place for it.
FormattedPrompt FormatPrompt(PromptTemplate t, std::string_view prompt, std::string_view system = {});

// A Jinja template and where it is from, for messages.
struct ChatTemplateSource {
  std::string jinja, name;
};
struct ChatPrompt {
  FormattedPrompt formatted;
  std::string name;  // of the template above that writes the same here; "chat-template" where none does
};
// One turn of the user, behind that of the system where there is one, as the Jinja template writes it. Where the text
// does not begin with BOS the vocabulary decides on it. Throws where the template is not supported (see jinja.h), or
// raises an error itself.
ChatPrompt FormatChat(const ChatTemplateSource& source, const Tokenizer& tokenizer, std::string_view prompt,
                      std::string_view system = {});
// The same with the template of the tokenizer's file; kRaw where it has none.
ChatPrompt FormatAuto(const Tokenizer& tokenizer, std::string_view prompt, std::string_view system = {});
// Throws where there is no such file.
ChatTemplateSource ReadChatTemplate(const std::string& path);

// Number of BOS tokens at the start of `ids`; more than one is the mistake that a doubled template makes.
int LeadingBosCount(std::span<const int32_t> ids, const Tokenizer& tokenizer);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_PROMPT_TEMPLATE_H_
