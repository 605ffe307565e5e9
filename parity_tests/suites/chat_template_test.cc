// The prompts of our templates against those of llama.cpp, which recognises the same Jinja texts.
#include <gtest/gtest.h>
#include <llama.h>

#include <string>
#include <vector>

#include "engine/tokenizer/jinja_for_test.h"
#include "engine/tokenizer/prompt_template.h"

namespace parity {
namespace {

// Without BOS, which llama.cpp leaves to the vocabulary; empty where it does not know the template.
std::string Llamas(std::string_view jinja, const std::vector<llama_chat_message>& turns) {
  std::string text(4096, '\0');
  const int32_t size = llama_chat_apply_template(std::string(jinja).c_str(), turns.data(), turns.size(), true,
                                                 text.data(), static_cast<int32_t>(text.size()));
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

std::string Ours(bitnet::PromptTemplate t, std::string_view prompt, std::string_view system) {
  constexpr std::string_view kBos = "<|begin_of_text|>";
  const std::string text = bitnet::FormatPrompt(t, prompt, system).text;
  return text.starts_with(kBos) ? text.substr(kBos.size()) : text;
}

TEST(ChatTemplate, WritesTheSame) {
  int compared = 0;
  for (const auto& [word, jinja] : bitnet::kJinja) {
    if (word == "bitnet-chat") continue;  // not among llama.cpp's own
    for (const char* prompt : {"What is 2+2?", " two\nlines \n", "{}", "naïve 👍🏽", ""}) {
      const bitnet::PromptTemplate t = bitnet::ParsePromptTemplate(word);
      EXPECT_EQ(Ours(t, prompt, ""), Llamas(jinja, {{"user", prompt}})) << word;
      EXPECT_EQ(Ours(t, prompt, " Be brief. "), Llamas(jinja, {{"system", " Be brief. "}, {"user", prompt}})) << word;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 30);
}

}  // namespace
}  // namespace parity
