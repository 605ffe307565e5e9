#include "engine/tokenizer/unigram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

#include "engine/tokenizer/tokenizer.h"

namespace bitnet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Property;
using ::testing::Throws;

void PutUint32(uint32_t value, std::string* out) {
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<char>(value >> shift & 0xFF));
}

// A character map with two entries: "A" is written "a" and "AB" is written "xy".
std::string SmallCharsmap() {
  std::vector<uint32_t> units(512);
  const auto offset = [](uint32_t value) { return value << 10; };
  const uint32_t kHasValue = 1u << 8, kValue = 1u << 31;
  units[0] = offset(1);
  units[1 ^ 'A'] = offset((1 ^ 'A') ^ 0x100) | kHasValue | 'A';
  units[0x100] = kValue | 0;
  units[0x100 ^ 'B'] = offset((0x100 ^ 'B') ^ 0x200 ^ 0x20) | kHasValue | 'B';
  units.resize(0x400);
  units[0x220] = kValue | 2;
  std::string bytes;
  PutUint32(static_cast<uint32_t>(units.size() * 4), &bytes);
  for (const uint32_t unit : units) PutUint32(unit, &bytes);
  bytes.append("a\0xy\0", 5);
  return bytes;
}

Vocabulary SmallVocabulary() {
  Vocabulary vocabulary;
  vocabulary.source = "test vocabulary";
  vocabulary.model = VocabularyModel::kUnigram;
  vocabulary.tokens = {{.text = "<unk>", .type = TokenType::kUnknown},
                       {.text = "▁", .score = -2},
                       {.text = "a", .score = -3},
                       {.text = "b", .score = -3},
                       {.text = "ab", .score = -4},
                       {.text = "▁ab", .score = -7},
                       {.text = "xy", .score = -1},
                       {.text = "<user>", .type = TokenType::kUserDefined}};
  vocabulary.unknown = 0;
  return vocabulary;
}

std::vector<int32_t> Encode(const Vocabulary& vocabulary, std::string_view text) {
  std::vector<int32_t> ids;
  if (!text.empty()) UnigramModel(vocabulary).Encode({text, 0, true}, &ids);
  return ids;
}

TEST(UnigramTest, TheHighestSumWins) {
  Vocabulary vocabulary = SmallVocabulary();
  EXPECT_THAT(Encode(vocabulary, "ab"), ElementsAre(4));      // -4 over -6
  EXPECT_THAT(Encode(vocabulary, " ab"), ElementsAre(1, 4));  // -6 over -7
  vocabulary.tokens[5].score = -5;
  EXPECT_THAT(Encode(vocabulary, " ab"), ElementsAre(5));
  EXPECT_THAT(Encode(vocabulary, ""), IsEmpty());
}

TEST(UnigramTest, UnknownCharactersAreOneToken) {
  const Vocabulary vocabulary = SmallVocabulary();
  EXPECT_THAT(Encode(vocabulary, "aééb\xFF"), ElementsAre(2, 0, 3, 0));
  Vocabulary without = vocabulary;
  without.unknown.reset();
  EXPECT_THAT([&] { Encode(without, "é"); },
              Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr("unknown_token_id"))));
}

TEST(UnigramTest, Spaces) {
  Vocabulary vocabulary = SmallVocabulary();
  vocabulary.add_space_prefix = true;
  EXPECT_THAT(Encode(vocabulary, "ab  b "), ElementsAre(1, 4, 1, 1, 3, 1));
  vocabulary.merge_spaces = true;
  EXPECT_THAT(Encode(vocabulary, "ab  b "), ElementsAre(1, 4, 1, 3));
  EXPECT_THAT(Encode(vocabulary, "   "), IsEmpty());
}

TEST(UnigramTest, TheCharacterMapTakesTheLongest) {
  Vocabulary vocabulary = SmallVocabulary();
  vocabulary.charsmap = SmallCharsmap();
  EXPECT_THAT(Encode(vocabulary, "AbAB"), ElementsAre(4, 6));
  const Charsmap map(vocabulary.charsmap, "file");
  EXPECT_EQ(map.Longest("ABC")->replacement, "xy");
  EXPECT_EQ(map.Shortest("ABC")->replacement, "a");
  EXPECT_FALSE(map.Longest("B").has_value());
  EXPECT_FALSE(map.Longest(std::string_view("\0A", 2)).has_value());
}

// What begins like a user-defined token is not mapped, up to where it goes on otherwise.
TEST(UnigramTest, BeginningsOfUserDefinedTokensStay) {
  Vocabulary vocabulary = SmallVocabulary();
  vocabulary.charsmap = SmallCharsmap();
  vocabulary.tokens[7].text = "AAA";
  EXPECT_THAT(Encode(vocabulary, "AAb"), ElementsAre(0, 3));
  EXPECT_THAT(Encode(vocabulary, "bA"), ElementsAre(3, 0));
}

TEST(CharsmapTest, BrokenMapsAreNamed) {
  const auto error_of = [](std::string_view bytes, std::string_view text) -> std::string {
    try {
      Charsmap(bytes, "x.gguf: charsmap").Longest(text);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  };
  const std::string good = SmallCharsmap();
  EXPECT_EQ(error_of(good, "AB"), "");
  EXPECT_THAT(error_of("", "AB"), HasSubstr("x.gguf: charsmap: found 0 bytes"));
  EXPECT_THAT(error_of(good.substr(0, 3), "AB"), HasSubstr("found 3 bytes"));
  EXPECT_THAT(error_of(good.substr(0, good.size() - 5), "AB"), HasSubstr("with a trie of 4096"));
  EXPECT_THAT(error_of(good.substr(0, good.size() - 1), "AB"), HasSubstr("expected one that ends before them"));
  std::string far = good;
  far[4] = far[5] = far[6] = '\x7F';
  EXPECT_THAT(error_of(far, "AB"), HasSubstr("a trie of 1024 units that leads to unit"));
}

TEST(CharsmapTest, FuzzedMapsNeverCrash) {
  std::mt19937 random(1);
  const std::string good = SmallCharsmap();
  size_t errors = 0, matches = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = good;
    for (int n = 0; n < 4; ++n) {
      const size_t at = random() % 3 == 0 ? random() % 8 : random() % bytes.size();
      bytes[at] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    try {
      const Charsmap map(bytes, "fuzz");
      for (const char* text : {"A", "AB", "ABBA", "\xFF\xFE", "B"}) matches += map.Longest(text).has_value() ? 1 : 0;
    } catch (const std::runtime_error&) {
      ++errors;
    }
  }
  EXPECT_GT(errors, 100u);
  EXPECT_GT(matches, 100u);
}

}  // namespace
}  // namespace bitnet
