#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Json SplitThenBytes(const std::string& expression) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}, {"invert", false}},
            {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}}}}};
}

Json Template(std::initializer_list<Json> single) {
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", Json::array()}};
}
Json Special(const char* text) { return {{"SpecialToken", {{"id", text}, {"type_id", 0}}}}; }
const Json kText = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};

class TokenizerJsonTest : public ::testing::Test {
 protected:
  TokenizerJsonTest() {
    json_ = {{"version", "1.0"},
             {"added_tokens",
              {{{"id", 5}, {"content", "<|begin_of_text|>"}, {"special", true}},
               {{"id", 6}, {"content", "<|eot_id|>"}, {"special", true}},
               {{"id", 7}, {"content", "@@"}, {"special", false}}}},
             {"normalizer", nullptr},
             {"pre_tokenizer", SplitThenBytes(kLlama3)},
             {"post_processor", nullptr},
             {"decoder", {{"type", "ByteLevel"}}},
             {"model",
              {{"type", "BPE"},
               {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"Ġ", 3}, {"Ġab", 4}}},
               {"merges", {"a b", "Ġ ab"}}}}};
  }
  ~TokenizerJsonTest() override { std::filesystem::remove(path_); }

  void WriteText(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }
  Vocabulary Read() {
    WriteText(json_.dump());
    return ReadTokenizerJson(path_);
  }
  void ExpectErrorAsWritten(std::initializer_list<std::string> parts) {
    for (const std::string& part : parts) {
      EXPECT_THAT([&] { ReadTokenizerJson(path_); },
                  Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr(part))));
    }
    EXPECT_THAT([&] { ReadTokenizerJson(path_); },
                Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr(path_))));
  }
  void ExpectError(std::initializer_list<std::string> parts) {
    WriteText(json_.dump());
    ExpectErrorAsWritten(parts);
  }
  // The file with one value changed fails, and the message names the field; then the value is put back.
  void ExpectErrorWith(const char* pointer, const Json& value, std::initializer_list<std::string> parts) {
    const Json kept = json_;
    json_[Json::json_pointer(pointer)] = value;
    SCOPED_TRACE(pointer);
    ExpectError(parts);
    json_ = kept;
  }

  std::string path_ = ::testing::TempDir() + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".json";
  Json json_;
};

TEST_F(TokenizerJsonTest, ReadsVocabularyMergesAndAddedTokens) {
  const Vocabulary vocabulary = Read();
  EXPECT_EQ(vocabulary.pre, "llama-bpe");
  ASSERT_EQ(vocabulary.tokens.size(), 8u);
  EXPECT_EQ(vocabulary.tokens[5].type, TokenType::kControl);
  EXPECT_EQ(vocabulary.tokens[7].type, TokenType::kUserDefined);
  EXPECT_FALSE(vocabulary.ignore_merges);
  EXPECT_FALSE(vocabulary.add_bos);
  EXPECT_EQ(vocabulary.bos, 5);
  EXPECT_EQ(vocabulary.eot, 6);
  EXPECT_THAT(vocabulary.end_of_generation, ElementsAre(6));
  EXPECT_THAT(Tokenizer::FromTokenizerJson(path_).Encode("ab ab@@<|eot_id|>", {}), ElementsAre(2, 4, 7, 6));
}

TEST_F(TokenizerJsonTest, MergesInBothForms) {
  const auto lines = Read().merges;
  json_["model"]["merges"] = Json::array({Json::array({"a", "b"}), Json::array({"Ġ", "ab"})});
  EXPECT_EQ(Read().merges, lines);
  EXPECT_EQ(lines.size(), 2u);
}

TEST_F(TokenizerJsonTest, IgnoreMerges) {
  json_["model"]["ignore_merges"] = true;
  EXPECT_TRUE(Read().ignore_merges);
}

