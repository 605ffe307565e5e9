#include "engine/tokenizer/prompt_template.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace bitnet {
namespace {

constexpr std::array<std::pair<std::string_view, PromptTemplate>, 4> kNames = {{
    {"auto", PromptTemplate::kAuto},
    {"raw", PromptTemplate::kRaw},
    {"instruct", PromptTemplate::kInstruct},
    {"llama3-chat", PromptTemplate::kLlama3Chat},
}};

bool HasLlama3Headers(const Tokenizer& tokenizer) {
  for (std::string_view text : {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}) {
    if (!tokenizer.Find(text).has_value()) return false;
  }
  return true;
}

std::string Llama3Header(std::string_view role) {
  return fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n", role);
}

}  // namespace

PromptTemplate ParsePromptTemplate(std::string_view name) {
  std::string names;
  for (const auto& [known, value] : kNames) {
    if (known == name) return value;
    names += names.empty() ? "" : ", ";
    names += known;
  }
  throw std::runtime_error(fmt::format("prompt template: found \"{}\", expected one of {}", name, names));
}

std::string_view PromptTemplateName(PromptTemplate t) {
  for (const auto& [name, value] : kNames) {
    if (value == t) return name;
  }
  throw std::runtime_error(fmt::format("prompt template: found the value {}, expected 0..3", static_cast<int>(t)));
}

PromptTemplate ResolveTemplate(PromptTemplate t, const Tokenizer& tokenizer) {
  if (t != PromptTemplate::kAuto) return t;
  const bool chat = HasLlama3Headers(tokenizer) && !tokenizer.chat_template().empty();
  return chat ? PromptTemplate::kLlama3Chat : PromptTemplate::kRaw;
}

FormattedPrompt FormatPrompt(PromptTemplate t, std::string_view prompt, std::string_view system) {
  switch (t) {
    case PromptTemplate::kRaw:
      if (!system.empty()) {
        throw std::runtime_error(
            "prompt template raw: found a system text, expected none; put it into the prompt or choose another "
            "template");
      }
      return {std::string(prompt), true};
    case PromptTemplate::kInstruct: {
      const std::string before = system.empty() ? "" : fmt::format("{}\n\n", system);
      return {fmt::format("{}Q: {}\nA:", before, prompt), true};
    }
    case PromptTemplate::kLlama3Chat: {
      std::string text = "<|begin_of_text|>";
      if (!system.empty()) text += fmt::format("{}{}<|eot_id|>", Llama3Header("system"), system);
      text += fmt::format("{}{}<|eot_id|>{}", Llama3Header("user"), prompt, Llama3Header("assistant"));
      return {std::move(text), false};
    }
    case PromptTemplate::kAuto:
      break;
  }
  throw std::runtime_error(
      fmt::format("prompt template: found \"{}\", expected a resolved one (ResolveTemplate)", PromptTemplateName(t)));
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
