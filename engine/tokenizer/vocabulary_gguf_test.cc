#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>

#include "engine/gguf/gguf.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::Property;
using ::testing::SizeIs;
using ::testing::Throws;

using Strings = std::vector<std::string>;
using Ints = std::vector<int32_t>;

template <typename T>
MetadataValue Array(std::vector<T> values) {
  return std::make_shared<MetadataArray>(MetadataArray{std::move(values)});
}

class GgufVocabularyTest : public ::testing::Test {
 protected:
  GgufVocabularyTest() {
    entries_["tokenizer.ggml.model"] = std::string("gpt2");
    entries_["tokenizer.ggml.tokens"] = Array(Strings{"a", "b", "ab", "Ġ", "<s>"});
    entries_["tokenizer.ggml.merges"] = Array(Strings{"a b"});
    entries_["tokenizer.ggml.token_type"] = Array(Ints{1, 1, 1, 1, 3});
  }
  ~GgufVocabularyTest() override { std::filesystem::remove(path_); }

  GgufFile Write() {
    GgufWriter writer(path_);
    for (const auto& [key, value] : entries_) writer.Set(key, value);
    writer.WriteHeader();
    writer.Finish();
    return GgufFile::Open(path_);
  }
  Vocabulary Read() { return ReadGgufVocabulary(Write()); }
  void ExpectError(std::initializer_list<std::string> parts) {
    for (const std::string& part : parts) {
      EXPECT_THAT([&] { Read(); }, Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr(part))));
    }
    EXPECT_THAT([&] { Read(); }, Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr(path_))));
  }

  std::string path_ = ::testing::TempDir() + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".gguf";
  std::map<std::string, MetadataValue> entries_;
};

TEST_F(GgufVocabularyTest, ReadsTokensMergesAndTypes) {
  const Vocabulary vocabulary = Read();
  EXPECT_EQ(vocabulary.source, path_);
  ASSERT_EQ(vocabulary.tokens.size(), 5u);
  EXPECT_EQ(vocabulary.tokens[3].text, "Ġ");
  EXPECT_EQ(vocabulary.tokens[4].type, TokenType::kControl);
  EXPECT_THAT(vocabulary.merges, ElementsAre(Pair("a", "b")));
  EXPECT_THAT(Tokenizer::FromGguf(Write()).Encode("ab a<s>", {}), ElementsAre(2, 3, 0, 4));
}

TEST_F(GgufVocabularyTest, DefaultsAreTheReferences) {
  const Vocabulary unnamed = Read();
  EXPECT_EQ(unnamed.pre, "default");
  EXPECT_FALSE(unnamed.ignore_merges);
  EXPECT_FALSE(unnamed.add_bos);
  EXPECT_FALSE(unnamed.add_eos);
  EXPECT_EQ(unnamed.bos, std::nullopt);  // the reference's 11 is outside this vocabulary

  entries_["tokenizer.ggml.pre"] = std::string("llama-v3");
  Strings tokens;
  for (char c = 'a'; c <= 'z'; ++c) tokens.push_back(std::string(1, c));
  entries_["tokenizer.ggml.tokens"] = Array(tokens);
  entries_.erase("tokenizer.ggml.token_type");
  const Vocabulary llama3 = Read();
  EXPECT_EQ(llama3.pre, "llama-bpe");
  EXPECT_TRUE(llama3.ignore_merges);
  EXPECT_TRUE(llama3.add_bos);
  EXPECT_EQ(llama3.bos, 11);
  EXPECT_EQ(llama3.eos, 11);
  EXPECT_THAT(llama3.end_of_generation, ElementsAre(11));
}

TEST_F(GgufVocabularyTest, TheFileOverridesDefaults) {
  entries_["tokenizer.ggml.pre"] = std::string("llama-bpe");
  entries_["tokenizer.ggml.add_bos_token"] = false;
  entries_["tokenizer.ggml.add_eos_token"] = true;
  entries_["tokenizer.ggml.bos_token_id"] = uint32_t{4};
  entries_["tokenizer.ggml.eos_token_id"] = uint32_t{3};
  entries_["tokenizer.ggml.eot_token_id"] = uint32_t{2};
  entries_["tokenizer.ggml.prefix_token_id"] = uint32_t{1};
  entries_["tokenizer.chat_template"] = std::string("{{ messages }}");
  const Vocabulary vocabulary = Read();
  EXPECT_FALSE(vocabulary.add_bos);
  EXPECT_TRUE(vocabulary.add_eos);
  EXPECT_EQ(vocabulary.bos, 4);
  EXPECT_EQ(vocabulary.eos, 3);
  EXPECT_EQ(vocabulary.eot, 2);
  EXPECT_EQ(vocabulary.fim_prefix, 1);
  EXPECT_EQ(vocabulary.chat_template, "{{ messages }}");
  EXPECT_THAT(vocabulary.end_of_generation, ElementsAre(2, 3));
}

