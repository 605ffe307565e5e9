// Our tokenizer against a live llama.cpp: the cases that llama.cpp ships with its vocabularies, and random text.
// Without its runner, or without those vocabularies, the tests are skipped with the reason; PARITY_REQUIRE=llama.cpp
// makes that a failure.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/gguf/gguf.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/pre_tokenizer_table.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"
#include "parity_tests/suites/live_tokenizer_for_test.h"
#include "parity_tests/suites/random_text_for_test.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {
std::string VocabularyFile(const std::string& name) {
  return fmt::format("{}/models/ggml-vocab-{}.gguf", PARITY_LLAMA_CPP_SOURCE, name);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(fmt::format("{}: cannot be opened", path));
  return {std::istreambuf_iterator<char>(in), {}};
}

bitnet::Tokenizer FromGguf(const std::string& path) {
  return bitnet::Tokenizer::FromGguf(bitnet::GgufFile::Open(path));
}

std::string TestName(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class TokenizerCases : public ::testing::TestWithParam<const char*> {};

// Cases are separated by a line; the ids of each are a line of the second file.
TEST_P(TokenizerCases, AllPass) {
  const std::string file = VocabularyFile(GetParam());
  SKIP_UNLESS("llama.cpp", std::filesystem::exists(file + ".inp"),
              fmt::format("{}.inp: not there; it comes with llama.cpp", file));
  const bitnet::Tokenizer tokenizer = FromGguf(file);
  const std::string separator = "\n__ggml_vocab_test__\n", inputs = ReadFile(file + ".inp");
  std::ifstream outputs(file + ".out");
  int n_cases = 0;
  for (size_t begin = 0; begin < inputs.size(); ++n_cases) {
    const size_t end = std::min(inputs.find(separator, begin), inputs.size());
    const std::string text = inputs.substr(begin, end - begin);
    begin = end + separator.size();
    std::string line;
    ASSERT_TRUE(std::getline(outputs, line)) << "no ids for case " << n_cases << ": " << Escaped(text);
    std::istringstream numbers(line);
    const std::vector<int32_t> expected{std::istream_iterator<int32_t>(numbers), {}};
    EXPECT_EQ(tokenizer.Encode(text, {.add_special = false, .parse_special = false}), expected)
        << "case " << n_cases << ": " << Escaped(text);
  }
  EXPECT_GT(n_cases, 40);
  std::string rest;
  EXPECT_FALSE(std::getline(outputs, rest)) << "ids without a case: " << rest;
}

INSTANTIATE_TEST_SUITE_P(LlamaCpp, TokenizerCases,
                         ::testing::Values("bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon",
                                           "gemma-4", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2", "qwen35",
                                           "refact", "starcoder"),
                         TestName);

class TokenizerParity : public ::testing::TestWithParam<const char*> {};

TEST_P(TokenizerParity, RandomTexts) {
  const std::string file = VocabularyFile(GetParam());
  SKIP_UNLESS("llama.cpp", std::filesystem::exists(file), fmt::format("{}: not there; it comes with llama.cpp", file));
  CompareOnRandomTexts(FromGguf(file), file, /*seed=*/1);
}

// gpt-neox names no pre-tokenizer, so it gets "default", and it has user-defined tokens; phi-3 has special tokens that
// take the white space after them.
INSTANTIATE_TEST_SUITE_P(LlamaCpp, TokenizerParity,
                         ::testing::Values("aquila", "baichuan", "bert-bge", "command-r", "deepseek-coder",
                                           "deepseek-llm", "falcon", "gemma-4", "gpt-2", "gpt-neox", "llama-bpe",
                                           "llama-spm", "mpt", "nomic-bert-moe", "phi-3", "qwen2", "qwen35", "refact",
                                           "starcoder"),
                         TestName);

// The trained models' vocabulary, from both of its files.
TEST(TokenizerParityOfTrainedModel, RandomTextsFromGguf) {
  const std::string gguf = PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf";
  CompareOnRandomTexts(FromGguf(gguf), gguf, /*seed=*/2);
}

TEST(TokenizerParityOfTrainedModel, RandomTextsFromTokenizerJson) {
  const std::string folder = PARITY_SOURCE_DIR "/fixtures/models/";
  CompareOnRandomTexts(bitnet::Tokenizer::FromTokenizerJson(folder + "kjv-tokenizer.json"),
                       folder + "kjv-bitnet.tq2_0.gguf", /*seed=*/3);
}

template <typename T>
bitnet::MetadataValue Array(std::vector<T> values) {
  return std::make_shared<bitnet::MetadataArray>(bitnet::MetadataArray{std::move(values)});
}

void WriteVocabulary(const std::string& path, const std::map<std::string, bitnet::MetadataValue>& entries) {
  bitnet::GgufWriter writer(path);
  writer.Set("general.architecture", std::string("llama"));
  for (const auto& [key, value] : entries) writer.Set("tokenizer.ggml." + key, value);
  writer.WriteHeader();
  writer.Finish();
}

// A vocabulary of random pieces of the random texts, with few different scores, so that equal ones meet.
struct RandomPieces {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  std::vector<float> scores = {};
  std::set<std::string> seen = {"<unk>", "<s>", "</s>"};

  void Add(const std::string& text, int32_t type) {
    if (text.empty() || !seen.insert(text).second) return;
    texts.push_back(text);
    types.push_back(type);
  }
  // One in a hundred of another type than normal.
  void AddPiecesOfTexts(RandomText* random) {
    for (int i = 0; i < 3000; ++i) {
      const std::string text = bitnet::EscapeSpaces(random->Next());
      if (text.empty()) continue;
      const size_t begin = random->Below(text.size());
      const std::string piece = text.substr(begin, random->Below(7) + 1);
      if (piece.find('\0') != std::string::npos) continue;  // ends a text for the reference's reader
      Add(piece, random->Below(100) == 0 ? static_cast<int32_t>(random->Below(5)) + 1 : 1);
      Add(piece.substr(0, 2), 1);
    }
  }
  std::map<std::string, bitnet::MetadataValue> Entries(const std::string& model, RandomText* random) {
    for (size_t i = 0; i < texts.size(); ++i) scores.push_back(-static_cast<float>(random->Below(8)));
    return {{"model", model},
            {"tokens", Array(texts)},
            {"scores", Array(scores)},
            {"token_type", Array(types)},
            {"unknown_token_id", uint32_t{0}},
            {"bos_token_id", uint32_t{1}},
            {"eos_token_id", uint32_t{2}},
            {"seperator_token_id", uint32_t{2}},
            {"add_space_prefix", random->Coin()},
            {"add_bos_token", random->Coin()},
            {"add_eos_token", random->Coin()}};
  }
};

void CompareOnVocabulary(const std::map<std::string, bitnet::MetadataValue>& entries, uint32_t seed,
                         size_t usual_number = 300) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/vocabulary.gguf";
  WriteVocabulary(path, entries);
  CompareOnRandomTexts(FromGguf(path), path, seed, "llama.cpp", usual_number);
}

