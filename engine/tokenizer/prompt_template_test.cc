#include "engine/tokenizer/prompt_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "engine/tokenizer/test_vocabulary.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

constexpr int32_t kBos = 256, kStartHeader = 257, kEndHeader = 258, kEot = 259;

Tokenizer Llama3Like(const std::string& chat_template) {
  Vocabulary vocabulary = TestVocabulary("llama-bpe", {},
                                         {{.text = "<|begin_of_text|>", .type = TokenType::kControl},
                                          {.text = "<|start_header_id|>", .type = TokenType::kControl},
                                          {.text = "<|end_header_id|>", .type = TokenType::kControl},
                                          {.text = "<|eot_id|>", .type = TokenType::kControl}});
  vocabulary.bos = kBos;
  vocabulary.add_bos = true;
  vocabulary.chat_template = chat_template;
  return Tokenizer::FromVocabulary(std::move(vocabulary));
}

TEST(PromptTemplateTest, NamesGoBothWays) {
  for (const char* name : {"auto", "raw", "instruct", "llama3-chat"}) {
    EXPECT_EQ(PromptTemplateName(ParsePromptTemplate(name)), name);
  }
  EXPECT_THAT([] { ParsePromptTemplate("chatml"); },
              Throws<std::runtime_error>(
                  Property(&std::runtime_error::what, AllOf(HasSubstr("chatml"), HasSubstr("llama3-chat")))));
}

TEST(PromptTemplateTest, AutoAsksTheVocabularyAndTheFile) {
  const Tokenizer chat = Llama3Like("{{ bos_token }}"), base = Llama3Like("");
  EXPECT_EQ(ResolveTemplate(PromptTemplate::kAuto, chat), PromptTemplate::kLlama3Chat);
  EXPECT_EQ(ResolveTemplate(PromptTemplate::kAuto, base), PromptTemplate::kRaw);
  Vocabulary other = TestVocabulary("gpt-2", {});
  other.chat_template = "{{ bos_token }}";
  EXPECT_EQ(ResolveTemplate(PromptTemplate::kAuto, Tokenizer::FromVocabulary(std::move(other))), PromptTemplate::kRaw);
  EXPECT_EQ(ResolveTemplate(PromptTemplate::kInstruct, chat), PromptTemplate::kInstruct);
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

TEST(PromptTemplateTest, AutoMustBeResolvedFirst) {
  EXPECT_THROW(FormatPrompt(PromptTemplate::kAuto, "Hi"), std::runtime_error);
}

TEST(PromptTemplateTest, EveryTemplateYieldsOneBos) {
  const Tokenizer tokenizer = Llama3Like("");
  for (const PromptTemplate t : {PromptTemplate::kRaw, PromptTemplate::kInstruct, PromptTemplate::kLlama3Chat}) {
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