TEST_F(GgufVocabularyTest, TokensWithoutTextGetTheReferencesName) {
  entries_["tokenizer.ggml.tokens"] = Array(Strings{"a", "b", "ab", "", "<s>"});
  EXPECT_EQ(Read().tokens[3].text, "[EMPTY_3]");
}

TEST_F(GgufVocabularyTest, UnknownTypesAreUndefined) {
  entries_["tokenizer.ggml.token_type"] = Array(Ints{1, 1, 99, -1, 4});
  const Vocabulary vocabulary = Read();
  EXPECT_EQ(vocabulary.tokens[2].type, TokenType::kUndefined);
  EXPECT_EQ(vocabulary.tokens[3].type, TokenType::kUndefined);
  EXPECT_EQ(vocabulary.tokens[4].type, TokenType::kUserDefined);
}

TEST_F(GgufVocabularyTest, SomeModelsStripWhiteSpaceAtSpecialTokens) {
  entries_["tokenizer.ggml.tokens"] = Array(Strings{"a", "<unk>", "<mask>", "[MASK]", "<x>"});
  entries_["tokenizer.ggml.token_type"] = Array(Ints{1, 2, 3, 3, 3});
  const auto flags = [&] {
    std::string result;
    for (const Token& token : Read().tokens) result += token.strip_left ? 'l' : token.strip_right ? 'r' : '.';
    return result;
  };
  EXPECT_EQ(flags(), ".....");
  entries_["general.name"] = std::string("My PHI-3 mini");
  EXPECT_EQ(flags(), "..rrr");
  entries_["general.name"] = std::string("modern-bert");
  EXPECT_EQ(flags(), "...l.");
  entries_["general.architecture"] = std::string("nomic-bert-moe");
  EXPECT_EQ(flags(), "..l..");
}

TEST_F(GgufVocabularyTest, MissingKeysAreNamed) {
  for (const char* key : {"tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"}) {
    const MetadataValue kept = entries_[key];
    entries_.erase(key);
    ExpectError({key});
    entries_[key] = kept;
  }
}

TEST_F(GgufVocabularyTest, UnsupportedTokenizersAreNamedWithWhatIsSupported) {
  entries_["tokenizer.ggml.pre"] = std::string("falcon_e");
  ExpectError({"tokenizer.ggml.pre", "\"falcon_e\"", "llama-bpe", "gpt-2", "default"});
  EXPECT_EQ(ReadGgufVocabulary(Write(), TokenizerDialect::kBitnetCpp).pre, "falcon3");
  entries_["tokenizer.ggml.model"] = std::string("rwkv");
  ExpectError({"tokenizer.ggml.model", "\"rwkv\"", "\"gpt2\", \"gemma4\", \"whitespace\", \"llama\", \"t5\", \"bert\"",
               "token ids"});
}

TEST_F(GgufVocabularyTest, SentencePieceHasScoresAndItsOwnDefaults) {
  entries_["tokenizer.ggml.model"] = std::string("llama");
  entries_.erase("tokenizer.ggml.merges");
  EXPECT_EQ(Read().tokens[2].score, 0.0f);
  entries_["tokenizer.ggml.scores"] = Array(std::vector<float>{-1, -2, -3.5, -4, 0});
  const Vocabulary vocabulary = Read();
  EXPECT_EQ(vocabulary.model, VocabularyModel::kSentencePiece);
  EXPECT_EQ(vocabulary.tokens[2].score, -3.5f);
  EXPECT_EQ(vocabulary.bos, 1);
  EXPECT_EQ(vocabulary.eos, 2);
  EXPECT_TRUE(vocabulary.add_bos);
  EXPECT_FALSE(vocabulary.add_eos);
  EXPECT_TRUE(vocabulary.add_space_prefix);
  entries_["tokenizer.ggml.add_space_prefix"] = false;
  EXPECT_FALSE(Read().add_space_prefix);
  entries_["tokenizer.ggml.scores"] = Array(Ints{1, 2, -7, 4, 5});
  EXPECT_EQ(Read().tokens[2].score, -7.0f);
  entries_["tokenizer.ggml.scores"] = Array(Ints{1, 2});
  ExpectError({"tokenizer.ggml.scores", "found 2 scores", "5 tokens"});
  entries_["tokenizer.ggml.scores"] = Array(Strings{"1"});
  ExpectError({"tokenizer.ggml.scores"});
}

