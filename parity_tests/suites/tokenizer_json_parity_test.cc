// Our reading of tokenizer.json files against Hugging Face's: files of the kinds that models come with, made from the
// vocabularies that llama.cpp ships, and files of random parts; random text. In tokenizers_package/ `npm ci` installs
// the JavaScript package, which CTest asks; PARITY_TOKENIZERS=tokenizers asks the original in Rust, where
// PARITY_TOKENIZERS_DIR/node_modules has it. PARITY_RANDOM_TEXTS is the number of texts. Without node or the package
// the tests are skipped with the reason.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/gguf/gguf.h"
#include "engine/tokenizer/normalizers.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"
#include "parity_tests/suites/random_text_for_test.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using Json = nlohmann::json;

const char* PackageName() {
  const char* name = std::getenv("PARITY_TOKENIZERS");
  return name == nullptr ? "@huggingface/tokenizers" : name;
}
bool IsOriginal() { return std::string_view(PackageName()) == "tokenizers"; }

constexpr const char* kFolder = PARITY_SOURCE_DIR "/parity_tests/suites/tokenizers_package";

size_t NumberOfTexts() {
  const char* number = std::getenv("PARITY_RANDOM_TEXTS");
  return number == nullptr ? 200 : std::stoul(number);
}

// The reason why there is no other tokenizer; empty where there is one.
std::string Missing() {
  static const std::string reason = [] {
    const ProcessResult node = RunProcess({"node", "--version"}, std::chrono::seconds(20));
    if (!node.ok()) return fmt::format("node: {}", node.start_error.empty() ? node.Describe() : node.start_error);
    const std::string package = fmt::format("{}/node_modules/{}", kFolder, PackageName());
    if (std::getenv("PARITY_TOKENIZERS_DIR") != nullptr || std::filesystem::exists(package)) return std::string();
    return fmt::format("{}: not there; run `npm ci --ignore-scripts` in {}", package, kFolder);
  }();
  return reason;
}

// Each library has a version of Unicode for each of its purposes, 8.0 and 16.0 among them: characters that are not the
// same in all of them are left out.
constexpr std::pair<uint32_t, uint32_t> kNewMarks[] = {
    {0x61D, 0x61D},   {0x7FD, 0x7FD},   {0x890, 0x891},   {0x898, 0x89F},   {0x8CA, 0x8E3},   {0x9FD, 0x9FE},
    {0xA76, 0xA76},   {0xAFA, 0xAFF},   {0xB55, 0xB55},   {0xC04, 0xC04},   {0xC3C, 0xC3C},   {0xC77, 0xC77},
    {0xC84, 0xC84},   {0xCF3, 0xCF3},   {0xD00, 0xD00},   {0xD3B, 0xD3C},   {0xD81, 0xD81},   {0xEBA, 0xEBA},
    {0xECE, 0xECE},   {0x1715, 0x1715}, {0x180F, 0x180F}, {0x1ABF, 0x1ACE}, {0x1B7D, 0x1B7E}, {0x1CF7, 0x1CF7},
    {0x1DF6, 0x1DFB}, {0x2E43, 0x2E4F}, {0x2E52, 0x2E5D}, {0x2FFC, 0x2FFF}, {0x31EF, 0x31EF}, {0xA69E, 0xA69E},
    {0xA82C, 0xA82C}, {0xA8C5, 0xA8C5}, {0xA8FC, 0xA8FC}, {0xA8FF, 0xA8FF}, {0xFE2E, 0xFE2F}};

bool IsOldCharacter(uint32_t c) {
  // White space in JavaScript is another set, and Chinese characters beyond U+FFFF are none.
  if (c == 0x85 || c == 0xFEFF || c >= 0x20000) return IsOriginal() && c <= 0x2A6D6;
  for (const auto& [first, last] : kNewMarks) {
    if (c >= first && c <= last) return false;
  }
  if (c >= 0x10000) return c >= 0x1F300 && c < 0x1F650;
  return bitnet::ClassOf(c) != bitnet::UnicodeClass::kOther;
}