class TokenizerParityOfRandomVocabularies : public ::testing::TestWithParam<int> {};

// The bytes in hexadecimal, in one of them as they are.
TEST_P(TokenizerParityOfRandomVocabularies, SentencePiece) {
  RandomText random(static_cast<uint32_t>(GetParam()));
  RandomPieces pieces;
  for (int byte = 0; byte < 256; ++byte) {
    const auto value = static_cast<uint8_t>(byte);
    if (GetParam() == 0) {
      pieces.Add(byte == 0 ? bitnet::HexTextOfByte(value) : std::string(1, static_cast<char>(byte)), 1);
    } else {
      pieces.Add(bitnet::HexTextOfByte(value), 6);
    }
  }
  pieces.AddPiecesOfTexts(&random);
  CompareOnVocabulary(pieces.Entries("llama", &random), /*seed=*/4);
}

// Half of them with the character map of a published model.
TEST_P(TokenizerParityOfRandomVocabularies, Unigram) {
  const std::string published = VocabularyFile("nomic-bert-moe");
  SKIP_UNLESS("llama.cpp", std::filesystem::exists(published),
              fmt::format("{}: not there; it comes with llama.cpp", published));
  RandomText random(static_cast<uint32_t>(GetParam()));
  RandomPieces pieces;
  pieces.AddPiecesOfTexts(&random);
  // Pieces that a text gives a role.
  for (const char* text : {"<|endoftext|>", "<|end|>", "<EOT>"}) pieces.Add(text, random.Coin() ? 1 : 4);
  auto entries = pieces.Entries("t5", &random);
  entries["remove_extra_whitespaces"] = random.Coin();
  const std::string key = "precompiled_charsmap";
  if (GetParam() % 2 == 0) {
    entries[key] = Array(bitnet::GgufFile::Open(published).Get<std::vector<uint8_t>>("tokenizer.ggml." + key));
  }
  CompareOnVocabulary(entries, /*seed=*/8);
}

