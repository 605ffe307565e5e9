#include "engine/tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "engine/tokenizer/unicode_classes.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Property;
using ::testing::Throws;

std::vector<std::string> Split(std::string_view pre, std::string_view text) {
  const Words words = PreTokenizer(pre).Split(text);
  std::vector<std::string> result;
  for (size_t i = 0; i < words.size(); ++i) result.emplace_back(words[i]);
  return result;
}

TEST(UnicodeClassesTest, FollowVersion15_1) {
  EXPECT_EQ(ClassOf(0xE9), UnicodeClass::kLetter);         // e with acute
  EXPECT_EQ(ClassOf(0x0301), UnicodeClass::kOther);        // combining acute
  EXPECT_EQ(ClassOf(0x0663), UnicodeClass::kNumber);       // Arabic-Indic three
  EXPECT_EQ(ClassOf(0x00BD), UnicodeClass::kNumber);       // one half
  EXPECT_EQ(ClassOf(0x2019), UnicodeClass::kPunctuation);  // right single quotation mark
  EXPECT_EQ(ClassOf(0x20AC), UnicodeClass::kOther);        // euro sign
  EXPECT_EQ(ClassOf(0x85), UnicodeClass::kSpace);          // next line
  EXPECT_EQ(ClassOf(0x3000), UnicodeClass::kSpace);        // ideographic space
  EXPECT_EQ(ClassOf(0x200B), UnicodeClass::kOther);        // zero width space is none
  EXPECT_EQ(ClassOf(0xD800), UnicodeClass::kOther);        // surrogate
  EXPECT_EQ(ClassOf(0x11F50), UnicodeClass::kNumber);      // Kawi digit zero, new in 15.0
  EXPECT_EQ(ClassOf(0x2EBF0), UnicodeClass::kLetter);      // CJK extension I, new in 15.1
  EXPECT_EQ(ClassOf(0x1C89), UnicodeClass::kOther);        // a letter since 16.0
  EXPECT_EQ(ClassOf(0x10FFFF), UnicodeClass::kOther);
}

TEST(PreTokenizerTest, NamesAndTheirSpellings) {
  EXPECT_EQ(PreTokenizer::CanonicalName("llama3"), "llama-bpe");
  EXPECT_EQ(PreTokenizer::CanonicalName("llama-v3"), "llama-bpe");
  EXPECT_EQ(PreTokenizer::CanonicalName("gpt-2"), "gpt-2");
  EXPECT_EQ(PreTokenizer::CanonicalName(""), "default");
  EXPECT_EQ(PreTokenizer::CanonicalName("qwen2"), std::nullopt);
  EXPECT_THAT(PreTokenizer::SupportedNames(), AllOf(HasSubstr("llama3"), HasSubstr("gpt-2"), HasSubstr("default")));
  EXPECT_THROW(PreTokenizer("llama3"), std::runtime_error);  // not canonical
}

TEST(PreTokenizerTest, Llama3) {
  EXPECT_THAT(Split("llama-bpe", "Hello  world's"), ElementsAre("Hello", " ", " world", "'s"));
  EXPECT_THAT(Split("llama-bpe", "I'LL we've"), ElementsAre("I", "'LL", " we", "'ve"));
  EXPECT_THAT(Split("llama-bpe", "I'Dont 1'reX"), ElementsAre("I", "'D", "ont", " ", "1", "'re", "X"));
  EXPECT_THAT(Split("llama-bpe", "1234567"), ElementsAre("123", "456", "7"));
  EXPECT_THAT(Split("llama-bpe", "a\t\tb"), ElementsAre("a", "\t", "\tb"));
  EXPECT_THAT(Split("llama-bpe", "x !!\n\n  y"), ElementsAre("x", " !!\n\n", " ", " y"));
  EXPECT_THAT(Split("llama-bpe", "a \n \n  b"), ElementsAre("a", " \n \n", " ", " b"));
  EXPECT_THAT(Split("llama-bpe", "end  "), ElementsAre("end", "  "));
  EXPECT_THAT(Split("llama-bpe", "a\r\rb"), ElementsAre("a", "\r\r", "b"));
  EXPECT_THAT(Split("llama-bpe", "(abc)"), ElementsAre("(abc", ")"));
  EXPECT_THAT(Split("llama-bpe", "日本٣٤٥٦"), ElementsAre("日本", "٣٤٥", "٦"));
  // A combining mark is no letter, but one such character may lead a word.
  EXPECT_THAT(Split("llama-bpe", "e\u0301a"), ElementsAre("e", "\u0301a"));
  // The long s is no s here: the reference spells the contractions out.
  EXPECT_THAT(Split("llama-bpe", "1'ſ"), ElementsAre("1", "'ſ"));
  EXPECT_THAT(Split("llama-bpe", "1'S"), ElementsAre("1", "'S"));
  EXPECT_THAT(Split("llama-bpe", ""), IsEmpty());
}

