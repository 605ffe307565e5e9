#include "engine/tokenizer/prompt_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "engine/tokenizer/jinja_for_test.h"
#include "engine/tokenizer/test_vocabulary.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

constexpr int32_t kBos = 256, kStartHeader = 257, kEndHeader = 258, kEot = 259;

Tokenizer Llama3Like(std::string_view chat_template, bool add_bos = true) {
  Vocabulary vocabulary = TestVocabulary("llama-bpe", {},
                                         {{.text = "<|begin_of_text|>", .type = TokenType::kControl},
                                          {.text = "<|start_header_id|>", .type = TokenType::kControl},
                                          {.text = "<|end_header_id|>", .type = TokenType::kControl},
                                          {.text = "<|eot_id|>", .type = TokenType::kControl}});
  vocabulary.bos = kBos;
  vocabulary.add_bos = add_bos;
  vocabulary.chat_template = chat_template;
  return Tokenizer::FromVocabulary(std::move(vocabulary));
}

TEST(PromptTemplateTest, NamesGoBothWays) {
  for (const PromptTemplate t : AllPromptTemplates()) EXPECT_EQ(ParsePromptTemplate(PromptTemplateName(t)), t);
  EXPECT_EQ(PromptTemplateName(ParsePromptTemplate("auto")), "auto");
  EXPECT_THAT([] { ParsePromptTemplate("chatlm"); },
              Throws<std::runtime_error>(
                  Property(&std::runtime_error::what, AllOf(HasSubstr("chatlm"), HasSubstr("llama3-chat")))));
}

TEST(PromptTemplateTest, AutoDoesWhatTheFileSays) {
  for (const auto& [word, jinja] : kJinja) {
    const ChatPrompt prompt = FormatAuto(Llama3Like(jinja), "What is 2+2?");
    const FormattedPrompt expected = FormatPrompt(ParsePromptTemplate(word), "What is 2+2?");
    const std::string_view bos = "<|begin_of_text|>";
    const auto without_bos = [&](std::string_view text) {
      return text.starts_with(bos) ? text.substr(bos.size()) : text;
    };
    EXPECT_EQ(without_bos(prompt.formatted.text), without_bos(expected.text)) << jinja;
    const Tokenizer tokenizer = Llama3Like(jinja);
    EXPECT_EQ(LeadingBosCount(tokenizer.Encode(prompt.formatted.text, {.add_special = prompt.formatted.add_special}),
                              tokenizer),
              1);
  }
  EXPECT_EQ(FormatAuto(Llama3Like(kJinja[0].second), "Hi").name, "llama3-chat");
  EXPECT_EQ(FormatAuto(Llama3Like(kJinja[2].second), "Hi", "Be kind.").name, "bitnet-chat");
  EXPECT_EQ(FormatAuto(Llama3Like(""), "Hi").name, "raw");
  const ChatPrompt own =
      FormatAuto(Llama3Like("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{% endfor %}"), "Hi", "S");
  EXPECT_EQ(own.name, "chat-template");
  EXPECT_EQ(own.formatted.text, "<|begin_of_text|><system><user>");
  EXPECT_FALSE(own.formatted.add_special);
}

TEST(PromptTemplateTest, TemplatesThatCannotBeRunAreNamed) {
  const auto error_of = [](const std::string& jinja) -> std::string {
    try {
      FormatAuto(Llama3Like(jinja), "Hi");
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(
      error_of("a\n{% include 'x' %}"),
      AllOf(HasSubstr("test vocabulary: tokenizer.chat_template: line 2: the block \"include\""),
            HasSubstr("--prompt-template with one of raw, instruct, llama3-chat"), HasSubstr("--chat-template-file")));
  EXPECT_THAT(error_of("{{ raise_exception('only three turns') }}"), HasSubstr("the template says: only three turns"));
  EXPECT_THAT([] { ReadChatTemplate("/nowhere/x.jinja"); },
              Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr("/nowhere/x.jinja"))));
}

TEST(PromptTemplateTest, Raw) {
  const FormattedPrompt raw = FormatPrompt(PromptTemplate::kRaw, "2+2=");
  EXPECT_EQ(raw.text, "2+2=");
  EXPECT_TRUE(raw.add_special);
  EXPECT_THROW(FormatPrompt(PromptTemplate::kRaw, "2+2=", "Be brief."), std::runtime_error);
}