TEST_F(TokenizerJsonTest, KnowsThePreTokenizers) {
  json_["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  EXPECT_EQ(Read().pre, "gpt-2");
  json_["pre_tokenizer"] = SplitThenBytes(kGpt2);
  EXPECT_EQ(Read().pre, "gpt-2");
}

TEST_F(TokenizerJsonTest, PostProcessorAddsBosAndEos) {
  json_["post_processor"] = Template({Special("<|begin_of_text|>"), kText});
  EXPECT_TRUE(Read().add_bos);
  EXPECT_FALSE(Read().add_eos);
  json_["post_processor"] = {{"type", "Sequence"},
                             {"processors", {{{"type", "ByteLevel"}}, Template({kText, Special("<|eot_id|>")})}}};
  const Vocabulary vocabulary = Read();
  EXPECT_FALSE(vocabulary.add_bos);
  EXPECT_TRUE(vocabulary.add_eos);
  EXPECT_EQ(vocabulary.eos, 6);
  EXPECT_THAT(Tokenizer::FromTokenizerJson(path_).Encode("a", {}), ElementsAre(0, 6));
}

TEST_F(TokenizerJsonTest, AddedTokensThatLookSpecialAreControlTokens) {
  json_["added_tokens"][2]["content"] = "<|tool|>";
  EXPECT_EQ(Read().tokens[7].type, TokenType::kControl);
}

TEST_F(TokenizerJsonTest, AddedTokensMayBeInTheVocabularyToo) {
  json_["model"]["vocab"]["@@"] = 7;
  EXPECT_EQ(Read().tokens[7].type, TokenType::kUserDefined);
}

TEST_F(TokenizerJsonTest, StrippingIsRead) {
  json_["added_tokens"][0]["lstrip"] = true;
  json_["added_tokens"][1]["rstrip"] = true;
  const Vocabulary vocabulary = Read();
  EXPECT_TRUE(vocabulary.tokens[5].strip_left);
  EXPECT_TRUE(vocabulary.tokens[6].strip_right);
}

TEST_F(TokenizerJsonTest, FilesThatAreNoTokenizer) {
  ExpectErrorAsWritten({"cannot be opened"});  // not there
  WriteText("");
  ExpectErrorAsWritten({"no valid JSON"});
  WriteText("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"\xFF\": 0}}}");
  ExpectErrorAsWritten({"no valid JSON"});
  WriteText("[1, 2]");
  ExpectErrorAsWritten({"no JSON object"});
  WriteText("{}");
  ExpectErrorAsWritten({"model: missing"});
  WriteText("{\"normalizer\": " + std::string(200'000, '[') + std::string(200'000, ']') + "}");
  ExpectErrorAsWritten({"nested deeper than 64"});
}

TEST_F(TokenizerJsonTest, EveryMissingKeyIsNamed) {
  for (const char* pointer :
       {"/model", "/model/type", "/model/vocab", "/model/merges", "/pre_tokenizer", "/pre_tokenizer/type",
        "/pre_tokenizer/pretokenizers", "/pre_tokenizer/pretokenizers/0/type", "/pre_tokenizer/pretokenizers/0/pattern",
        "/pre_tokenizer/pretokenizers/0/pattern/Regex", "/pre_tokenizer/pretokenizers/0/behavior",
        "/pre_tokenizer/pretokenizers/1/add_prefix_space", "/added_tokens/0/id", "/added_tokens/0/content"}) {
    const Json kept = json_;
    const Json::json_pointer at(pointer);
    json_[at.parent_pointer()].erase(at.back());
    SCOPED_TRACE(pointer);
    if (at.back() == "type" && at.parent_pointer() == Json::json_pointer("/pre_tokenizer")) {
      ExpectError({"pre_tokenizer"});
    } else {
      ExpectError({at.back()});
    }
    json_ = kept;
  }
}

TEST_F(TokenizerJsonTest, EveryWrongTypeIsNamed) {
  const Json wrong = Json::array({1, "x"});
  ExpectErrorWith("/model", 3, {"model", "found 3", "an object"});
  ExpectErrorWith("/model/type", wrong, {"model.type"});
  ExpectErrorWith("/model/vocab", wrong, {"model.vocab"});
  ExpectErrorWith("/model/vocab/ab", "2", {"model.vocab[\"ab\"]", "a token id"});
  ExpectErrorWith("/model/merges", "a b", {"model.merges", "an array"});
  ExpectErrorWith("/model/merges/1", 7, {"model.merges[1]"});
  ExpectErrorWith("/model/merges/1", Json::array({"a", "b", "c"}), {"model.merges[1]", "two tokens"});
  ExpectErrorWith("/model/merges/1", Json::array({"a", 1}), {"model.merges[1][1]"});
  ExpectErrorWith("/model/ignore_merges", "true", {"model.ignore_merges", "true or false"});
  ExpectErrorWith("/added_tokens", 1, {"added_tokens", "an array"});
  ExpectErrorWith("/added_tokens/1", 1, {"added_tokens[1]"});
  ExpectErrorWith("/added_tokens/1/content", 1, {"added_tokens[1].content"});
  ExpectErrorWith("/added_tokens/1/special", 1, {"added_tokens[1].special"});
  ExpectErrorWith("/pre_tokenizer", nullptr, {"pre_tokenizer"});
  ExpectErrorWith("/post_processor", wrong, {"post_processor"});
  ExpectErrorWith("/decoder", wrong, {"decoder"});
}

TEST_F(TokenizerJsonTest, WhatIsNotSupportedIsNamed) {
  ExpectErrorWith("/model/type", "Unigram", {"model.type", "\"Unigram\"", "\"BPE\""});
  ExpectErrorWith("/model/byte_fallback", true, {"model.byte_fallback"});
  ExpectErrorWith("/model/dropout", 0.1, {"model.dropout"});
  ExpectErrorWith("/model/continuing_subword_prefix", "##", {"model.continuing_subword_prefix"});
  ExpectErrorWith("/model/end_of_word_suffix", "</w>", {"model.end_of_word_suffix"});
  ExpectErrorWith("/normalizer", {{"type", "NFC"}}, {"normalizer", "NFC"});
  ExpectErrorWith("/decoder", {{"type", "Metaspace"}}, {"decoder", "ByteLevel"});
  ExpectErrorWith("/pre_tokenizer", {{"type", "Whitespace"}}, {"pre_tokenizer", "Whitespace", "llama-bpe", "gpt-2"});
  ExpectErrorWith("/pre_tokenizer/pretokenizers", Json::array(), {"pre_tokenizer"});
  ExpectErrorWith("/pre_tokenizer/pretokenizers/0/pattern/Regex", R"(\p{N})", {"pattern.Regex", R"(\\p{N})"});
  ExpectErrorWith("/pre_tokenizer/pretokenizers/0/behavior", "Removed", {"behavior", "Isolated"});
  ExpectErrorWith("/pre_tokenizer/pretokenizers/0/invert", true, {"invert"});
  ExpectErrorWith("/pre_tokenizer/pretokenizers/1/add_prefix_space", true, {"add_prefix_space"});
  ExpectErrorWith("/pre_tokenizer/pretokenizers/1/use_regex", true, {"pre_tokenizer"});
  ExpectErrorWith("/added_tokens/1/single_word", true, {"added_tokens[1].single_word"});
  ExpectErrorWith("/post_processor", {{"type", "BertProcessing"}}, {"post_processor.type", "BertProcessing"});
  ExpectErrorWith("/post_processor", Template({Special("<nobody>"), kText}), {"post_processor.single[0]", "<nobody>"});
  ExpectErrorWith("/post_processor", Template({Special("<|eot_id|>")}), {"post_processor.single", "the text"});
  ExpectErrorWith("/post_processor", Template({kText, kText}), {"post_processor.single[1]"});
  ExpectErrorWith("/post_processor", Template({Special("<|eot_id|>"), Special("<|eot_id|>"), kText}),
                  {"post_processor.single[1]", "at most one"});
}

TEST_F(TokenizerJsonTest, IdsMustBeDenseAndUnique) {
  ExpectErrorWith("/model/vocab/ab", -1, {"model.vocab[\"ab\"]"});
  ExpectErrorWith("/model/vocab/ab", 2.5, {"model.vocab[\"ab\"]"});
  ExpectErrorWith("/model/vocab/ab", 4294967296, {"model.vocab[\"ab\"]"});
  ExpectErrorWith("/model/vocab/ab", 18446744073709551615ull, {"model.vocab[\"ab\"]"});
  ExpectErrorWith("/model/vocab/ab", 0, {"model.vocab", "id 0", "each id once"});
  ExpectErrorWith("/model/vocab/ab", 2147483647, {"model.vocab", "2147483647", "without a gap"});
  ExpectErrorWith("/added_tokens/2/id", 9, {"model.vocab", "the id 9"});
  ExpectErrorWith("/added_tokens/2/id", 6, {"added_tokens[2]", "each id once"});
  ExpectErrorWith("/added_tokens/2/content", "ab", {"added_tokens[2]", "the ids 2 and 7"});
  ExpectErrorWith("/added_tokens/2/content", "", {"added_tokens[2].content"});
}

TEST_F(TokenizerJsonTest, MergesMustNameTokens) {
  ExpectErrorWith("/model/merges/1", "a x", {"model.merges[1]", "unknown token \"x\""});
  ExpectErrorWith("/model/merges/1", "b a", {"model.merges[1]", "unknown token \"ba\""});
  ExpectErrorWith("/model/merges/1", "ab", {"model.merges[1]", "two tokens"});
  ExpectErrorWith("/model/merges/1", "a ", {"model.merges[1]"});
}

TEST_F(TokenizerJsonTest, TheTrainedModelsFile) {
  const Tokenizer tokenizer = Tokenizer::FromTokenizerJson(PARITY_SOURCE_DIR "/fixtures/models/kjv-tokenizer.json");
  EXPECT_EQ(tokenizer.pre(), "llama-bpe");
  EXPECT_TRUE(tokenizer.add_bos());
  EXPECT_EQ(tokenizer.bos(), tokenizer.Find("<|begin_of_text|>"));
  const std::string text = "And God said, Let there be light: and there was light.\n";
  const std::vector<int32_t> ids = tokenizer.Encode(text, {});
  EXPECT_EQ(ids[0], *tokenizer.bos());
  EXPECT_LT(ids.size(), text.size() / 2);
  EXPECT_EQ(tokenizer.Decode(ids, {}), text);
}

}  // namespace
}  // namespace bitnet