TEST(PreTokenizerTest, Gpt2) {
  EXPECT_THAT(Split("gpt-2", "Hello  world's 1234"), ElementsAre("Hello", " ", " world", "'s", " 1234"));
  EXPECT_THAT(Split("gpt-2", "I'LL"), ElementsAre("I", "'", "LL"));  // lower case only
  EXPECT_THAT(Split("gpt-2", "a\n\n b"), ElementsAre("a", "\n\n", " b"));
  EXPECT_THAT(Split("gpt-2", "\tb"), ElementsAre("\t", "b"));
  EXPECT_THAT(Split("gpt-2", "a \n"), ElementsAre("a", " \n"));
  EXPECT_THAT(Split("gpt-2", " $€!"), ElementsAre(" $€!"));
}

TEST(PreTokenizerTest, DefaultIsASequenceOfExpressions) {
  // Punctuation first, then GPT-2's expression in what is left, then numbers, then three ASCII digits.
  EXPECT_THAT(Split("default", "it's 1234"), ElementsAre("it", "'", "s", " ", "123", "4"));
  EXPECT_THAT(Split("default", "a, b"), ElementsAre("a", ",", " b"));
  EXPECT_THAT(Split("default", "x += `y`"), ElementsAre("x", " ", "+=", " `", "y", "`"));
  // Gaps are words of their own, and a lookahead ends with its piece: the two spaces before "!" stay together.
  EXPECT_THAT(Split("default", "a  !"), ElementsAre("a", "  ", "!"));
  EXPECT_THAT(Split("default", " ٣٤٥٦ 12"), ElementsAre(" ", "٣٤٥٦", " ", "12"));
}

TEST(PreTokenizerTest, WhatIsNoUtf8BecomesTheReplacementCharacter) {
  const PreTokenizer pre("gpt-2");
  EXPECT_EQ(pre.Split("a\xFFz").utf8, "a\uFFFDz");
  EXPECT_EQ(pre.Split("\x80").utf8, "\uFFFD");
  EXPECT_EQ(pre.Split("\xE2\x82").utf8, "\uFFFD\uFFFD");       // cut off: byte by byte
  EXPECT_EQ(pre.Split("\xE2\x28\xA1").utf8, "\uFFFD(\uFFFD");  // not continued
  EXPECT_EQ(pre.Split("\xF8\x88\x80\x80\x80").utf8, "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(pre.Split("\xC0\xAF").utf8, "/");                 // overlong: the short form
  EXPECT_EQ(pre.Split("\xED\xA0\x80").utf8, "\xED\xA0\x80");  // a surrogate stays
  EXPECT_EQ(pre.Split(std::string_view("\0a", 2)).utf8, std::string("\0a", 2));
  EXPECT_EQ(pre.Split("\xF4\x8F\xBF\xBF").utf8, "\U0010FFFF");
}

TEST(PreTokenizerTest, AboveUnicodeThrowsWithThePosition) {
  EXPECT_THAT([] { PreTokenizer("gpt-2").Split("ab\xF4\x90\x80\x80", 100); },
              Throws<std::runtime_error>(
                  Property(&std::runtime_error::what, AllOf(HasSubstr("byte 102"), HasSubstr("U+110000")))));
}

TEST(PreTokenizerTest, WordsAreTheText) {
  const std::string text = "In 1234 BC, naïve 日本 'll\r\n\r\n\t x\u3000\u3000y 👨‍👩‍👧 !?\n";
  for (const char* name : {"llama-bpe", "gpt-2", "default"}) {
    std::string joined;
    for (const std::string& word : Split(name, text)) {
      EXPECT_FALSE(word.empty());
      joined += word;
    }
    EXPECT_EQ(joined, text) << name;
  }
}

TEST(PreTokenizerTest, LongRunsAreNoTrouble) {
  constexpr size_t kLength = 2'000'000;
  for (const char* name : {"llama-bpe", "gpt-2", "default"}) {
    for (const char c : {' ', 'a', '!', '\n'}) {
      EXPECT_EQ(PreTokenizer(name).Split(std::string(kLength, c)).size(), 1u) << name << " " << static_cast<int>(c);
    }
    EXPECT_EQ(PreTokenizer(name).Split(std::string(kLength, ' ') + "a").size(), 2u) << name;
  }
}

}  // namespace
}  // namespace bitnet
