// Our tokenizer against a live llama.cpp: the cases that llama.cpp ships with its vocabularies, and random text.
//
// The reference is asked through its runner (`llama_cpp_runner tokenize`), once for each vocabulary. Without the
// runner, or without llama.cpp's vocabularies, the tests are skipped with the reason; PARITY_REQUIRE=llama.cpp makes
// that a failure.
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
#include "parity_tests/harness/engines.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/backend.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using Json = nlohmann::json;

// As many random texts for each vocabulary, or as PARITY_RANDOM_TEXTS says.
size_t NumberOfRandomTexts() {
  const char* number = std::getenv("PARITY_RANDOM_TEXTS");
  return number == nullptr ? 300 : std::stoul(number);
}

struct Question {
  std::string text;
  bool add_special, parse_special;
};

struct Answer {
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;
};

// Skips the test, or fails it where the reference is required.
#define SKIP_UNLESS(engine, condition, reason)    \
  do {                                            \
    if (!(condition)) {                           \
      if (IsRequired(engine)) FAIL() << (reason); \
      GTEST_SKIP() << (reason);                   \
    }                                             \
  } while (false)

std::string VocabularyFile(const std::string& name) {
  return fmt::format("{}/models/ggml-vocab-{}.gguf", PARITY_LLAMA_CPP_SOURCE, name);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(fmt::format("{}: cannot be opened", path));
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string Escaped(const std::string& text) { return TextToJson(text).dump(-1, ' ', true); }

// The runner, or "" and the reason.
std::pair<std::string, std::string> FindRunner(const std::string& engine) {
  const ProbeResult probe = MakeEngine(engine)->Probe();
  if (!probe.available) return {"", fmt::format("{}: {}; {}", engine, probe.problem, probe.remedy)};
  return {probe.found.at(0), ""};
}

ProcessResult RunTokenize(const std::string& runner, const std::string& model, const std::string& in,
                          const std::string& out) {
  return RunProcess({"sh", "-c", R"(exec "$0" tokenize --model "$1" < "$2" > "$3")", runner, model, in, out},
                    TimeLimit());
}

std::vector<Answer> AskReference(const std::string& runner, const std::string& model,
                                 const std::vector<Question>& questions) {
  const TemporaryDirectory directory;
  const std::string in = directory.path() + "/questions", out = directory.path() + "/answers";
  std::ofstream lines(in);
  for (const Question& question : questions) {
    Json line = {{"add_special", question.add_special}, {"parse_special", question.parse_special}};
    const Json text = TextToJson(question.text);
    line.update(text.is_object() ? text : Json{{"text", text}});
    lines << line.dump() << '\n';
  }
  lines.close();
  const ProcessResult result = RunTokenize(runner, model, in, out);
  if (!result.ok()) {
    throw std::runtime_error(fmt::format("{} tokenize --model {}: {}. Its last words:\n{}", runner, model,
                                         result.Describe(), result.last_words));
  }
  std::vector<Answer> answers;
  std::ifstream replies(out);
  for (std::string line; std::getline(replies, line);) {
    const Json reply = Json::parse(line);
    Answer answer{reply.at("ids").get<std::vector<int32_t>>(), {}};
    JsonFields(reply, out).Read("pieces", &answer.pieces);
    answers.push_back(std::move(answer));
  }
  if (answers.size() != questions.size()) {
    throw std::runtime_error(
        fmt::format("{}: found {} answers, expected {}", runner, answers.size(), questions.size()));
  }
  return answers;
}

// Text of everything that splits words or breaks decoders, from one seed.
class RandomText {
 public:
  explicit RandomText(uint32_t seed, bool broken_bytes = true) : random_(seed), broken_bytes_(broken_bytes) {}

  size_t Below(size_t n) { return static_cast<size_t>(random_() % n); }
  bool Coin() { return Below(2) == 0; }

  std::string Next() {
    std::string text;
    const size_t longest = std::array<size_t, 4>{2, 6, 15, 40}[Below(4)];
    for (size_t parts = Below(longest + 1); parts > 0; --parts) text += Part();
    return text;
  }

 private:
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }

  std::string Part() {
    switch (Below(9)) {
      case 8: {
        std::string text;
        for (size_t n = Below(12) + 1; n > 0; --n)
          AppendUtf8(Pick(SetEdges()) + static_cast<uint32_t>(Below(3)) - 1, &text);
        return text;
      }
      case 0:
      case 1:
        return Pick(kWords);
      case 2:
        return Pick(kSpecial);
      case 3:
      case 4:
      case 5: {
        const auto [first, last] = Pick(kBlocks);
        std::string text;
        for (size_t n = Below(8) + 1; n > 0; --n)
          AppendUtf8(first + static_cast<uint32_t>(Below(last - first + 1)), &text);
        return text;
      }
      case 6: {
        const std::string& repeated = Pick(kRepeated);
        std::string text;
        for (size_t n = Below(12) + 1; n > 0; --n) text += repeated;
        return text;
      }
      default:
        return broken_bytes_ ? BrokenBytes() : "\n";
    }
  }

  // The first and last characters of the ranges that pre-tokenizers name.
  static const std::vector<uint32_t>& SetEdges() {
    static const std::vector<uint32_t> edges = [] {
      std::vector<uint32_t> result;
      for (const bitnet::PreTokenizerSteps& row : bitnet::AllPreTokenizerSteps()) {
        for (const bitnet::SplitStep& step : row.steps) {
          for (const bitnet::CodePointSet& set : step.sets) {
            for (const bitnet::CodePointRange& range : set) result.insert(result.end(), {range.first, range.last});
          }
        }
      }
      return result;
    }();
    return edges;
  }

  std::string BrokenBytes() {
    if (Coin()) return Pick(kBroken);
    std::string bytes;
    // Without F4..F7: four bytes above U+10FFFF are refused by both, which ends the reference's run.
    for (size_t n = Below(5) + 1; n > 0; --n) {
      const size_t byte = Below(248);
      bytes += static_cast<char>(byte < 0xF4 ? byte : byte + 4);
    }
    return bytes;
  }

  static void AppendUtf8(uint32_t code, std::string* out) {
    const auto put = [&](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | code >> 6);
      put(0x80 | (code & 0x3F));
    } else {
      if (code < 0x10000) {
        put(0xE0 | code >> 12);
      } else {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3F));
      }
      put(0x80 | (code >> 6 & 0x3F));
      put(0x80 | (code & 0x3F));
    }
  }

  std::mt19937 random_;
  bool broken_bytes_;

  inline static const std::vector<std::string> kWords = {"Hello",
                                                         " world",
                                                         "'s",
                                                         "'S",
                                                         "'re",
                                                         "'LL",
                                                         "n't",
                                                         "'ve",
                                                         "'ſ",
                                                         "naïve",
                                                         "cafe\u0301",
                                                         "привет",
                                                         "你好",
                                                         "世界",
                                                         "こんにちは",
                                                         "한국어",
                                                         "مرحبا",
                                                         "שלום",
                                                         "नमस्ते",
                                                         "ไทย",
                                                         "ελληνικά",
                                                         "👨‍👩‍👧‍👦",
                                                         "🏳️‍🌈",
                                                         "🇩🇪",
                                                         "👍🏽",
                                                         "123",
                                                         "4567890",
                                                         "٣٤٥",
                                                         "Ⅷ½²",
                                                         "1,000.5",
                                                         "!?",
                                                         "...",
                                                         "--",
                                                         "_x_",
                                                         "\"'`",
                                                         "«»",
                                                         "$€",
                                                         "+=<>^~",
                                                         "HelloWorld",
                                                         "aBC",
                                                         "don'Ts",
                                                         "ñandúÉL",
                                                         "a b c",
                                                         "<sentinel:12>",
                                                         "IMGIMGABZ",
                                                         "、。！",
                                                         "…،",
                                                         "ㄅㄆ",
                                                         "𠀀龥",
                                                         "1234567",
                                                         "int main() {\n    return 0;\n}",
                                                         "<b>\t</b>",
                                                         "http://a.b/c?d=e",
                                                         "\r\n",
                                                         "\n\n",
                                                         " \n ",
                                                         "\u3000",
                                                         "\u00a0",
                                                         "\u0085",
                                                         "\u2028",
                                                         "\u200b",
                                                         "\u200d"};
  inline static const std::vector<std::string> kSpecial = {"<|begin_of_text|>",
                                                           "<|end_of_text|>",
                                                           "<|eot_id|>",
                                                           "<|start_header_id|>",
                                                           "<|end_header_id|>",
                                                           "<|endoftext|>",
                                                           "<|padding|>",
                                                           "<|reserved_special_token_3|>",
                                                           "<|begin_of_text",
                                                           "<|",
                                                           "|>",
                                                           "<|<|eot_id|>",
                                                           "<s>",
                                                           "    "};
  inline static const std::vector<std::string> kRepeated = {" ", "\n", "\t", "\r",     "\r\n", "7",
                                                            "a", "ab", "!",  "\u00a0", "é",    "日"};
  inline static const std::vector<std::string> kBroken = {"\x80",
                                                          "\xFF",
                                                          "\xC0\x80",
                                                          "\xC0\xAF",
                                                          "\xE0\x80\xAF",
                                                          "\xED\xA0\x80",
                                                          "\xED\xBF\xBF",
                                                          "\xE2\x82",
                                                          "\xE2\x28\xA1",
                                                          "\xF0\x9F\x91",
                                                          "\xF0\x80\x80\xAF",
                                                          "\xF8\x88\x80\x80\x80",
                                                          "\xF4\x8F\xBF\xBF",
                                                          "\xC3"};
  inline static const std::vector<std::pair<uint32_t, uint32_t>> kBlocks = {
      {0x20, 0x7E},       {0x20, 0x7E},       {0x00, 0x1F},       {0x7F, 0xFF},       {0x100, 0x24F},
      {0x2B0, 0x36F},     {0x370, 0x52F},     {0x590, 0x6FF},     {0x900, 0xDFF},     {0xE00, 0xFFF},
      {0x1000, 0x1FFF},   {0x2000, 0x206F},   {0x2070, 0x2BFF},   {0x3000, 0x30FF},   {0x4E00, 0x9FFF},
      {0x3100, 0x33FF},   {0xA000, 0xABFF},   {0xFE00, 0xFFEF},   {0xAC00, 0xD7A3},   {0xD800, 0xDFFF},
      {0xE000, 0xFFFF},   {0x10000, 0x1FFFF}, {0x11F00, 0x11F5F}, {0x1F300, 0x1FAFF}, {0x20000, 0x323AF},
      {0xE0000, 0xE01EF}, {0, 0x10FFFF}};
};

