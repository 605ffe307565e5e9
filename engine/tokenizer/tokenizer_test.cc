#include "engine/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "engine/tokenizer/test_vocabulary.h"

namespace bitnet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Property;
using ::testing::Throws;

Token Control(std::string text) { return {.text = std::move(text), .type = TokenType::kControl}; }
Token UserDefined(std::string text) { return {.text = std::move(text), .type = TokenType::kUserDefined}; }

Tokenizer Make(const std::vector<Token>& special) {
  Vocabulary vocabulary = TestVocabulary("gpt-2", {{"h", "i"}}, special);
  AssignRolesByText(&vocabulary);
  return Tokenizer::FromVocabulary(std::move(vocabulary));
}

constexpr int32_t kHi = 256, kFirstSpecial = 257;
constexpr EncodeOptions kText = {.add_special = false, .parse_special = false};
constexpr EncodeOptions kParse = {.add_special = false, .parse_special = true};

template <typename Function>
void ExpectError(Function function, std::initializer_list<std::string> parts) {
  for (const std::string& part : parts) {
    EXPECT_THAT(function, Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr(part))));
  }
}

TEST(TokenizerTest, SpecialTokensAreParsedOnRequest) {
  const Tokenizer tokenizer = Make({Control("<x>")});
  EXPECT_THAT(tokenizer.Encode("hi<x>hi", kParse), ElementsAre(kHi, kFirstSpecial, kHi));
  EXPECT_THAT(tokenizer.Encode("hi<x>hi", kText), ElementsAre(kHi, '<', 'x', '>', kHi));
  EXPECT_THAT(tokenizer.Encode("<x><x>", kParse), ElementsAre(kFirstSpecial, kFirstSpecial));
  EXPECT_THAT(tokenizer.Encode("<x", kParse), ElementsAre('<', 'x'));
  EXPECT_THAT(tokenizer.Encode("", kParse), IsEmpty());
}

TEST(TokenizerTest, UserDefinedTokensAreAlwaysParsed) {
  const Tokenizer tokenizer = Make({UserDefined("  "), Control("<x>")});
  EXPECT_THAT(tokenizer.Encode("hi  hi<x>", kText), ElementsAre(kHi, kFirstSpecial, kHi, '<', 'x', '>'));
}

TEST(TokenizerTest, LongerSpecialTokensGoFirstThenTheLeftmost) {
  const Tokenizer tokenizer = Make({UserDefined("ab"), UserDefined("abc"), UserDefined("bcd")});
  EXPECT_THAT(tokenizer.Encode("abc", kText), ElementsAre(kFirstSpecial + 1));
  EXPECT_THAT(tokenizer.Encode("ababab", kText), ElementsAre(kFirstSpecial, kFirstSpecial, kFirstSpecial));
  // "bcd" is longer than "ab", so it is taken though "ab" starts earlier.
  EXPECT_THAT(tokenizer.Encode("xbcd", kText), ElementsAre('x', kFirstSpecial + 2));
  const Tokenizer shorter = Make({UserDefined("ab"), UserDefined("bcd")});
  EXPECT_THAT(shorter.Encode("abcd", kText), ElementsAre('a', kFirstSpecial + 1));
}

TEST(TokenizerTest, StrippingTakesWhiteSpaceAway) {
  Token left = Control("<l>"), right = Control("<r>");
  left.strip_left = true;
  right.strip_right = true;
  const Tokenizer tokenizer = Make({left, right});
  EXPECT_THAT(tokenizer.Encode("hi \n\t<l> hi", kParse), ElementsAre(kHi, kFirstSpecial, ' ', kHi));
  EXPECT_THAT(tokenizer.Encode("hi <r> \v\fhi", kParse), ElementsAre(kHi, ' ', kFirstSpecial + 1, kHi));
  EXPECT_THAT(tokenizer.Encode("  <l>", kParse), ElementsAre(kFirstSpecial));
  EXPECT_THAT(tokenizer.Encode("<r>  ", kParse), ElementsAre(kFirstSpecial + 1));
}

