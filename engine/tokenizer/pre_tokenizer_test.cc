#include "engine/tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "engine/tokenizer/unicode_classes.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Property;
using ::testing::Throws;

std::vector<std::string> Split(std::string_view pre, std::string_view text) {
  const Words words = PreTokenizer(pre).Split(text);
  std::vector<std::string> result;
  for (size_t i = 0; i < words.size(); ++i) result.emplace_back(words[i]);
  return result;
}

TEST(UnicodeClassesTest, FollowVersion15_1) {
  EXPECT_EQ(ClassOf(0xE9), UnicodeClass::kLetter);            // e with acute
  EXPECT_EQ(ClassOf(0x0301), UnicodeClass::kNonspacingMark);  // combining acute
  EXPECT_EQ(ClassOf(0x0903), UnicodeClass::kMark);            // Devanagari visarga
  EXPECT_EQ(ClassOf(0x0663), UnicodeClass::kNumber);          // Arabic-Indic three
  EXPECT_EQ(ClassOf(0x00BD), UnicodeClass::kNumber);          // one half
  EXPECT_EQ(ClassOf(0x2019), UnicodeClass::kPunctuation);     // right single quotation mark
  EXPECT_EQ(ClassOf(0x20AC), UnicodeClass::kSymbol);          // euro sign
  EXPECT_EQ(ClassOf(0x85), UnicodeClass::kSpace);             // next line
  EXPECT_EQ(ClassOf(0x3000), UnicodeClass::kSpace);           // ideographic space
  EXPECT_EQ(ClassOf(0x200B), UnicodeClass::kControl);         // zero width space is none
  EXPECT_EQ(ClassOf(0xD800), UnicodeClass::kControl);         // surrogate
  EXPECT_EQ(ClassOf(0x11F50), UnicodeClass::kNumber);         // Kawi digit zero, new in 15.0
  EXPECT_EQ(ClassOf(0x2EBF0), UnicodeClass::kLetter);         // CJK extension I, new in 15.1
  EXPECT_EQ(ClassOf(0x1C89), UnicodeClass::kOther);           // a letter since 16.0
  EXPECT_EQ(ClassOf(0x10FFFF), UnicodeClass::kOther);
  EXPECT_EQ(ClassOf(0x100000), UnicodeClass::kControl);  // private use
  EXPECT_EQ(ClassOf(0x5F), UnicodeClass::kPunctuation);
  EXPECT_EQ(ClassOf(0x7C), UnicodeClass::kSymbol);
  EXPECT_EQ(ClassOf(0x7F), UnicodeClass::kControl);
  EXPECT_EQ(ClassOf(0x0B), UnicodeClass::kSpace);
}

TEST(PreTokenizerTest, NamesAndWhatFollowsFromThem) {
  EXPECT_EQ(PreTokenizer::FindName("llama-v3")->canonical, "llama-bpe");
  EXPECT_TRUE(PreTokenizer::FindName("falcon3")->ignore_merges);
  EXPECT_FALSE(PreTokenizer::FindName("dbrx")->ignore_merges);
  EXPECT_EQ(PreTokenizer::FindName("")->canonical, "default");
  EXPECT_EQ(PreTokenizer::FindName("no such name"), nullptr);
  EXPECT_THAT(PreTokenizer::Names(), AllOf(Contains("llama3"), Contains("qwen2"), Not(Contains("falcon_e"))));
  EXPECT_THROW(PreTokenizer("llama3"), std::runtime_error);  // not canonical
  for (const auto dialect : {TokenizerDialect::kLlamaCpp, TokenizerDialect::kBitnetCpp}) {
    for (const std::string& name : PreTokenizer::Names(dialect)) {
      EXPECT_NO_THROW(PreTokenizer(PreTokenizer::FindName(name, dialect)->canonical)) << name;
    }
  }
}

TEST(PreTokenizerTest, BitnetCppReadsFalconItsOwnWay) {
  EXPECT_EQ(PreTokenizer::FindName("falcon_e"), nullptr);
  const auto& names = PreTokenizer::Names(TokenizerDialect::kBitnetCpp);
  EXPECT_THAT(names, AllOf(Contains("llama3"), Contains("falcon_e")));
  for (const char* name : {"falcon3", "falcon_e"}) {
    const PreTokenizerName* row = PreTokenizer::FindName(name, TokenizerDialect::kBitnetCpp);
    ASSERT_NE(row, nullptr);
    EXPECT_FALSE(row->ignore_merges);
    EXPECT_FALSE(row->add_bos);
    EXPECT_THAT(Split(row->canonical, "in 123,"), ElementsAre("in", " ", "1", "2", "3", ","));
  }
  EXPECT_EQ(PreTokenizer::FindName("llama3", TokenizerDialect::kBitnetCpp)->canonical, "llama-bpe");
}

TEST(PreTokenizerTest, DigitsInGroups) {
  EXPECT_THAT(Split("superbpe", "ab1234567"), ElementsAre("ab", "1", "234", "567"));
  EXPECT_THAT(Split("superbpe", "123 45"), ElementsAre("123", " ", "45"));
  EXPECT_THAT(Split("tiny_aya", "1234567"), ElementsAre("1", "234", "567"));
  // As in the reference: the first group takes the text before it along, which the next expression splits.
  EXPECT_THAT(Split("tiny_aya", "a 12345, 6"), ElementsAre("a", " ", "12", "345", ",", " ", "6"));
}

TEST(PreTokenizerTest, SetsOfCharacters) {
  EXPECT_THAT(Split("deepseek-v3", "漢字abcカナ"), ElementsAre("漢字", "abc", "カナ"));
  EXPECT_THAT(Split("kimi-k2", "漢字abc'S漢"), ElementsAre("漢字", "abc'S", "漢"));
  EXPECT_THAT(Split("bloom", " ab…c"), ElementsAre(" ab", "…", "c"));
  EXPECT_THAT(Split("deepseek-llm", "ab  \nЖ  "), ElementsAre("ab", "  ", "\n", "Ж", "  "));
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
  for (const std::string& name : PreTokenizer::Names()) {
    std::string joined;
    for (const std::string& word : Split(PreTokenizer::FindName(name)->canonical, text)) {
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
  std::set<std::string_view> canonical;  // names that split alike have one
  for (const std::string& name : PreTokenizer::Names()) canonical.insert(PreTokenizer::FindName(name)->canonical);
  for (const std::string_view name : canonical) {
    const PreTokenizer pre(name);
    for (const char* part : {" ", "a", "!", "\n", "7", "é", "a ", "\t\n", "ñ b", "日", "\u0301"}) {
      std::string run;
      for (int i = 0; i < 100'000; ++i) run += part;
      EXPECT_GT(pre.Split(run).size(), 0u) << name << " " << part;
    }
  }
}

}  // namespace
}  // namespace bitnet