TEST_F(GgufVocabularyTest, UnigramHasItsOwnDefaults) {
  entries_["tokenizer.ggml.model"] = std::string("t5");
  entries_["tokenizer.ggml.scores"] = Array(std::vector<float>{-1, -2, -3.5, -4, 0});
  Vocabulary vocabulary = Read();
  EXPECT_EQ(vocabulary.model, VocabularyModel::kUnigram);
  EXPECT_EQ(vocabulary.tokens[2].score, -3.5f);
  EXPECT_EQ(vocabulary.bos, std::nullopt);
  EXPECT_EQ(vocabulary.eos, 1);
  EXPECT_EQ(vocabulary.unknown, 2);
  EXPECT_FALSE(vocabulary.add_bos);
  EXPECT_TRUE(vocabulary.add_eos);
  EXPECT_FALSE(vocabulary.add_space_prefix);
  EXPECT_FALSE(vocabulary.merge_spaces);
  entries_["tokenizer.ggml.unknown_token_id"] = uint32_t{0};
  entries_["tokenizer.ggml.add_space_prefix"] = true;
  entries_["tokenizer.ggml.remove_extra_whitespaces"] = true;
  const std::vector<uint8_t> map = {0, 0, 0, 0, 'x'};
  entries_["tokenizer.ggml.precompiled_charsmap"] = Array(map);
  vocabulary = Read();
  EXPECT_EQ(vocabulary.unknown, 0);
  EXPECT_TRUE(vocabulary.add_space_prefix);
  EXPECT_TRUE(vocabulary.merge_spaces);
  EXPECT_EQ(vocabulary.charsmap.size(), 5u);
  entries_["tokenizer.ggml.precompiled_charsmap"] = Array(std::vector<int8_t>(map.begin(), map.end()));
  EXPECT_EQ(Read().charsmap, vocabulary.charsmap);
  entries_["tokenizer.ggml.precompiled_charsmap"] = Array(std::vector<uint8_t>{});
  ExpectError({"tokenizer.ggml.precompiled_charsmap", "no byte"});
  entries_["tokenizer.ggml.precompiled_charsmap"] = Array(Strings{"1"});
  ExpectError({"tokenizer.ggml.precompiled_charsmap"});
  entries_["tokenizer.ggml.precompiled_charsmap"] = Array(std::vector<uint8_t>{1, 0, 0, 0, 'x'});
  EXPECT_THAT([&] { Tokenizer::FromGguf(Write()); },
              Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr("precompiled_charsmap"))));
}

TEST_F(GgufVocabularyTest, WordPieceHasItsOwnDefaults) {
  entries_["tokenizer.ggml.model"] = std::string("bert");
  entries_["tokenizer.ggml.add_bos_token"] = false;  // the reference does not ask
  entries_["tokenizer.ggml.add_eos_token"] = true;
  Vocabulary vocabulary = Read();
  EXPECT_EQ(vocabulary.model, VocabularyModel::kWordPiece);
  EXPECT_TRUE(vocabulary.add_bos);
  EXPECT_TRUE(vocabulary.add_separator);
  EXPECT_FALSE(vocabulary.add_eos);
  EXPECT_TRUE(vocabulary.lower_case);
  EXPECT_TRUE(vocabulary.strip_accents);
  EXPECT_EQ(vocabulary.bos, std::nullopt);  // 101, if there were as many
  entries_["tokenizer.ggml.normalizer.lowercase"] = false;
  entries_["tokenizer.ggml.seperator_token_id"] = uint32_t{3};
  vocabulary = Read();
  EXPECT_FALSE(vocabulary.lower_case);
  EXPECT_FALSE(vocabulary.strip_accents);
  EXPECT_EQ(vocabulary.separator, 3);
  entries_["tokenizer.ggml.normalizer.strip_accents"] = true;
  EXPECT_TRUE(Read().strip_accents);
}