std::vector<Question> RandomQuestions(uint32_t seed, bool broken_bytes) {
  RandomText text(seed, broken_bytes);
  std::vector<Question> questions(NumberOfRandomTexts());
  for (Question& question : questions) question = {text.Next(), text.Coin(), text.Coin() || text.Coin()};
  return questions;
}

void ExpectSameIds(const bitnet::Tokenizer& tokenizer, const std::vector<Question>& questions,
                   const std::vector<Answer>& answers) {
  constexpr int kShown = 5;
  int different = 0;
  size_t n_ids = 0;
  for (size_t i = 0; i < questions.size(); ++i) {
    const auto& [text, add_special, parse_special] = questions[i];
    const std::vector<int32_t> ids =
        tokenizer.Encode(text, {.add_special = add_special, .parse_special = parse_special});
    std::vector<std::string> pieces;
    pieces.reserve(ids.size());
    for (const int32_t id : ids) pieces.push_back(tokenizer.Piece(id));
    n_ids += ids.size();
    if (ids == answers[i].ids && pieces == answers[i].pieces) continue;
    if (++different > kShown) continue;
    const auto at = std::mismatch(ids.begin(), ids.end(), answers[i].ids.begin(), answers[i].ids.end()).first;
    ADD_FAILURE() << fmt::format("text {}: {} (add_special {}, parse_special {})\nours      {}\nreference {}\n{}", i,
                                 Escaped(text), add_special, parse_special, fmt::join(ids, " "),
                                 fmt::join(answers[i].ids, " "),
                                 ids == answers[i].ids ? "the ids agree, their texts do not"
                                                       : fmt::format("they part at token {}", at - ids.begin()));
  }
  EXPECT_EQ(different, 0) << "of " << questions.size() << " texts";
  std::cout << fmt::format("{} texts, {} ids, {} different\n", questions.size(), n_ids, different);
}