TEST(TokenizerTest, AddsBosAndEosWhereTheVocabularySaysSo) {
  Vocabulary vocabulary = TestVocabulary("gpt-2", {}, {Control("<s>"), Control("</s>")});
  vocabulary.bos = 256;
  vocabulary.eos = 257;
  EXPECT_THAT(Tokenizer::FromVocabulary(vocabulary).Encode("a", {.add_special = true}), ElementsAre('a'));
  vocabulary.add_bos = true;
  EXPECT_THAT(Tokenizer::FromVocabulary(vocabulary).Encode("a", {.add_special = true}), ElementsAre(256, 'a'));
  vocabulary.add_eos = true;
  const Tokenizer both = Tokenizer::FromVocabulary(vocabulary);
  EXPECT_THAT(both.Encode("a", {.add_special = true}), ElementsAre(256, 'a', 257));
  EXPECT_THAT(both.Encode("", {.add_special = true}), ElementsAre(256, 257));
  EXPECT_THAT(both.Encode("a", {.add_special = false}), ElementsAre('a'));
  EXPECT_THAT(both.Encode("<s>a", {.add_special = true}), ElementsAre(256, 256, 'a', 257));
}

TEST(TokenizerTest, ABosThatIsNotKnownIsAnError) {
  Vocabulary vocabulary = TestVocabulary("gpt-2", {});
  vocabulary.add_bos = true;
  const Tokenizer tokenizer = Tokenizer::FromVocabulary(vocabulary);
  ExpectError([&] { tokenizer.Encode("a", {.add_special = true}); }, {"test vocabulary", "bos_token_id"});
  EXPECT_THAT(tokenizer.Encode("a", {.add_special = false}), ElementsAre('a'));
}

TEST(TokenizerTest, TheByteLevelAlphabet) {
  // From GPT-2's published vocabulary.
  EXPECT_EQ(ByteLevel("aZ~!"), "aZ~!");
  EXPECT_EQ(ByteLevel(" \n\t\x7F"), "ĠĊĉġ");
  EXPECT_EQ(ByteLevel("\xC3\xA9\xA0\xA1\xAD"), "Ã©ł¡Ń");
  EXPECT_EQ(BytesOf("ĠĊŃ"), " \n\xAD");
  for (const char* text : {"a b", "日", "\xC4", "\xFF", "\u0144", "\u00AD", "\u2001"})
    EXPECT_EQ(BytesOf(text), std::nullopt);
}

TEST(TokenizerTest, DecodesToTheSameBytes) {
  const Tokenizer tokenizer = Make({Control("<x>"), UserDefined("é")});
  std::string text;
  for (int byte = 1; byte < 0x80; ++byte) text += static_cast<char>(byte);
  text += " naïve é 日本 👨‍👩‍👧 \xED\xA0\x80";
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, kText), {}), text);
  std::vector<int32_t> bytes(256);
  std::string expected;
  for (int byte = 0; byte < 256; ++byte) {
    bytes[static_cast<size_t>(byte)] = byte;
    expected += static_cast<char>(byte);
  }
  EXPECT_EQ(tokenizer.Decode(bytes, {}), expected);
}

TEST(TokenizerTest, DecodeRendersSpecialTokensOnRequest) {
  const Tokenizer tokenizer = Make({Control("<x>"), UserDefined("<y>"), {.text = "<u>", .type = TokenType::kUnknown}});
  const std::vector<int32_t> ids = {'a', kFirstSpecial, kFirstSpecial + 1, kFirstSpecial + 2, 'b'};
  EXPECT_EQ(tokenizer.Decode(ids, {}), "a<y>b");
  EXPECT_EQ(tokenizer.Decode(ids, {.render_special = true}), "a<x><y><u>b");
}

TEST(TokenizerTest, PiecesOfEveryType) {
  const Tokenizer tokenizer = Make({Control("Ġx"),
                                    {.text = "<0x41>", .type = TokenType::kByte},
                                    {.text = "<0xZZ>", .type = TokenType::kByte},
                                    {.text = "gone", .type = TokenType::kUnused},
                                    {.text = "日", .type = TokenType::kNormal}});
  EXPECT_EQ(tokenizer.Piece(' '), " ");
  EXPECT_EQ(tokenizer.Piece(0xFF), "\xFF");
  EXPECT_EQ(tokenizer.Piece(kHi), "hi");
  EXPECT_EQ(tokenizer.Piece(kFirstSpecial), "Ġx");
  EXPECT_EQ(tokenizer.Piece(kFirstSpecial + 1), "A");
  EXPECT_EQ(tokenizer.Piece(kFirstSpecial + 2), "<0xZZ>");
  EXPECT_EQ(tokenizer.Piece(kFirstSpecial + 3), "");
  EXPECT_EQ(tokenizer.Piece(kFirstSpecial + 4),
            "[UNK_BYTE_0xe697a5日]");  // outside the alphabet; so llama.cpp writes it
}