TEST(PromptTemplateTest, Instruct) {
  EXPECT_EQ(FormatPrompt(PromptTemplate::kInstruct, "What is 2+2?").text, "Q: What is 2+2?\nA:");
  const FormattedPrompt prompt = FormatPrompt(PromptTemplate::kInstruct, "What is 2+2?", "Be brief.");
  EXPECT_EQ(prompt.text, "Be brief.\n\nQ: What is 2+2?\nA:");
  EXPECT_TRUE(prompt.add_special);
}

TEST(PromptTemplateTest, Llama3Chat) {
  EXPECT_EQ(FormatPrompt(PromptTemplate::kLlama3Chat, "Hi").text,
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  const FormattedPrompt prompt = FormatPrompt(PromptTemplate::kLlama3Chat, "Hi", "Be brief.");
  EXPECT_EQ(prompt.text,
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_FALSE(prompt.add_special);
}

// Its model card: "System: ", "User: " and "Assistant: ", an <|eot_id|> behind each turn.
TEST(PromptTemplateTest, BitnetChat) {
  EXPECT_EQ(FormatPrompt(PromptTemplate::kBitnetChat, " Hi\n").text, "User: Hi<|eot_id|>Assistant: ");
  const FormattedPrompt prompt = FormatPrompt(PromptTemplate::kBitnetChat, "{}", "Be brief.");
  EXPECT_EQ(prompt.text, "System: Be brief.<|eot_id|>User: {}<|eot_id|>Assistant: ");
  EXPECT_TRUE(prompt.add_special);
}

TEST(PromptTemplateTest, OthersTakeASystemTurnToo) {
  EXPECT_EQ(FormatPrompt(PromptTemplate::kFalcon3Chat, "Hi", "S").text, "<|system|>\nS\n<|user|>\nHi\n<|assistant|>\n");
  EXPECT_EQ(FormatPrompt(PromptTemplate::kChatml, " Hi").text,
            "<|im_start|>user\n Hi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(FormatPrompt(PromptTemplate::kLlama2Chat, "Hi ", " S").text, "[INST] <<SYS>>\nS\n<</SYS>>\n\nHi [/INST]");
  EXPECT_EQ(FormatPrompt(PromptTemplate::kLlama2Chat, " \n").text, "[INST]  [/INST]");
}

TEST(PromptTemplateTest, AutoMustBeResolvedFirst) {
  EXPECT_THROW(FormatPrompt(PromptTemplate::kAuto, "Hi"), std::runtime_error);
}

TEST(PromptTemplateTest, EveryTemplateYieldsOneBos) {
  const Tokenizer tokenizer = Llama3Like("");
  for (const PromptTemplate t : AllPromptTemplates()) {
    const FormattedPrompt prompt = FormatPrompt(t, "Hi");
    const auto ids = tokenizer.Encode(prompt.text, {.add_special = prompt.add_special, .parse_special = true});
    EXPECT_EQ(LeadingBosCount(ids, tokenizer), 1) << PromptTemplateName(t);
  }
  EXPECT_THAT(tokenizer.Encode(FormatPrompt(PromptTemplate::kLlama3Chat, "x").text, {.add_special = false}),
              ElementsAre(kBos, kStartHeader, 'u', 's', 'e', 'r', kEndHeader, '\n', '\n', 'x', kEot, kStartHeader, 'a',
                          's', 's', 'i', 's', 't', 'a', 'n', 't', kEndHeader, '\n', '\n'));
}

TEST(PromptTemplateTest, ADoubledTemplateIsSeenInTheIds) {
  const Tokenizer tokenizer = Llama3Like("");
  const std::string text = FormatPrompt(PromptTemplate::kLlama3Chat, "Hi").text;
  EXPECT_EQ(LeadingBosCount(tokenizer.Encode(text, {.add_special = true}), tokenizer), 2);
  EXPECT_EQ(LeadingBosCount(tokenizer.Encode("Hi", {.add_special = false}), tokenizer), 0);
  EXPECT_EQ(LeadingBosCount({}, tokenizer), 0);
  const Tokenizer without_bos = Tokenizer::FromVocabulary(TestVocabulary("gpt-2", {}));
  EXPECT_EQ(LeadingBosCount(std::vector<int32_t>{0, 0}, without_bos), 0);
}

}  // namespace
}  // namespace bitnet