TEST_P(TokenizerParityOfRandomVocabularies, WordPiece) {
  RandomText random(static_cast<uint32_t>(GetParam()));
  RandomPieces pieces;
  pieces.AddPiecesOfTexts(&random);
  // Its own words are in lower case, and most texts are not.
  for (size_t i = 3, n = pieces.texts.size(); i < n; ++i) {
    std::string text = pieces.texts[i];
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    pieces.Add(random.Coin() ? text : std::string(bitnet::kEscapedSpace) + text, 1);
  }
  auto entries = pieces.Entries("bert", &random);
  if (random.Coin()) entries["normalizer.lowercase"] = random.Coin();
  if (random.Coin()) entries["normalizer.strip_accents"] = random.Coin();
  CompareOnVocabulary(entries, /*seed=*/9);
}

// The bytes that random texts have most, the most frequent first.
std::vector<uint8_t> CommonBytes(size_t n) {
  std::array<size_t, 256> seen = {};
  RandomText random(11);
  for (int i = 0; i < 2000; ++i) {
    for (const char c : random.Next()) ++seen[static_cast<uint8_t>(c)];
  }
  std::vector<uint8_t> bytes(256);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  std::stable_sort(bytes.begin(), bytes.end(), [&](uint8_t a, uint8_t b) { return seen[a] > seen[b]; });
  bytes.resize(n);
  return bytes;
}

// A byte-level vocabulary in which every pair of common bytes merges, in random order, so that a word that begins or
// ends elsewhere has other ids almost always; and some words that no merge makes, for the names that ignore merges.
std::map<std::string, bitnet::MetadataValue> AllPairs(RandomText* random) {
  std::vector<std::string> bytes, merges;
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(bitnet::ByteLevelCharacter(static_cast<uint8_t>(byte)));
  static const std::vector<uint8_t> common = CommonBytes(128);
  for (const uint8_t left : common) {
    for (const uint8_t right : common) merges.push_back(bytes[left] + " " + bytes[right]);
  }
  for (size_t i = merges.size(); i > 1; --i) std::swap(merges[i - 1], merges[random->Below(i)]);
  std::vector<std::string> tokens = bytes;
  for (const std::string& merge : merges) {
    const size_t space = merge.find(' ', 1);
    tokens.push_back(merge.substr(0, space) + merge.substr(space + 1));
  }
  for (const char* word : {"Hello", "Ġworld", "123", "ĠĠĠĠ", "!?.", "456", "Ã©tÃ©"}) tokens.emplace_back(word);
  return {{"tokens", Array(tokens)}, {"merges", Array(merges)}};
}

// The same over characters in UTF-8, without a token for each of them.
std::map<std::string, bitnet::MetadataValue> PairsOfCharacters(RandomText* random) {
  std::vector<std::string> tokens, merges;
  std::set<std::string> seen;
  const auto add = [&](const std::string& text) {
    if (!text.empty() && seen.insert(text).second) tokens.push_back(text);
  };
  for (int byte = 0; byte < 256; ++byte) add(bitnet::HexTextOfByte(static_cast<uint8_t>(byte)));
  for (const char* text : {"\n", "\n\n", "\n\n\n"}) add(text);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = bitnet::EscapeSpaces(random->Next());
    std::vector<std::string> characters;
    for (size_t begin = 0; begin < text.size(); begin += characters.back().size()) {
      const size_t length = std::max<size_t>(1, bitnet::Utf8Length(static_cast<unsigned char>(text[begin])));
      characters.push_back(text.substr(begin, length));
    }
    for (size_t k = 0; k + 1 < characters.size(); ++k) {
      const std::string &left = characters[k], &right = characters[k + 1], both = left + right;
      if (both.find_first_of(std::string_view(" \n\0", 3)) != std::string::npos) continue;
      if (random->Coin()) add(left);
      if (seen.contains(both)) continue;
      add(both);
      merges.push_back(left + " " + right);
    }
  }
  return {{"tokens", Array(tokens)}, {"merges", Array(merges)}};
}

