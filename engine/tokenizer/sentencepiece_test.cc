#include "engine/tokenizer/sentencepiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "engine/tokenizer/tokenizer.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

constexpr int32_t kFirstPiece = 259;

// <unk>, <s>, </s>, the 256 bytes from id 3 on, then `pieces`.
Vocabulary Pieces(const std::vector<Token>& pieces) {
  Vocabulary vocabulary;
  vocabulary.source = "test vocabulary";
  vocabulary.model = VocabularyModel::kSentencePiece;
  vocabulary.add_space_prefix = true;
  vocabulary.tokens = {{.text = "<unk>", .type = TokenType::kUnknown},
                       {.text = "<s>", .type = TokenType::kControl},
                       {.text = "</s>", .type = TokenType::kControl}};
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.push_back({.text = HexTextOfByte(static_cast<uint8_t>(byte)), .type = TokenType::kByte});
  }
  vocabulary.tokens.insert(vocabulary.tokens.end(), pieces.begin(), pieces.end());
  return vocabulary;
}

Token Piece(const std::string& text, float score) { return {.text = text, .score = score}; }

int32_t Byte(char c) { return 3 + static_cast<unsigned char>(c); }

std::vector<int32_t> Encode(const Vocabulary& vocabulary, std::string_view text, bool first_text = false) {
  std::vector<int32_t> ids;
  SentencePieceModel(vocabulary).Encode({.text = text, .first_text = first_text}, &ids);
  return ids;
}

TEST(SentencePieceTest, TheHighestScoreGoesFirst) {
  EXPECT_THAT(Encode(Pieces({Piece("ab", -2), Piece("bc", -1)}), "abc"), ElementsAre(Byte('a'), kFirstPiece + 1));
  EXPECT_THAT(Encode(Pieces({Piece("ab", -1), Piece("bc", -2)}), "abc"), ElementsAre(kFirstPiece, Byte('c')));
}

TEST(SentencePieceTest, OfEqualsTheLeftmost) {
  EXPECT_THAT(Encode(Pieces({Piece("aa", 0)}), "aaaaa"), ElementsAre(kFirstPiece, kFirstPiece, Byte('a')));
}

TEST(SentencePieceTest, SpacesAreEscapedAndTheFirstTextGetsOne) {
  const Vocabulary vocabulary = Pieces({Piece("\u2581", -9), Piece("\u2581a", 0)});
  EXPECT_THAT(Encode(vocabulary, "a a"), ElementsAre(Byte('a'), kFirstPiece + 1));
  EXPECT_THAT(Encode(vocabulary, "a a", true), ElementsAre(kFirstPiece + 1, kFirstPiece + 1));
  Vocabulary without = vocabulary;
  without.add_space_prefix = false;
  EXPECT_THAT(Encode(without, "a", true), ElementsAre(Byte('a')));
}

TEST(SentencePieceTest, TheSpaceComesAgainAfterASpecialToken) {
  Vocabulary vocabulary = Pieces({Piece("\u2581a", 0)});
  const Tokenizer tokenizer = Tokenizer::FromVocabulary(vocabulary);
  EXPECT_THAT(tokenizer.Encode("a<s>a", {}), ElementsAre(kFirstPiece, 1, kFirstPiece));
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{kFirstPiece, 1, kFirstPiece}, {}), " a a");
  EXPECT_EQ(tokenizer.Piece(Byte('\n')), "\n");
  EXPECT_EQ(tokenizer.Find(" a"), kFirstPiece);
  EXPECT_EQ(tokenizer.Find("\n"), Byte('\n'));
  EXPECT_EQ(tokenizer.Find("ab"), std::nullopt);
}

TEST(SentencePieceTest, WhatIsNoTokenIsWrittenAsBytes) {
  EXPECT_THAT(Encode(Pieces({}), "\u00E9\xFF"), ElementsAre(Byte('\xC3'), Byte('\xA9'), Byte('\xFF')));
  EXPECT_THAT(Encode(Pieces({Piece("\u00E9", 0)}), "\u00E9"), ElementsAre(kFirstPiece));
  Vocabulary few = Pieces({});
  few.tokens.resize(4);  // the byte 0 alone
  few.tokens.push_back({.text = "z"});
  EXPECT_THAT(Encode(few, "z"), ElementsAre(4));
  EXPECT_THAT([&] { Encode(few, "y"); },
              Throws<std::runtime_error>(
                  Property(&std::runtime_error::what, AllOf(HasSubstr("test vocabulary"), HasSubstr("<0x79>")))));
}

TEST(SentencePieceTest, LongTextsAreNoTrouble) {
  std::string text(1'000'000, 'a');
  EXPECT_EQ(Encode(Pieces({Piece("aa", 0), Piece("aaaa", -1)}), text).size(), text.size() / 4);
}

}  // namespace
}  // namespace bitnet