std::vector<std::string> RandomTexts(uint32_t seed) {
  RandomText random(seed, /*broken_bytes=*/false);
  std::vector<std::string> texts(NumberOfTexts());
  for (std::string& text : texts) {
    const std::string any = bitnet::ToValidUtf8(random.Next());
    for (size_t position = 0; position < any.size();) {
      const uint32_t c = bitnet::NextCodePoint(any, &position);
      if (IsOldCharacter(c)) bitnet::AppendUtf8(c, &text);
    }
  }
  return texts;
}

struct Difference {
  std::string text;
  std::vector<int32_t> ours, theirs;
};

// Texts with other ids; each text with and without special tokens in turn.
std::vector<Difference> Compare(const Json& file, const std::vector<std::string>& texts) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/tokenizer.json", in = directory.path() + "/texts";
  std::ofstream(path) << file.dump();
  std::ofstream lines(in);
  for (size_t i = 0; i < texts.size(); ++i) lines << Json{{"text", texts[i]}, {"add_special", i % 2 == 0}} << '\n';
  lines.close();
  const ProcessResult result =
      RunProcess({"sh", "-c", R"(exec node "$0" "$1" "$2" < "$3" > "$4")", std::string(kFolder) + "/encode.mjs", path,
                  PackageName(), in, directory.path() + "/ids"},
                 TimeLimit());
  if (!result.ok())
    throw std::runtime_error(fmt::format("{}: {}\n{}", PackageName(), result.Describe(), result.last_words));
  const bitnet::Tokenizer tokenizer = bitnet::Tokenizer::FromTokenizerJson(path);
  std::vector<Difference> differences;
  std::ifstream answers(directory.path() + "/ids");
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string line;
    if (!std::getline(answers, line)) throw std::runtime_error(fmt::format("no answer for text {}", i));
    const auto theirs = Json::parse(line).get<std::vector<int32_t>>();
    std::vector<int32_t> ours;
    try {
      ours = tokenizer.Encode(texts[i], {.add_special = i % 2 == 0});
    } catch (const std::exception& error) {
      std::cout << error.what() << '\n';
    }
    if (ours != theirs) differences.push_back({texts[i], ours, theirs});
  }
  return differences;
}

void ExpectSame(const Json& file, uint32_t seed) {
  const std::vector<std::string> texts = RandomTexts(seed);
  const std::vector<Difference> differences = Compare(file, texts);
  for (size_t i = 0; i < std::min<size_t>(differences.size(), 4); ++i) {
    const Difference& d = differences[i];
    ADD_FAILURE() << fmt::format("{}\nours   {}\ntheirs {}", Json(d.text).dump(-1, ' ', true), fmt::join(d.ours, " "),
                                 fmt::join(d.theirs, " "));
  }
  EXPECT_TRUE(differences.empty()) << differences.size() << " of " << texts.size() << " texts";
  std::cout << fmt::format("{} texts, {} different\n", texts.size(), differences.size());
}