// The pre-tokenizer "whitespace" needs the model of that name: llama.cpp aborts on a space otherwise.
TEST_F(GgufVocabularyTest, WhitespaceIsAModelAndAPreTokenizer) {
  entries_["tokenizer.ggml.pre"] = std::string("whitespace");
  ExpectError({"tokenizer.ggml.model", "\"gpt2\"", "expected \"whitespace\""});
  entries_["tokenizer.ggml.model"] = std::string("whitespace");
  EXPECT_TRUE(Read().drops_spaces);
  EXPECT_FALSE(Read().lower_case);
  entries_["tokenizer.ggml.pre"] = std::string("gpt-2");
  EXPECT_TRUE(Read().drops_spaces);
  EXPECT_TRUE(Read().lower_case);
}

TEST_F(GgufVocabularyTest, IdsOutsideTheVocabularyAreIgnoredWithAWarning) {
  for (const char* role : {"bos", "eos", "eot", "eom", "fim_pre", "fim_pad", "middle"}) {
    const std::string key = std::string("tokenizer.ggml.") + role + "_token_id";
    entries_[key] = uint32_t{5};
    const Vocabulary vocabulary = Read();
    EXPECT_THAT(vocabulary.warnings, ElementsAre(AllOf(HasSubstr(path_), HasSubstr(key), HasSubstr("token id 5"),
                                                       HasSubstr("0..4"), HasSubstr("took none"))));
    EXPECT_EQ(vocabulary.bos, std::nullopt);
    EXPECT_THAT(Tokenizer::FromGguf(Write()).warnings(), SizeIs(1));
    entries_.erase(key);
  }
  entries_["tokenizer.ggml.model"] = std::string("llama");
  entries_["tokenizer.ggml.eos_token_id"] = uint32_t{5};
  EXPECT_EQ(Read().eos, 2);
  EXPECT_THAT(Read().warnings, ElementsAre(HasSubstr("took 2 instead")));
}

TEST_F(GgufVocabularyTest, NamesDecideMoreThanWords) {
  entries_["tokenizer.ggml.pre"] = std::string("gemma4");
  entries_["tokenizer.ggml.add_bos_token"] = false;
  entries_["tokenizer.ggml.bos_token_id"] = uint32_t{4};
  EXPECT_TRUE(Read().add_bos);  // whatever the file says
  EXPECT_EQ(Read().alphabet, TokenAlphabet::kEscapedSpaces);
  entries_.erase("tokenizer.ggml.merges");
  ExpectError({"tokenizer.ggml.merges"});
  entries_["tokenizer.ggml.pre"] = std::string("kimi-k2");
  EXPECT_THAT(Read().merges, SizeIs(0));
}

TEST_F(GgufVocabularyTest, TablesThatDoNotFitAreErrors) {
  entries_["tokenizer.ggml.token_type"] = Array(Ints{1, 1, 1, 1});
  ExpectError({"tokenizer.ggml.token_type", "found 4 types", "5 tokens"});
  entries_["tokenizer.ggml.token_type"] = Array(Strings{"1"});
  ExpectError({"tokenizer.ggml.token_type"});
  entries_.erase("tokenizer.ggml.token_type");
  entries_["tokenizer.ggml.tokens"] = Array(Strings{"a", "b", "a"});
  ExpectError({"tokenizer.ggml.tokens", "\"a\" as token 0 and as token 2"});
  entries_["tokenizer.ggml.tokens"] = Array(Strings{});
  ExpectError({"tokenizer.ggml.tokens", "no token"});
  entries_["tokenizer.ggml.tokens"] = uint32_t{7};
  ExpectError({"tokenizer.ggml.tokens"});
}

TEST_F(GgufVocabularyTest, MergesMustBePairs) {
  for (const char* line : {"", "ab", " ab", "ab "}) {
    entries_["tokenizer.ggml.merges"] = Array(Strings{"a b", line});
    ExpectError({"tokenizer.ggml.merges: entry 1"});
  }
}

TEST_F(GgufVocabularyTest, MergesMayNameWhatIsNoToken) {
  // As in the reference: they merge, and the result falls back to its characters.
  entries_["tokenizer.ggml.merges"] = Array(Strings{"b a", "x y", "a b"});
  EXPECT_THAT(Tokenizer::FromGguf(Write()).Encode("aba", {}), ElementsAre(0, 1, 0));
}

TEST_F(GgufVocabularyTest, WrongTypesOfFlagsAreErrors) {
  entries_["tokenizer.ggml.add_bos_token"] = std::string("yes");
  ExpectError({"tokenizer.ggml.add_bos_token"});
  entries_.erase("tokenizer.ggml.add_bos_token");
  entries_["tokenizer.ggml.bos_token_id"] = std::string("4");
  ExpectError({"tokenizer.ggml.bos_token_id"});
}

}  // namespace
}  // namespace bitnet