// Every name that llama.cpp knows. By 300 texts for the first name of those that split alike; for the others by 100,
// which tell any two names apart that 2,000 do, but llama-bpe from minicpm5.
class TokenizerParityOfPreTokenizers : public ::testing::TestWithParam<std::string> {};

TEST_P(TokenizerParityOfPreTokenizers, RandomTexts) {
  RandomText random(7);
  const bitnet::PreTokenizerName& row = *bitnet::PreTokenizer::FindName(GetParam());
  const bool byte_level = row.alphabet == bitnet::TokenAlphabet::kByteLevel;
  std::map<std::string, bitnet::MetadataValue> entries = byte_level ? AllPairs(&random) : PairsOfCharacters(&random);
  entries["model"] = std::string(GetParam() == "whitespace" ? "whitespace" : "gpt2");
  entries["pre"] = GetParam();
  const auto names = bitnet::PreTokenizerNames();
  const auto first = std::find_if(names.begin(), names.end(), [&](const bitnet::PreTokenizerName& other) {
    return other.canonical == row.canonical && other.alphabet == row.alphabet;
  });
  CompareOnVocabulary(entries, /*seed=*/5, &*first == &row ? 300 : 100);
}

// tokenizer.ggml.model "whitespace" with a pre-tokenizer of byte-level BPE, in lower case unless the file says
// otherwise.
TEST(TokenizerParityOfWhitespace, WithAnotherPreTokenizer) {
  for (const bool lower_case : {true, false}) {
    RandomText random(7);
    std::map<std::string, bitnet::MetadataValue> entries = AllPairs(&random);
    entries["model"] = std::string("whitespace");
    entries["pre"] = std::string("gpt-2");
    if (!lower_case) entries["normalizer.lowercase"] = false;
    CompareOnVocabulary(entries, /*seed=*/10);
  }
}

// The names that bitnet.cpp reads its own way. It refuses bytes that are no UTF-8.
TEST(TokenizerParityOfBitnetCpp, RandomTexts) {
  for (const char* name : {"falcon3", "falcon_e"}) {
    SCOPED_TRACE(name);
    RandomText random(7);
    std::map<std::string, bitnet::MetadataValue> entries = AllPairs(&random);
    entries["model"] = std::string("gpt2");
    entries["pre"] = std::string(name);
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/vocabulary.gguf";
    WriteVocabulary(path, entries);
    CompareOnRandomTexts(
        bitnet::Tokenizer::FromGguf(bitnet::GgufFile::Open(path), bitnet::TokenizerDialect::kBitnetCpp), path,
        /*seed=*/6, "bitnet.cpp");
  }
}

INSTANTIATE_TEST_SUITE_P(Names, TokenizerParityOfPreTokenizers, ::testing::ValuesIn(bitnet::PreTokenizer::Names()),
                         [](const ::testing::TestParamInfo<std::string>& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

INSTANTIATE_TEST_SUITE_P(Seeds, TokenizerParityOfRandomVocabularies, ::testing::Range(0, 6));

TEST(TokenizerParityOfErrors, BothRefuseWhatIsAboveUnicode) {
  const std::string file = VocabularyFile("gpt-2");
  SKIP_UNLESS("llama.cpp", std::filesystem::exists(file), fmt::format("{}: not there; it comes with llama.cpp", file));
  const auto [runner, reason] = FindRunner("llama.cpp");
  SKIP_UNLESS("llama.cpp", !runner.empty(), reason);
  const std::string text = "a\xF4\x90\x80\x80";
  EXPECT_THROW(FromGguf(file).Encode(text, {}), std::runtime_error);
  EXPECT_THROW(AskReference(runner, file, {{text, true, true}}), std::runtime_error);
}

}  // namespace
}  // namespace parity
