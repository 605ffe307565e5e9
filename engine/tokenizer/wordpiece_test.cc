#include "engine/tokenizer/wordpiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "engine/tokenizer/tokenizer.h"

namespace bitnet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Property;
using ::testing::Throws;

constexpr int32_t kUnknown = 0, kCls = 1, kSep = 2, kUn = 3, kAff = 4, kAble = 5, kUnaff = 6, kComma = 7, kHan = 8;

Vocabulary SmallVocabulary() {
  Vocabulary vocabulary;
  vocabulary.source = "test vocabulary";
  vocabulary.model = VocabularyModel::kWordPiece;
  vocabulary.tokens = {{.text = "[UNK]", .type = TokenType::kUnknown},
                       {.text = "[CLS]", .type = TokenType::kControl},
                       {.text = "[SEP]", .type = TokenType::kControl},
                       {.text = "▁un"},
                       {.text = "aff"},
                       {.text = "able"},
                       {.text = "▁unaff"},
                       {.text = "▁,"},
                       {.text = "▁你"}};
  vocabulary.unknown = kUnknown;
  vocabulary.bos = kCls;
  vocabulary.separator = kSep;
  vocabulary.add_bos = vocabulary.add_separator = true;
  vocabulary.lower_case = vocabulary.strip_accents = true;
  return vocabulary;
}

std::vector<int32_t> Encode(const Vocabulary& vocabulary, std::string_view text) {
  return Tokenizer::FromVocabulary(vocabulary).Encode(text, {.add_special = false});
}

TEST(WordPieceTest, TheLongestPieceFirst) {
  const Vocabulary vocabulary = SmallVocabulary();
  EXPECT_THAT(Encode(vocabulary, "unaffable"), ElementsAre(kUnaff, kAble));
  EXPECT_THAT(Encode(vocabulary, "unable un"), ElementsAre(kUn, kAble, kUn));
  EXPECT_THAT(Encode(vocabulary, "unx able"), ElementsAre(kUnknown, kUnknown));  // all of a word or nothing
  EXPECT_THAT(Encode(vocabulary, " \t\n"), IsEmpty());
}

TEST(WordPieceTest, WordsEndAtPunctuationAndAroundChineseCharacters) {
  const Vocabulary vocabulary = SmallVocabulary();
  EXPECT_THAT(Encode(vocabulary, "un,un你un"), ElementsAre(kUn, kComma, kUn, kHan, kUn));
  EXPECT_THAT(Encode(vocabulary, "u\u200Bn\0"), ElementsAre(kUn));  // control characters vanish
}

TEST(WordPieceTest, CaseAndAccents) {
  Vocabulary vocabulary = SmallVocabulary();
  EXPECT_THAT(Encode(vocabulary, "ÛNÁBLE"), ElementsAre(kUn, kAble));
  vocabulary.strip_accents = false;
  EXPECT_THAT(Encode(vocabulary, "ÛN UN"), ElementsAre(kUnknown, kUn));
  vocabulary.lower_case = false;
  EXPECT_THAT(Encode(vocabulary, "UN un"), ElementsAre(kUnknown, kUn));
}

TEST(WordPieceTest, BeginsWithClsAndEndsWithSep) {
  Vocabulary vocabulary = SmallVocabulary();
  EXPECT_THAT(Tokenizer::FromVocabulary(vocabulary).Encode("un[SEP]un", {}), ElementsAre(kCls, kUn, kSep, kUn, kSep));
  EXPECT_EQ(Tokenizer::FromVocabulary(vocabulary).Decode(std::vector<int32_t>{kUn, kAble, kUn}, {}), " unable un");
  vocabulary.separator.reset();
  const Tokenizer tokenizer = Tokenizer::FromVocabulary(vocabulary);
  EXPECT_THAT([&] { tokenizer.Encode("un", {}); },
              Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr("seperator_token_id"))));
  vocabulary.unknown.reset();
  EXPECT_THAT([&] { Encode(vocabulary, "x"); },
              Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr("unknown_token_id"))));
  EXPECT_THAT([&] { Encode(vocabulary, "un \xF4\x90\x80\x80"); },
              Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr("byte 3"))));
}

}  // namespace
}  // namespace bitnet