TEST(TokenizerTest, FindIsTheInverseOfPiece) {
  const Tokenizer tokenizer = Make({Control("<x>"), UserDefined("é")});
  EXPECT_EQ(tokenizer.Find("hi"), kHi);
  EXPECT_EQ(tokenizer.Find(" "), ' ');
  EXPECT_EQ(tokenizer.Find("<x>"), kFirstSpecial);
  EXPECT_EQ(tokenizer.Find("é"), kFirstSpecial + 1);
  EXPECT_EQ(tokenizer.Find("ho"), std::nullopt);
}

TEST(TokenizerTest, IdsOutsideTheVocabularyAreErrors) {
  const Tokenizer tokenizer = Make({});
  EXPECT_EQ(tokenizer.n_vocab(), 257);
  ExpectError(
      [&] {
        tokenizer.Decode(std::vector<int32_t>{0, 257}, {});
      },
      {"test vocabulary", "ids[1]", "257", "0..256"});
  ExpectError([&] { tokenizer.Decode(std::vector<int32_t>{-1}, {}); }, {"ids[0]", "-1"});
  ExpectError([&] { tokenizer.Piece(1 << 30); }, {"piece"});
  EXPECT_FALSE(tokenizer.IsEndOfGeneration(-1));
  EXPECT_FALSE(tokenizer.IsEndOfGeneration(257));
}

TEST(TokenizerTest, ErrorsCountBytesFromTheStartOfTheText) {
  const Tokenizer tokenizer = Make({Control("<x>")});
  ExpectError([&] { tokenizer.Encode("ab<x>c\xF7\xBF\xBF\xBF", kParse); }, {"byte 6", "U+1FFFFF"});
}

TEST(TokenizerTest, RolesAreFoundByText) {
  Vocabulary vocabulary = TestVocabulary("gpt-2", {},
                                         {{.text = "<|eot_id|>"},
                                          {.text = "<|end_of_text|>"},
                                          {.text = "<fim_prefix>"},
                                          UserDefined("<|file_sep|>"),
                                          Control("<|message|>"),
                                          {.text = "<PAD>"}});
  vocabulary.eos = 'e';
  vocabulary.fim_pad = 'p';  // named by the file, so <PAD> stays what it is
  AssignRolesByText(&vocabulary);
  EXPECT_EQ(vocabulary.eot, 256);
  EXPECT_EQ(vocabulary.fim_prefix, 258);
  EXPECT_THAT(vocabulary.end_of_generation, ElementsAre('e', 'p', 256, 257, 259));
  for (const size_t id : {256, 257, 258, 259}) EXPECT_EQ(vocabulary.tokens[id].type, TokenType::kControl) << id;
  EXPECT_EQ(vocabulary.tokens[260].type, TokenType::kUserDefined);
  EXPECT_EQ(vocabulary.tokens[261].type, TokenType::kNormal);
  const Tokenizer tokenizer = Tokenizer::FromVocabulary(vocabulary);
  EXPECT_TRUE(tokenizer.IsEndOfGeneration(257));
  EXPECT_FALSE(tokenizer.IsEndOfGeneration(258));
}

TEST(TokenizerTest, TwoFamiliesWriteEndTokensInsideAnAnswer) {
  Vocabulary calls = TestVocabulary("gpt-2", {}, {Control("<|end|>"), Control("<|call|>"), Control("<|return|>")});
  AssignRolesByText(&calls);
  EXPECT_THAT(calls.end_of_generation, ElementsAre(257, 258));
  EXPECT_EQ(calls.tokens[256].type, TokenType::kUserDefined);
  Vocabulary tools = TestVocabulary("gpt-2", {}, {Control("</s>"), Control("<|tool_response>")});
  AssignRolesByText(&tools);
  EXPECT_THAT(tools.end_of_generation, ElementsAre(257));
  EXPECT_EQ(tools.tokens[256].type, TokenType::kNormal);
}

TEST(TokenizerTest, ManyThreadsGetTheSameIds) {
  const Tokenizer tokenizer = Make({Control("<x>")});
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "hi there, 123 日本<x>\n";
  const std::vector<int32_t> expected = tokenizer.Encode(text, kParse);
  std::vector<std::vector<int32_t>> results(8);
  {
    std::vector<std::jthread> threads;
    threads.reserve(results.size());
    for (auto& result : results) threads.emplace_back([&] { result = tokenizer.Encode(text, kParse); });
  }
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace bitnet
