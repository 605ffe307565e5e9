#include "engine/tokenizer/prompt_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "engine/tokenizer/jinja.h"
#include "engine/tokenizer/jinja_value.h"

namespace bitnet {
namespace {

// In `system` and `user` the text stands at {}.
struct TemplateRow {
  PromptTemplate value;
  std::string_view word;
  bool trims = false;
  std::string_view bos = {};  // where the prompt writes BOS itself; elsewhere the vocabulary decides
  std::string_view start = {};
  std::optional<std::string_view> system = {};
  std::string_view user = "{}";
  std::string_view answer = {};
};

// Sources: the chat templates in the models' tokenizer_config.json; that of llama3-chat is on its model card too.
constexpr TemplateRow kTemplates[] = {
    {.value = PromptTemplate::kRaw, .word = "raw"},
    {.value = PromptTemplate::kInstruct, .word = "instruct", .system = "{}\n\n", .user = "Q: {}\n", .answer = "A:"},
    {.value = PromptTemplate::kLlama3Chat,
     .word = "llama3-chat",
     .trims = true,
     .bos = "<|begin_of_text|>",
     .system = "<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
     .user = "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>",
     .answer = "<|start_header_id|>assistant<|end_header_id|>\n\n"},
    // BitNet b1.58 2B-4T: Llama 3's vocabulary without its headers.
    {.value = PromptTemplate::kBitnetChat,
     .word = "bitnet-chat",
     .trims = true,
     .system = "System: {}<|eot_id|>",
     .user = "User: {}<|eot_id|>",
     .answer = "Assistant: "},
    {.value = PromptTemplate::kFalcon3Chat,
     .word = "falcon3-chat",
     .system = "<|system|>\n{}\n",
     .user = "<|user|>\n{}\n",
     .answer = "<|assistant|>\n"},
    {.value = PromptTemplate::kChatml,
     .word = "chatml",
     .system = "<|im_start|>system\n{}<|im_end|>\n",
     .user = "<|im_start|>user\n{}<|im_end|>\n",
     .answer = "<|im_start|>assistant\n"},
    {.value = PromptTemplate::kLlama2Chat,
     .word = "llama2-chat",
     .trims = true,
     .start = "[INST] ",
     .system = "<<SYS>>\n{}\n<</SYS>>\n\n",
     .user = "{} [/INST]"},
};

constexpr auto kAll = [] {
  std::array<PromptTemplate, std::size(kTemplates)> all{};
  std::ranges::transform(kTemplates, all.begin(), &TemplateRow::value);
  return all;
}();

const TemplateRow& RowOf(PromptTemplate t) {
  const auto row = std::ranges::find(kTemplates, t, &TemplateRow::value);
  if (row == std::end(kTemplates)) {
    throw std::runtime_error(fmt::format("prompt template: found the value {}, expected another than auto (FormatAuto)",
                                         static_cast<int>(t)));
  }
  return *row;
}

std::string WordList() {
  std::string words = "auto";
  for (const TemplateRow& row : kTemplates) words += fmt::format(", {}", row.word);
  return words;
}

std::string_view TrimText(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kSpaces);
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(kSpaces) + 1 - first);
}

std::string PieceOr(const Tokenizer& tokenizer, std::optional<int32_t> id) {
  return id.has_value() ? tokenizer.Piece(*id) : std::string();
}

// The name of the row that writes the same; nothing where none does.
std::optional<std::string_view> NameOfSame(const FormattedPrompt& prompt, std::string_view text,
                                           std::string_view system) {
  for (const TemplateRow& row : kTemplates) {
    if (!row.system && !system.empty()) continue;
    const FormattedPrompt other = FormatPrompt(row.value, text, system);
    if (other.text == prompt.text && other.add_special == prompt.add_special) return row.word;
  }
  return std::nullopt;
}

}  // namespace

std::span<const PromptTemplate> AllPromptTemplates() { return kAll; }

PromptTemplate ParsePromptTemplate(std::string_view name) {
  if (name == "auto") return PromptTemplate::kAuto;
  const auto row = std::ranges::find(kTemplates, name, &TemplateRow::word);
  if (row != std::end(kTemplates)) return row->value;
  throw std::runtime_error(fmt::format("prompt template: found \"{}\", expected one of {}", name, WordList()));
}

std::string_view PromptTemplateName(PromptTemplate t) { return t == PromptTemplate::kAuto ? "auto" : RowOf(t).word; }

FormattedPrompt FormatPrompt(PromptTemplate t, std::string_view prompt, std::string_view system) {
  const TemplateRow& row = RowOf(t);
  if (!row.system && !system.empty()) {
    throw std::runtime_error(
        fmt::format("prompt template {}: found a system text, expected none; put it into the prompt or choose another "
                    "template",
                    row.word));
  }
  const auto turn = [&](std::string_view pattern, std::string_view text) {
    return fmt::format(fmt::runtime(pattern), row.trims ? TrimText(text) : text);
  };
  std::string text = fmt::format("{}{}", row.bos, row.start);
  if (!system.empty()) text += turn(*row.system, system);
  text += turn(row.user, prompt);
  text += row.answer;
  return {std::move(text), row.bos.empty()};
}

ChatPrompt FormatChat(const ChatTemplateSource& source, const Tokenizer& tokenizer, std::string_view prompt,
                      std::string_view system) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  const std::string bos = PieceOr(tokenizer, tokenizer.bos());
  try {
    FormattedPrompt formatted;
    formatted.text = ChatTemplate(source.jinja)
                         .Render({{"messages", messages},
                                  {"add_generation_prompt", true},
                                  {"bos_token", bos},
                                  {"eos_token", PieceOr(tokenizer, tokenizer.eos())}});
    formatted.add_special = bos.empty() || !formatted.text.starts_with(bos);
    const auto name = NameOfSame(formatted, prompt, system);
    return {std::move(formatted), std::string(name.value_or("chat-template"))};
  } catch (const JinjaError& error) {
    throw std::runtime_error(
        fmt::format("{}: {}; name another template: --prompt-template with one of {}, or --chat-template-file",
                    source.name, error.what(), WordList().substr(sizeof("auto, ") - 1)));
  }
}

ChatPrompt FormatAuto(const Tokenizer& tokenizer, std::string_view prompt, std::string_view system) {
  if (tokenizer.chat_template().empty()) return {FormatPrompt(PromptTemplate::kRaw, prompt, system), "raw"};
  return FormatChat({tokenizer.chat_template(), fmt::format("{}: tokenizer.chat_template", tokenizer.source())},
                    tokenizer, prompt, system);
}

ChatTemplateSource ReadChatTemplate(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(fmt::format("{}: cannot be opened, expected a Jinja chat template", path));
  return {{std::istreambuf_iterator<char>(in), {}}, path};
}

int LeadingBosCount(std::span<const int32_t> ids, const Tokenizer& tokenizer) {
  const std::optional<int32_t> bos = tokenizer.bos();
  int count = 0;
  for (const int32_t id : ids) {
    if (!bos.has_value() || id != *bos) break;
    ++count;
  }
  return count;
}

}  // namespace bitnet