Json Added(int32_t id, const std::string& text, bool special = true) {
  return {{"id", id},        {"content", text},        {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", !special}, {"special", special}};
}
Json Replace(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}
Json Metaspace(const char* scheme, bool split = true) {
  return {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", split}};
}
Json ByteLevel(bool add_prefix_space, bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}
Json Split(const char* expression, const char* behavior, bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", behavior}, {"invert", invert}};
}
Json Sequence(const char* key, std::initializer_list<Json> parts) { return {{"type", "Sequence"}, {key, parts}}; }
Json Special(const std::string& text) { return {{"SpecialToken", {{"id", text}, {"type_id", 0}}}}; }
Json Template(const std::vector<std::pair<std::string, int32_t>>& before,
              const std::vector<std::pair<std::string, int32_t>>& after) {
  Json single = Json::array(), tokens = Json::object();
  const auto add = [&](const auto& list) {
    for (const auto& [text, id] : list) {
      single.push_back(Special(text));
      tokens[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
    }
  };
  add(before);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add(after);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", Json::array()}, {"special_tokens", tokens}};
}

Json File(Json model) {
  return {{"version", "1.0"},          {"truncation", nullptr},
          {"padding", nullptr},        {"added_tokens", Json::array()},
          {"normalizer", nullptr},     {"pre_tokenizer", nullptr},
          {"post_processor", nullptr}, {"decoder", nullptr},
          {"model", std::move(model)}};
}

class Published {
 public:
  explicit Published(const std::string& name)
      : path_(fmt::format("{}/models/ggml-vocab-{}.gguf", PARITY_LLAMA_CPP_SOURCE, name)) {}

  bool exists() const { return std::filesystem::exists(path_); }
  const std::string& path() const { return path_; }
  template <typename T>
  T Get(const char* key) const {
    return bitnet::GgufFile::Open(path_).Get<T>(fmt::format("tokenizer.ggml.{}", key));
  }

 private:
  std::string path_;
};

// Llama 2's vocabulary as BPE: two tokens that make a token are a merge, the one with the higher score first.
Json Llama2Model(const Published& published) {
  const auto texts = published.Get<std::vector<std::string>>("tokens");
  const auto scores = published.Get<std::vector<float>>("scores");
  std::map<std::string, size_t> ids;
  for (size_t i = 0; i < texts.size(); ++i) ids.emplace(texts[i], i);
  struct Merge {
    float score;
    std::string left, right;
  };
  std::vector<Merge> merges;
  for (size_t i = 0; i < texts.size(); ++i) {
    for (size_t cut = 1; cut < texts[i].size(); ++cut) {
      const std::string left = texts[i].substr(0, cut), right = texts[i].substr(cut);
      if (ids.contains(left) && ids.contains(right)) merges.push_back({scores[i], left, right});
    }
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) { return a.score > b.score; });
  Json list = Json::array();
  for (const Merge& merge : merges) list.push_back({merge.left, merge.right});
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", "<unk>"},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", true},
          {"byte_fallback", true},
          {"ignore_merges", false},
          {"vocab", ids},
          {"merges", list}};
}

#define SKIP_WITHOUT(published)                                                                              \
  do {                                                                                                       \
    if (!Missing().empty()) GTEST_SKIP() << Missing();                                                       \
    if (!(published).exists()) GTEST_SKIP() << (published).path() << ": not there; it comes with llama.cpp"; \
  } while (false)

TEST(TokenizerJsonParity, Llama2) {
  const Published published("llama-spm");
  SKIP_WITHOUT(published);
  Json file = File(Llama2Model(published));
  file["added_tokens"] = {Added(0, "<unk>"), Added(1, "<s>"), Added(2, "</s>")};
  file["normalizer"] = Sequence("normalizers", {{{"type", "Prepend"}, {"prepend", "▁"}}, Replace(" ", "▁")});
  file["post_processor"] = Template({{"<s>", 1}}, {});
  file["decoder"] = Sequence("decoders", {Replace("▁", " "),
                                          {{"type", "ByteFallback"}},
                                          {{"type", "Fuse"}},
                                          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}});
  ExpectSame(file, 11);
  // Gemma's: no space before the text, and words that end with a space.
  file["normalizer"] = Replace(" ", "▁");
  file["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
  ExpectSame(file, 12);
  // Llama 2's newer form.
  file["normalizer"] = nullptr;
  file["pre_tokenizer"] = Metaspace("first", /*split=*/false);
  ExpectSame(file, 13);
}

// XLM-RoBERTa's vocabulary, the frequent half of it.
TEST(TokenizerJsonParity, Unigram) {
  const Published published("nomic-bert-moe");
  SKIP_WITHOUT(published);
  const auto texts = published.Get<std::vector<std::string>>("tokens");
  const auto scores = published.Get<std::vector<float>>("scores");
  Json vocab = Json::array();
  for (size_t i = 0; i < std::min<size_t>(texts.size(), IsOriginal() ? texts.size() : 30000); ++i) {
    vocab.push_back({texts[i], scores[i]});
  }
  Json file = File({{"type", "Unigram"}, {"unk_id", 3}, {"vocab", vocab}, {"byte_fallback", false}});
  file["added_tokens"] = {Added(0, "<s>"), Added(1, "<pad>"), Added(2, "</s>"), Added(3, "<unk>")};
  file["post_processor"] = Template({{"<s>", 0}}, {{"</s>", 2}});
  file["pre_tokenizer"] = Metaspace("always");
  file["decoder"] = Metaspace("always");
  ExpectSame(file, 14);
  file["pre_tokenizer"] = Sequence("pretokenizers", {{{"type", "WhitespaceSplit"}}, Metaspace("always")});
  ExpectSame(file, 19);
  if (!IsOriginal()) return;  // the package in JavaScript reads neither `first` nor the map as the original does
  file["pre_tokenizer"] = Sequence("pretokenizers", {{{"type", "WhitespaceSplit"}}, Metaspace("first")});
  ExpectSame(file, 15);
  const auto map = published.Get<std::vector<uint8_t>>("precompiled_charsmap");
  std::string base64;
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i + 2 < map.size(); i += 3) {
    const uint32_t bits = static_cast<uint32_t>(map[i] << 16 | map[i + 1] << 8 | map[i + 2]);
    for (int shift = 18; shift >= 0; shift -= 6) base64 += kDigits[bits >> shift & 63];
  }
  const size_t rest = map.size() % 3;
  if (rest == 1) base64 += {kDigits[map.back() >> 2], kDigits[(map.back() & 3) << 4], '=', '='};
  if (rest == 2) {
    const uint32_t bits = static_cast<uint32_t>(map[map.size() - 2] << 8 | map.back());
    base64 += {kDigits[bits >> 10], kDigits[bits >> 4 & 63], kDigits[(bits & 15) << 2], '='};
  }
  file["pre_tokenizer"] = Sequence("pretokenizers", {{{"type", "WhitespaceSplit"}}, Metaspace("always")});
  file["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", base64}};
  ExpectSame(file, 16);
}

