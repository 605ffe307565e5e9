#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
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
       {"/model", "/model/type", "/model/vocab", "/model/merges", "/pre_tokenizer/type", "/pre_tokenizer/pretokenizers",
        "/pre_tokenizer/pretokenizers/0/type", "/pre_tokenizer/pretokenizers/0/pattern",
        "/pre_tokenizer/pretokenizers/0/pattern/Regex", "/pre_tokenizer/pretokenizers/0/behavior", "/added_tokens/0/id",
        "/added_tokens/0/content"}) {
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
  ExpectErrorWith("/post_processor", wrong, {"post_processor"});
  ExpectErrorWith("/decoder", wrong, {"decoder"});
}

TEST_F(TokenizerJsonTest, WhatIsNotSupportedIsNamed) {
  ExpectErrorWith("/model/type", "Transducer", {"model.type", "\"Transducer\"", "BPE, Unigram, WordLevel, WordPiece"});
  ExpectErrorWith("/model/dropout", 0.1, {"model.dropout"});
  ExpectErrorWith("/normalizer", {{"type", "Romanize"}}, {"normalizer.type", "Romanize", "NFC, NFD"});
  ExpectErrorWith("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "A?=="}},
                  {"normalizer.precompiled_charsmap", "base 64"});
  ExpectErrorWith("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}},
                  {"normalizer.precompiled_charsmap", "found 3 bytes"});
  ExpectErrorWith("/decoder", {{"type", "CTC"}}, {"decoder.type", "CTC", "Metaspace"});
  ExpectErrorWith("/pre_tokenizer", {{"type", "UnicodeScripts"}}, {"pre_tokenizer.type", "UnicodeScripts", "Digits"});
  ExpectErrorWith("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}},
                  {"pre_tokenizer.prepend_scheme", "always, first or never"});
  ExpectErrorWith("/pre_tokenizer", {{"type", "FixedLength"}, {"length", 0}}, {"pre_tokenizer.length"});
  for (const char* expression : {"[a[b]]", "[a&&b]", R"(\h)", "(?m:.)", "(", R"(\p{Klingon})"}) {
    ExpectErrorWith("/pre_tokenizer/pretokenizers/0/pattern/Regex", expression, {"pattern.Regex", "read alike"});
  }
  ExpectErrorWith("/pre_tokenizer/pretokenizers/0/behavior", "Gone", {"behavior", "Removed, Isolated"});
  ExpectErrorWith("/post_processor", {{"type", "XlmProcessing"}}, {"post_processor.type", "XlmProcessing"});
  ExpectErrorWith("/post_processor", {{"type", "BertProcessing"}}, {"post_processor.cls"});
  ExpectErrorWith("/post_processor", {{"type", "BertProcessing"}, {"cls", Json::array()}}, {"post_processor.cls"});
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

// What llama.cpp has no name for goes through the pipeline.
TEST_F(TokenizerJsonTest, Pipelines) {
  const auto ids = [&](std::string_view text) {
    WriteText(json_.dump());
    return Tokenizer::FromTokenizerJson(path_).Encode(text, {});
  };
  json_["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_EQ(Read().model, VocabularyModel::kPipeline);
  EXPECT_THAT(ids("AB ab@@<|eot_id|>"), ElementsAre(2, 4, 7, 6));
  json_["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
  EXPECT_THAT(ids("AB ba"), ElementsAre(2, 1, 0));
  json_["added_tokens"][2].update({{"single_word", true}, {"normalized", false}});
  EXPECT_THAT(ids("a@@"), ElementsAre(0));  // and what is no token vanishes
  EXPECT_THAT(ids("a @@\xFF"), ElementsAre(0, 7));
  json_["model"]["unk_token"] = "Ġ";
  EXPECT_THAT(ids("axx"), ElementsAre(0, 3, 3));
  json_["model"]["fuse_unk"] = true;
  EXPECT_THAT(ids("axx"), ElementsAre(0, 3));
  json_["model"]["unk_token"] = "nobody";
  EXPECT_THAT([&] { ids("x"); },
              Throws<std::runtime_error>(Property(&std::runtime_error::what, HasSubstr("model.unk_token"))));
}

TEST_F(TokenizerJsonTest, UnigramAndWordPiece) {
  json_["added_tokens"] = Json::array();
  json_["decoder"] = {{"type", "Metaspace"}, {"replacement", "▁"}};
  json_["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}};
  json_["model"] = {{"type", "Unigram"},
                    {"unk_id", 0},
                    {"vocab", Json::array({Json::array({"<unk>", 0}), Json::array({"▁a", -1}), Json::array({"b", -2}),
                                           Json::array({"▁", -3})})}};
  WriteText(json_.dump());
  const Tokenizer unigram = Tokenizer::FromTokenizerJson(path_);
  EXPECT_THAT(unigram.Encode("ab xxb", {}), ElementsAre(1, 2, 3, 0, 2));
  EXPECT_EQ(unigram.Piece(1), " a");
  EXPECT_EQ(unigram.Find(" a"), 1);
  ExpectErrorWith("/model/unk_id", 4, {"model.unk_id", "4 tokens"});
  ExpectErrorWith("/model/vocab/1", Json::array({"x"}), {"model.vocab[1]", "a token and its score"});
  ExpectErrorWith("/model/vocab/1/1", "x", {"model.vocab[1][1]", "a number"});

  json_["decoder"] = {{"type", "WordPiece"}};
  json_["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  json_["model"] = {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"vocab", {{"[UNK]", 0}, {"a", 1}, {"##b", 2}}}};
  WriteText(json_.dump());
  const Tokenizer wordpiece = Tokenizer::FromTokenizerJson(path_);
  EXPECT_THAT(wordpiece.Encode("abb a b", {}), ElementsAre(1, 2, 2, 1, 0));
  EXPECT_EQ(wordpiece.Decode(std::vector<int32_t>{1, 2, 1}, {}), " ab a");
}

// Whatever is broken is an error, and what is read encodes or says why not.
TEST_F(TokenizerJsonTest, FuzzedFilesNeverCrash) {
  std::mt19937 random(1);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const std::vector<Json> normalizers = {
      nullptr,
      {{"type", "Sequence"}, {"normalizers", {{{"type", "NFKC"}}, {{"type", "Strip"}}, {{"type", "Nmt"}}}}},
      {{"type", "Replace"}, {"pattern", {{"Regex", R"(\s+)"}}}, {"content", "▁"}},
      {{"type", "BertNormalizer"}},
      {{"type", "Precompiled"}, {"precompiled_charsmap", "BAAAAAAAAAB4AA=="}}};
  const std::vector<Json> splitters = {nullptr,
                                       SplitThenBytes(kLlama3),
                                       {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}},
                                       {{"type", "Digits"}, {"individual_digits", true}},
                                       {{"type", "Whitespace"}}};
  const std::vector<Json> models = {
      json_["model"],
      {{"type", "Unigram"},
       {"unk_id", 0},
       {"vocab", Json::array({Json::array({"<unk>", 0.0}), Json::array({"▁a", -1.5}), Json::array({"b", -2.0}),
                              Json::array({"\n", 1e300})})}},
      {{"type", "WordPiece"}, {"unk_token", "a"}, {"vocab", {{"a", 0}, {"##b", 1}, {"c", 2}, {"d", 3}, {"##", 4}}}},
      {{"type", "WordLevel"}, {"unk_token", "a"}, {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"d", 3}, {"e", 4}}}}};
  const char* rounds = std::getenv("PARITY_FUZZ_ROUNDS");
  int read = 0, refused = 0;
  for (long i = rounds == nullptr ? 600 : std::atol(rounds); i > 0; --i) {
    Json file = json_;
    file["normalizer"] = normalizers[below(normalizers.size())];
    file["pre_tokenizer"] = splitters[below(splitters.size())];
    file["model"] = models[below(models.size())];
    if (file["model"]["type"] != "BPE") file["added_tokens"] = Json::array();
    std::string text = file.dump();
    for (size_t n = below(4); n > 0; --n) {
      const size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = static_cast<char>(' ' + below(95));
          break;
        case 1:
          text.erase(at, below(5) + 1);
          break;
        case 2:
          text.insert(at, text.substr(below(text.size()), below(8)));
          break;
        default: {  // another value of the same kind
          const size_t digit = text.find_first_of("0123456789", at);
          if (digit != std::string::npos) text[digit] = static_cast<char>('0' + below(10));
        }
      }
    }
    WriteText(text);
    try {
      const Tokenizer tokenizer = Tokenizer::FromTokenizerJson(path_);
      ++read;
      for (const char* prompt : {"", "ab ab@@\n<|eot_id|> 12", "\xFF\u00e9\u0301 \u4f60 a"}) {
        for (const int32_t id : tokenizer.Encode(prompt, {})) tokenizer.Piece(id);
      }
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr(": "));
      ++refused;
    }
  }
  EXPECT_GT(read, 50);
  EXPECT_GT(refused, 50);
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
