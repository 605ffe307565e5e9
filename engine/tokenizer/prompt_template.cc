#include "engine/tokenizer/prompt_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>

namespace bitnet {
namespace {

using Pieces = std::array<std::string_view, 8>;

// In `system` and `user` the text stands at {}. `has` and `lacks` are pieces of the Jinja text, with line breaks in
// place of \n and single quotes in place of double ones; a template without `has` is recognised by nothing.
struct TemplateRow {
  PromptTemplate value;
  std::string_view word;
  bool trims = false;
  std::string_view bos = {};  // where the prompt writes BOS itself; elsewhere the vocabulary decides
  std::string_view start = {};
  std::optional<std::string_view> system = {};
  std::string_view user = "{}";
  std::string_view answer = {};
  Pieces has = {};
  Pieces lacks = {};
};

// Sources: the chat templates in the models' tokenizer_config.json; that of llama3-chat is on its model card too. What
// `lacks` names are relatives that write more: a date, a system turn by default, the beginning of an answer.
constexpr TemplateRow kTemplates[] = {
    {.value = PromptTemplate::kRaw, .word = "raw"},
    {.value = PromptTemplate::kInstruct, .word = "instruct", .system = "{}\n\n", .user = "Q: {}\n", .answer = "A:"},
    {.value = PromptTemplate::kLlama3Chat,
     .word = "llama3-chat",
     .trims = true,
     .bos = "<|begin_of_text|>",
     .system = "<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
     .user = "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>",
     .answer = "<|start_header_id|>assistant<|end_header_id|>\n\n",
     .has = {"'<|start_header_id|>", "<|end_header_id|>\n\n'", "<|eot_id|>",
             "'<|start_header_id|>assistant<|end_header_id|>\n\n'"},
     .lacks = {"Cutting Knowledge Date", "You are ", "functions"}},
    // BitNet b1.58 2B-4T: Llama 3's vocabulary without its headers.
    {.value = PromptTemplate::kBitnetChat,
     .word = "bitnet-chat",
     .trims = true,
     .system = "System: {}<|eot_id|>",
     .user = "User: {}<|eot_id|>",
     .answer = "Assistant: ",
     .has = {"<|eot_id|>", "Assistant: '"},
     .lacks = {"<|start_header_id|>", "<|im_start|>"}},
    {.value = PromptTemplate::kFalcon3Chat,
     .word = "falcon3-chat",
     .system = "<|system|>\n{}\n",
     .user = "<|user|>\n{}\n",
     .answer = "<|assistant|>\n",
     .has = {"'<|user|>\n' + message['content'] + '\n'", "'<|assistant|>\n' }}"},
     .lacks = {"<|end|>", "<|endoftext|>", "[gMASK]", "<|tool_declare|>"}},
    {.value = PromptTemplate::kChatml,
     .word = "chatml",
     .system = "<|im_start|>system\n{}<|im_end|>\n",
     .user = "<|im_start|>user\n{}<|im_end|>\n",
     .answer = "<|im_start|>assistant\n",
     .has = {"<|im_start|>", "<|im_end|>", "<|im_start|>assistant\n'"},
     .lacks = {"<|im_sep|>", "<end_of_utterance>", "system\nYou", "You are a", "You are Qwen", "Knowledge Cutoff",
               "assistant\n<think>", "'<think>\n' }}"}},
    {.value = PromptTemplate::kLlama2Chat,
     .word = "llama2-chat",
     .trims = true,
     .start = "[INST] ",
     .system = "<<SYS>>\n{}\n<</SYS>>\n\n",
     .user = "{} [/INST]",
     .has = {"'[INST] '", "' [/INST]'", "'<<SYS>>\n'", "content.strip()"},
     .lacks = {"set system_message = '", "[AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]"}},
};

constexpr auto kAll = [] {
  std::array<PromptTemplate, std::size(kTemplates)> all{};
  std::ranges::transform(kTemplates, all.begin(), &TemplateRow::value);
  return all;
}();

const TemplateRow& RowOf(PromptTemplate t) {
  const auto row = std::ranges::find(kTemplates, t, &TemplateRow::value);
  if (row == std::end(kTemplates)) {
    throw std::runtime_error(fmt::format(
        "prompt template: found the value {}, expected a resolved one (ResolveTemplate)", static_cast<int>(t)));
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

// One spelling for what Jinja lets one write in two ways.
std::string Canonical(std::string_view jinja) {
  std::string text;
  for (size_t i = 0; i < jinja.size(); ++i) {
    const bool line_break = jinja.substr(i, 2) == "\\n";
    text += line_break ? '\n' : jinja[i] == '"' ? '\'' : jinja[i];
    i += line_break ? 1 : 0;
  }
  return text;
}

const TemplateRow* Recognise(std::string_view jinja) {
  const std::string text = Canonical(jinja);
  const auto found = [&](std::string_view piece) { return !piece.empty() && text.find(piece) != text.npos; };
  if (!TrimText(text).starts_with('{')) return nullptr;  // text that is always written; no row has that
  for (const TemplateRow& row : kTemplates) {
    const bool all =
        std::ranges::all_of(row.has, [&](std::string_view piece) { return piece.empty() || found(piece); });
    if (!row.has.front().empty() && all && std::ranges::none_of(row.lacks, found)) return &row;
  }
  return nullptr;
}

[[noreturn]] void FailChatTemplate(const Tokenizer& tokenizer, std::string_view found, std::string_view expected) {
  std::string_view jinja = tokenizer.chat_template();
  size_t end = std::min<size_t>(jinja.size(), 60);
  while (end < jinja.size() && end > 0 && (jinja[end] & 0xC0) == 0x80) --end;
  throw std::runtime_error(
      fmt::format("{}: tokenizer.chat_template: found {} ({:?}{}), expected {}; name the template: --prompt-template "
                  "with one of {}",
                  tokenizer.source(), found, jinja.substr(0, end), end < jinja.size() ? "..." : "", expected,
                  WordList().substr(sizeof("auto, ") - 1)));
}

// BOS comes from the template or from the vocabulary, and never twice.
void CheckBos(const TemplateRow& row, const Tokenizer& tokenizer) {
  const std::string& jinja = tokenizer.chat_template();
  const std::string bos = tokenizer.bos() ? tokenizer.Piece(*tokenizer.bos()) : "";
  if (!row.bos.empty() && row.bos != bos) {
    FailChatTemplate(tokenizer, fmt::format("that of {}, with {:?} for BOS", row.word, bos),
                     fmt::format("{:?}", row.bos));
  }
  const bool asked =
      tokenizer.add_bos() || jinja.find("bos_token") != jinja.npos || (!bos.empty() && jinja.find(bos) != jinja.npos);
  const bool written = tokenizer.add_bos() || !row.bos.empty();
  if (asked != written) {
    FailChatTemplate(tokenizer, fmt::format("that of {}, {} BOS", row.word, asked ? "which writes" : "without"),
                     asked ? "tokenizer.ggml.add_bos_token to add it" : "one that writes it");
  }
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

PromptTemplate ResolveTemplate(PromptTemplate t, const Tokenizer& tokenizer) {
  if (t != PromptTemplate::kAuto) return t;
  if (tokenizer.chat_template().empty()) return PromptTemplate::kRaw;
  const TemplateRow* row = Recognise(tokenizer.chat_template());
  if (row == nullptr) FailChatTemplate(tokenizer, "a chat template that is not known here", "a known one");
  CheckBos(*row, tokenizer);
  return row->value;
}

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