// A space in more bytes than one: llama.cpp aborts on it where spaces are written as U+2581.
bool HasOverlongSpace(const std::string& text) {
  const std::string escaped = bitnet::EscapeSpaces(text);
  for (size_t position = 0; position < escaped.size();) {
    if (bitnet::NextCodePoint(escaped, &position) == ' ') return true;
  }
  return false;
}

// Random texts through both; `model` is what the reference reads.
void CompareOnRandomTexts(const bitnet::Tokenizer& tokenizer, const std::string& model, uint32_t seed,
                          const std::string& engine = "llama.cpp") {
  const auto [runner, reason] = FindRunner(engine);
  SKIP_UNLESS(engine, !runner.empty(), reason);
  std::vector<Question> questions = RandomQuestions(seed, /*broken_bytes=*/engine == "llama.cpp");
  if (tokenizer.pre() == "gemma4") {
    std::erase_if(questions, [](const Question& question) { return HasOverlongSpace(question.text); });
  }
  ExpectSameIds(tokenizer, questions, AskReference(runner, model, questions));
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
                         ::testing::Values("command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4", "gpt-2",
                                           "llama-bpe", "llama-spm", "phi-3", "qwen2", "qwen35", "refact", "starcoder"),
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
                         ::testing::Values("aquila", "baichuan", "command-r", "deepseek-coder", "deepseek-llm",
                                           "falcon", "gemma-4", "gpt-2", "gpt-neox", "llama-bpe", "llama-spm", "mpt",
                                           "phi-3", "qwen2", "qwen35", "refact", "starcoder"),
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

// SentencePiece vocabularies of random pieces of the random texts, with few different scores, so that equal ones meet;
// the bytes in hexadecimal, in one of them as they are.
class TokenizerParityOfRandomVocabularies : public ::testing::TestWithParam<int> {};

TEST_P(TokenizerParityOfRandomVocabularies, SentencePiece) {
  RandomText random(static_cast<uint32_t>(GetParam()));
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  std::set<std::string> seen(texts.begin(), texts.end());
  const auto add = [&](const std::string& text, int32_t type) {
    if (text.empty() || !seen.insert(text).second) return;
    texts.push_back(text);
    types.push_back(type);
  };
  for (int byte = 0; byte < 256; ++byte) {
    const auto value = static_cast<uint8_t>(byte);
    if (GetParam() == 0) {
      add(byte == 0 ? bitnet::HexTextOfByte(value) : std::string(1, static_cast<char>(byte)), 1);
    } else {
      add(bitnet::HexTextOfByte(value), 6);
    }
  }
  for (int i = 0; i < 3000; ++i) {
    const std::string text = bitnet::EscapeSpaces(random.Next());
    if (text.empty()) continue;
    const size_t begin = random.Below(text.size());
    const std::string piece = text.substr(begin, random.Below(7) + 1);
    if (piece.find('\0') != std::string::npos) continue;  // ends a text for the reference's reader
    add(piece, random.Below(100) == 0 ? static_cast<int32_t>(random.Below(5)) + 1 : 1);
    add(piece.substr(0, 2), 1);
  }
  std::vector<float> scores(texts.size());
  for (float& score : scores) score = -static_cast<float>(random.Below(8));
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/vocabulary.gguf";
  WriteVocabulary(path, {{"model", std::string("llama")},
                         {"tokens", Array(texts)},
                         {"scores", Array(scores)},
                         {"token_type", Array(types)},
                         {"add_space_prefix", random.Coin()},
                         {"add_bos_token", random.Coin()},
                         {"add_eos_token", random.Coin()}});
  CompareOnRandomTexts(FromGguf(path), path, /*seed=*/4);
}

// A byte-level vocabulary in which every pair of bytes merges, in random order, so that a word that begins or ends
// elsewhere has other ids almost always; and some words that no merge makes, for the names that ignore merges.
std::map<std::string, bitnet::MetadataValue> AllPairs(RandomText* random) {
  std::vector<std::string> bytes, merges;
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(bitnet::ByteLevelCharacter(static_cast<uint8_t>(byte)));
  for (const std::string& left : bytes) {
    for (const std::string& right : bytes) merges.push_back(left + " " + right);
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

// Every name that llama.cpp knows.
class TokenizerParityOfPreTokenizers : public ::testing::TestWithParam<std::string> {};

TEST_P(TokenizerParityOfPreTokenizers, RandomTexts) {
  RandomText random(7);
  const bool byte_level = bitnet::PreTokenizer::FindName(GetParam())->alphabet == bitnet::TokenAlphabet::kByteLevel;
  std::map<std::string, bitnet::MetadataValue> entries = byte_level ? AllPairs(&random) : PairsOfCharacters(&random);
  entries["model"] = std::string("gpt2");
  entries["pre"] = GetParam();
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/vocabulary.gguf";
  WriteVocabulary(path, entries);
  CompareOnRandomTexts(FromGguf(path), path, /*seed=*/5);
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
  const std::string file = VocabularyFile("llama-bpe");
  SKIP_UNLESS("llama.cpp", std::filesystem::exists(file), fmt::format("{}: not there; it comes with llama.cpp", file));
  const auto [runner, reason] = FindRunner("llama.cpp");
  SKIP_UNLESS("llama.cpp", !runner.empty(), reason);
  const std::string text = "a\xF4\x90\x80\x80";
  EXPECT_THROW(FromGguf(file).Encode(text, {}), std::runtime_error);
  EXPECT_THROW(AskReference(runner, file, {{text, true, true}}), std::runtime_error);
}

}  // namespace
}  // namespace parity
