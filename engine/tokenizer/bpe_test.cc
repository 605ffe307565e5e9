#include "engine/tokenizer/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/tokenizer/test_vocabulary.h"

namespace bitnet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Words OneWord(std::string text) {
  Words words;
  words.ends.push_back(text.size());
  words.utf8 = std::move(text);
  return words;
}

std::vector<int32_t> Encode(const BytePairEncoder& encoder, std::string word) {
  std::vector<int32_t> ids;
  encoder.Encode(OneWord(std::move(word)), &ids);
  return ids;
}

TEST(BytePairEncoderTest, EarlierMergesGoFirst) {
  // "bc" stands before "ab", so "abc" is a + bc.
  const BytePairEncoder encoder(TestVocabulary("gpt-2", {{"b", "c"}, {"a", "b"}}));
  EXPECT_THAT(Encode(encoder, "abc"), ElementsAre('a', 256));
  EXPECT_THAT(Encode(encoder, "abd"), ElementsAre(257, 'd'));
}

TEST(BytePairEncoderTest, OfEqualsTheLeftmost) {
  const BytePairEncoder encoder(TestVocabulary("gpt-2", {{"a", "a"}, {"aa", "a"}}));
  EXPECT_THAT(Encode(encoder, "aaaa"), ElementsAre(256, 256));
  EXPECT_THAT(Encode(encoder, "aaa"), ElementsAre(257));
  EXPECT_THAT(Encode(encoder, "aaaaa"), ElementsAre(256, 257));
}

TEST(BytePairEncoderTest, IgnoreMergesTakesAWordThatIsAToken) {
  Vocabulary vocabulary = TestVocabulary("llama-bpe", {{"a", "b"}});
  vocabulary.tokens.push_back({.text = ByteLevel(" abc")});  // 257; no merge makes it
  EXPECT_THAT(Encode(BytePairEncoder(vocabulary), " abc"), ElementsAre(' ', 256, 'c'));
  vocabulary.ignore_merges = true;
  EXPECT_THAT(Encode(BytePairEncoder(vocabulary), " abc"), ElementsAre(257));
  EXPECT_THAT(Encode(BytePairEncoder(vocabulary), " abcd"), ElementsAre(' ', 256, 'c', 'd'));
}

TEST(BytePairEncoderTest, WhatIsNoTokenFallsBackToItsBytesOrVanishes) {
  Vocabulary vocabulary;
  vocabulary.pre = "gpt-2";
  for (const char* text : {"a", "b"}) vocabulary.tokens.push_back({.text = text});
  vocabulary.merges = {{"a", "b"}, {"ab", ByteLevel(" ")}};  // neither result is a token, and the space is none
  const BytePairEncoder encoder(vocabulary);
  EXPECT_THAT(Encode(encoder, "ab"), ElementsAre(0, 1));
  EXPECT_THAT(Encode(encoder, "ab "), ElementsAre(0, 1));
  EXPECT_THAT(Encode(encoder, "a\n"), ElementsAre(0));
  EXPECT_THAT(Encode(encoder, "xyz"), IsEmpty());
}

TEST(BytePairEncoderTest, TheFirstOfTwoEqualMergesCounts) {
  Vocabulary vocabulary = TestVocabulary("gpt-2", {{"b", "c"}, {"a", "b"}});
  vocabulary.merges.push_back(vocabulary.merges[0]);
  EXPECT_THAT(Encode(BytePairEncoder(vocabulary), "abc"), ElementsAre('a', 256));
}

TEST(BytePairEncoderTest, FindsTokensByTheirBytes) {
  const BytePairEncoder encoder(TestVocabulary("gpt-2", {{" ", "a"}}));
  EXPECT_EQ(encoder.Find(" a"), 256);
  EXPECT_EQ(encoder.Find("\n"), '\n');
  EXPECT_EQ(encoder.Find("aa"), std::nullopt);
}

// The definition: merge the leftmost pair of the lowest rank, one at a time.
std::vector<int32_t> NaiveEncode(const Vocabulary& vocabulary, const std::string& word) {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  std::map<std::string, int32_t> ids;
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) ranks.emplace(vocabulary.merges[i], i);
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) ids.emplace(vocabulary.tokens[i].text, static_cast<int32_t>(i));
  std::vector<std::string> parts;
  parts.reserve(word.size());
  for (const char c : word) parts.push_back(ByteLevel(std::string(1, c)));
  while (true) {
    size_t best = vocabulary.merges.size(), at = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found != ranks.end() && found->second < best) {
        best = found->second;
        at = i;
      }
    }
    if (best == vocabulary.merges.size()) break;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
  std::vector<int32_t> result;
  result.reserve(parts.size());
  for (const std::string& part : parts) result.push_back(ids.at(part));
  return result;
}

TEST(BytePairEncoderTest, AgreesWithTheDefinitionOnRandomVocabularies) {
  std::mt19937 random(1);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  int merged = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> pool = {"a", "b", "c", "d", " "};
    std::vector<std::pair<std::string, std::string>> merges;
    std::map<std::string, bool> seen;
    for (int i = 0; i < 60; ++i) {
      const std::string left = pool[below(pool.size())], right = pool[below(pool.size())];
      if (left.size() + right.size() > 8 || !seen.emplace(left + right, true).second) continue;
      merges.emplace_back(left, right);
      pool.push_back(left + right);
    }
    const Vocabulary vocabulary = TestVocabulary("gpt-2", merges);
    const BytePairEncoder encoder(vocabulary);
    for (int i = 0; i < 40; ++i) {
      std::string word;
      for (size_t n = below(40); n > 0; --n) word += "abcd "[below(5)];
      const std::vector<int32_t> ids = Encode(encoder, word);
      ASSERT_EQ(ids, NaiveEncode(vocabulary, word)) << word;
      merged += static_cast<int>(word.size() - ids.size());
    }
  }
  EXPECT_GT(merged, 5'000);  // the comparison was about something
}

TEST(BytePairEncoderTest, OneWordOfAMegabyte) {
  const BytePairEncoder encoder(TestVocabulary("gpt-2", {{"a", "a"}, {"aa", "aa"}}));
  EXPECT_EQ(Encode(encoder, std::string(1 << 20, 'a')), std::vector<int32_t>(1 << 18, 257));
}

}  // namespace
}  // namespace bitnet