TEST(TokenizerJsonParity, Bert) {
  const Published published("bert-bge");
  SKIP_WITHOUT(published);
  const auto texts = published.Get<std::vector<std::string>>("tokens");
  Json vocab = Json::object();
  for (size_t i = 0; i < texts.size(); ++i) {
    const bool bracketed = texts[i].starts_with('[') && texts[i].ends_with(']');
    const std::string_view text = texts[i];
    vocab[bracketed ? texts[i] : text.starts_with("▁") ? std::string(text.substr(3)) : "##" + texts[i]] = i;
  }
  Json file = File({{"type", "WordPiece"},
                    {"unk_token", "[UNK]"},
                    {"continuing_subword_prefix", "##"},
                    {"max_input_chars_per_word", 100},
                    {"vocab", vocab}});
  file["added_tokens"] = {Added(0, "[PAD]"), Added(100, "[UNK]"), Added(101, "[CLS]"), Added(102, "[SEP]")};
  file["normalizer"] = {{"type", "BertNormalizer"},
                        {"clean_text", true},
                        {"handle_chinese_chars", true},
                        {"strip_accents", nullptr},
                        {"lowercase", true}};
  file["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  file["post_processor"] = Template({{"[CLS]", 101}}, {{"[SEP]", 102}});
  file["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  ExpectSame(file, 17);
}

// Qwen's: NFC, an expression that llama.cpp has no name for in a tokenizer.json, bytes.
TEST(TokenizerJsonParity, ByteLevel) {
  const Published published("qwen2");
  SKIP_WITHOUT(published);
  const auto texts = published.Get<std::vector<std::string>>("tokens");
  const auto lines = published.Get<std::vector<std::string>>("merges");
  Json vocab = Json::object(), merges = Json::array();
  constexpr size_t kMerges = 20000;
  for (size_t i = 0; i < 256 + kMerges; ++i) vocab[texts[i]] = i;
  for (size_t i = 0; i < kMerges; ++i) merges.push_back(lines[i]);
  Json file = File({{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}, {"byte_fallback", false}});
  file["added_tokens"] = {Added(256 + kMerges, "<|endoftext|>"), Added(257 + kMerges, "<|im_start|>")};
  file["normalizer"] = {{"type", "NFC"}};
  file["pre_tokenizer"] = Sequence(
      "pretokenizers",
      {Split(
           R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
           "Isolated"),
       ByteLevel(false, false)});
  file["decoder"] = ByteLevel(false, false);
  ExpectSame(file, 18);
}

// Vocabularies of random pieces behind random parts.
class RandomFile {
 public:
  explicit RandomFile(uint32_t seed) : random_(seed, /*broken_bytes=*/false) {}

  Json Next() {
    Json file = File(Model());
    for (size_t n = random_.Below(4); n > 0; --n) {
      Json token = Added(static_cast<int32_t>(texts_.size()), Special(), random_.Coin());
      if (!seen_.insert(token["content"]).second) continue;
      for (const char* key : {"lstrip", "rstrip", "single_word", "normalized"}) token[key] = random_.Below(3) == 0;
      texts_.push_back(token["content"]);
      file["added_tokens"].push_back(token);
    }
    if (random_.Coin()) file["normalizer"] = Chain("normalizers", &RandomFile::Normalizer);
    first_ = file["normalizer"].is_null() ? "first" : "never";
    if (random_.Below(4) != 0) file["pre_tokenizer"] = Chain("pretokenizers", &RandomFile::PreTokenizer);
    return file;
  }

 private:
  template <typename T>
  T Pick(std::initializer_list<T> from) {
    return *(from.begin() + static_cast<ptrdiff_t>(random_.Below(from.size())));
  }

  Json Chain(const char* key, Json (RandomFile::*part)()) {
    if (random_.Coin()) return (this->*part)();
    Json parts = Json::array();
    for (size_t n = random_.Below(4); n > 0; --n) parts.push_back((this->*part)());
    return {{"type", "Sequence"}, {key, parts}};
  }

  std::string Special() { return Pick<const char*>({"<s>", "<|eot_id|>", "Hello", "ll", "</s>", "1", "<|", "é", "▁"}); }

  Json Pattern() {
    if (random_.Coin()) return {{"String", Pick<const char*>({" ", "l", "▁", "'", "12", ".", "\n"})}};
    return {{"Regex", Pick<const char*>({R"(\s+)", R"(\p{N}{1,3})", R"([^\s\p{L}]+)", R"( ?\p{L}+)", R"(\p{Lu}\p{Ll}*)",
                                         R"((?i:'s|'t)|\p{P})", R"(\p{Han}+)", R"(\s+$)", R"(\d)", R"([\r\n]+)"})}};
  }

  Json Normalizer() {
    const std::string type = Pick<const char*>({"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Strip",
                                                "Replace", "Prepend", "BertNormalizer", "Nmt", "ByteLevel"});
    Json part = {{"type", type}};
    if (type == "Strip") part.update({{"strip_left", random_.Coin()}, {"strip_right", random_.Coin()}});
    if (type == "Replace") part.update({{"pattern", Pattern()}, {"content", Pick<const char*>({"", "_", "▁", "x y"})}});
    if (type == "Prepend") part["prepend"] = Pick<const char*>({"▁", "x"});
    if (type == "BertNormalizer") {
      for (const char* key : {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"})
        part[key] = random_.Coin();
      if (random_.Coin()) part["strip_accents"] = nullptr;
    }
    return part;
  }

  Json PreTokenizer() {
    const std::string type =
        Pick<const char*>({"BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "FixedLength", "Metaspace",
                           "Punctuation", "Split", "Whitespace", "WhitespaceSplit"});
    const char* behavior =
        Pick<const char*>({"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"});
    Json part = {{"type", type}};
    if (type == "ByteLevel") part = ByteLevel(random_.Coin(), random_.Coin());
    if (type == "CharDelimiterSplit") part["delimiter"] = Pick<const char*>({" ", "l", "é"});
    if (type == "Digits") part["individual_digits"] = random_.Coin();
    if (type == "FixedLength") part["length"] = random_.Below(5) + 1;
    // `first` asks where a character stood before the normalizers, which ours do not keep.
    if (type == "Metaspace") part = Metaspace(Pick<const char*>({"always", "never", first_}), random_.Coin());
    if (type == "Punctuation") part["behavior"] = behavior;
    if (type == "Split") part.update({{"pattern", Pattern()}, {"behavior", behavior}, {"invert", random_.Coin()}});
    return part;
  }

  void Add(const std::string& text) {
    if (!text.empty() && seen_.insert(text).second) texts_.push_back(text);
  }

  // The beginnings of a text by characters.
  std::vector<std::string> CharactersOf(const std::string& text) {
    std::vector<std::string> characters;
    for (size_t begin = 0; begin < text.size();) {
      size_t end = begin + 1;
      while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;
      characters.push_back(text.substr(begin, end - begin));
      begin = end;
    }
    return characters;
  }

  Json Model() {
    Add("<unk>");
    const std::string type = Pick<const char*>({"BPE", "Unigram", "WordPiece", "WordLevel"});
    const std::string prefix = type == "WordPiece" ? "##" : Pick<const char*>({"", "", "##"});
    const std::string suffix = type == "BPE" ? Pick<const char*>({"", "", "</w>"}) : "";
    const bool has_bytes = random_.Coin();
    for (int byte = 0; has_bytes && byte < 256; ++byte) Add(bitnet::HexTextOfByte(static_cast<uint8_t>(byte)));
    Json merges = Json::array();
    for (int i = 0; i < 800; ++i) {
      std::string text = bitnet::ToValidUtf8(random_.Next());
      if (random_.Coin()) text = bitnet::EscapeSpaces(text);
      const std::vector<std::string> characters = CharactersOf(text);
      for (size_t k = 0; k + 1 < characters.size(); ++k) {
        const std::string left = (k == 0 ? "" : prefix) + characters[k], right = prefix + characters[k + 1];
        if (random_.Coin()) Add(characters[k]);
        if (type != "BPE") {
          Add((random_.Coin() ? "" : type == "WordPiece" ? prefix : "") + characters[k] + characters[k + 1]);
          continue;
        }
        const std::string both = left + right.substr(prefix.size());
        const std::string end = random_.Coin() ? suffix : "";
        for (const std::string& token : {left, right + end, both + end}) Add(token);
        merges.push_back({left, right + end});
      }
    }
    Json model = {{"type", type}};
    if (type == "Unigram") {
      model["vocab"] = Json::array();
      for (const std::string& text : texts_) model["vocab"].push_back({text, -static_cast<double>(random_.Below(8))});
      model.update({{"unk_id", 0}, {"byte_fallback", has_bytes && random_.Coin()}});
      return model;
    }
    for (size_t i = 0; i < texts_.size(); ++i) model["vocab"][texts_[i]] = i;
    model["unk_token"] = "<unk>";
    if (type == "WordPiece") model.update({{"continuing_subword_prefix", "##"}, {"max_input_chars_per_word", 20}});
    if (type == "BPE") {
      model.update({{"merges", merges},
                    {"byte_fallback", has_bytes},
                    {"fuse_unk", random_.Coin()},
                    {"ignore_merges", random_.Coin()},
                    {"dropout", nullptr},
                    {"continuing_subword_prefix", prefix.empty() ? Json() : Json(prefix)},
                    {"end_of_word_suffix", suffix.empty() ? Json() : Json(suffix)}});
      if (random_.Below(3) == 0) model["unk_token"] = nullptr;
    }
    return model;
  }

  RandomText random_;
  const char* first_ = "never";
  std::vector<std::string> texts_;
  std::set<std::string> seen_;
};

// The original alone does what is documented for all of these.
TEST(TokenizerJsonParity, RandomFiles) {
  if (!Missing().empty()) GTEST_SKIP() << Missing();
  if (!IsOriginal()) GTEST_SKIP() << "PARITY_TOKENIZERS: found " << PackageName() << ", expected tokenizers";
  const char* first = std::getenv("PARITY_FIRST_FILE");
  const char* files = std::getenv("PARITY_RANDOM_FILES");
  const uint32_t begin = first == nullptr ? 0 : static_cast<uint32_t>(std::stoul(first));
  for (uint32_t seed = begin; seed < begin + (files == nullptr ? 20 : std::stoul(files)); ++seed) {
    const Json file = RandomFile(seed).Next();
    Json shown = file;
    shown["model"].erase("vocab");
    shown["model"].erase("merges");
    SCOPED_TRACE(fmt::format("file {}: {}", seed, shown.dump()));
    ExpectSame(file, seed);
  }
}

}  // namespace
}  // namespace parity
