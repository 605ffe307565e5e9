#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <unordered_map>

#include "engine/gguf/gguf.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {
namespace {

[[noreturn]] void Fail(const GgufFile& file, std::string_view field, std::string_view message) {
  throw std::runtime_error(fmt::format("{}: {}: {}", file.path(), field, message));
}

std::vector<Token> ReadTokens(const GgufFile& file) {
  constexpr std::string_view kTexts = "tokenizer.ggml.tokens", kTypes = "tokenizer.ggml.token_type";
  auto texts = file.Get<std::vector<std::string>>(kTexts);
  const auto types = file.GetOr<std::vector<int32_t>>(kTypes, {});
  if (texts.empty()) Fail(file, kTexts, "found no token, expected at least one; the file has no vocabulary");
  if (texts.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    Fail(file, kTexts, fmt::format("found {} tokens, expected fewer than 2^31", texts.size()));
  }
  if (file.Has(kTypes) && types.size() < texts.size()) {
    Fail(file, kTypes,
         fmt::format("found {} types, expected one for each of the {} tokens", types.size(), texts.size()));
  }
  std::vector<Token> tokens(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    // The reference's name for a token without text.
    tokens[i].text = texts[i].empty() ? fmt::format("[EMPTY_{}]", i) : std::move(texts[i]);
    if (types.empty()) continue;
    const bool known = types[i] >= 0 && types[i] <= static_cast<int32_t>(TokenType::kByte);
    tokens[i].type = known ? static_cast<TokenType>(types[i]) : TokenType::kUndefined;
  }
  std::unordered_map<std::string_view, size_t> seen;
  seen.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto [other, inserted] = seen.emplace(tokens[i].text, i);
    if (!inserted) {
      Fail(file, kTexts,
           fmt::format("found \"{}\" as token {} and as token {}, expected each text once; convert the model again",
                       tokens[i].text, other->second, i));
    }
  }
  return tokens;
}

std::vector<std::pair<std::string, std::string>> ReadMerges(const GgufFile& file) {
  constexpr std::string_view kMerges = "tokenizer.ggml.merges";
  std::vector<std::pair<std::string, std::string>> merges;
  const auto lines = file.Get<std::vector<std::string>>(kMerges);
  merges.reserve(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t space = lines[i].find(' ', 1);
    if (lines[i].empty() || space == std::string::npos || space + 1 == lines[i].size()) {
      Fail(file, kMerges,
           fmt::format("entry {}: found \"{}\", expected two tokens with a space between them", i, lines[i]));
    }
    merges.emplace_back(lines[i].substr(0, space), lines[i].substr(space + 1));
  }
  return merges;
}

// The roles that the file names. An id outside the vocabulary changes nothing but leaves a warning, as in the
// reference; a default outside of it is none.
void ReadRoles(const GgufFile& file, Vocabulary* vocabulary) {
  const std::pair<std::string_view, std::optional<int32_t>*> roles[] = {
      {"bos", &vocabulary->bos},
      {"eos", &vocabulary->eos},
      {"eot", &vocabulary->eot},
      {"eom", &vocabulary->eom},
      {"unknown", &vocabulary->unknown},
      {"seperator", &vocabulary->separator},
      {"fim_pre", &vocabulary->fim_prefix},
      {"fim_suf", &vocabulary->fim_suffix},
      {"fim_mid", &vocabulary->fim_middle},
      {"fim_pad", &vocabulary->fim_pad},
      {"fim_rep", &vocabulary->fim_repo},
      {"fim_sep", &vocabulary->fim_separator},
      // Old names, which win.
      {"prefix", &vocabulary->fim_prefix},
      {"suffix", &vocabulary->fim_suffix},
      {"middle", &vocabulary->fim_middle},
  };
  const size_t n_tokens = vocabulary->tokens.size();
  for (const auto& [name, id] : roles) {
    if (id->has_value() && static_cast<size_t>(**id) >= n_tokens) id->reset();
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    if (!file.Has(key)) continue;
    const auto found = file.Get<uint32_t>(key);
    if (found < n_tokens) {
      *id = static_cast<int32_t>(found);
      continue;
    }
    vocabulary->warnings.push_back(fmt::format(
        "{}: {}: found token id {}, expected 0..{}; {}, as llama.cpp does it; correct the id if the model needs it",
        file.path(), key, found, n_tokens - 1,
        id->has_value() ? fmt::format("took {} instead", **id) : "took none instead"));
  }
}

// The file format has no field for white space that a special token swallows; the reference knows it by the models'
// names.
void SetStripping(const GgufFile& file, std::vector<Token>* tokens) {
  std::string name = file.GetOr<std::string>("general.name", "");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const auto architecture = file.GetOr<std::string>("general.architecture", "");
  const auto contains = [](std::string_view text, std::initializer_list<std::string_view> parts) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](std::string_view part) { return text.find(part) != std::string_view::npos; });
  };
  const auto strip_left = [&](std::string_view text) {
    for (Token& token : *tokens) token.strip_left |= token.text == text;
  };
  const auto pre = file.GetOr<std::string>("tokenizer.ggml.pre", "");
  if (contains(pre, {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) ||
      contains(architecture, {"nomic-bert-moe", "jina-bert-v3"})) {
    strip_left("<mask>");
  } else if (contains(name, {"phi-3", "phi3"})) {
    for (Token& token : *tokens) {
      const bool special = token.type == TokenType::kControl || token.type == TokenType::kUserDefined ||
                           token.type == TokenType::kUnknown;
      token.strip_right = special && token.text != "<unk>" && token.text != "<s>" && token.text != "<|endoftext|>";
    }
  } else if (contains(name, {"modern-bert"})) {
    strip_left("[MASK]");
  }
}

// A value of `tokenizer.ggml.model`, and the reference's ids for a file that names no BOS, EOS and the like.
struct ModelRow {
  std::string_view name;
  VocabularyModel model;
  std::optional<int32_t> bos = {}, eos = {}, unknown = {}, separator = {};
  std::string_view pre = {};  // instead of the file's
  bool drops_spaces = false;
};
constexpr ModelRow kModels[] = {
    {.name = "gpt2", .model = VocabularyModel::kBytePairs, .bos = 11, .eos = 11},
    {.name = "gemma4", .model = VocabularyModel::kBytePairs, .pre = "gemma4"},
    {.name = "whitespace", .model = VocabularyModel::kBytePairs, .bos = 11, .eos = 11, .drops_spaces = true},
    {.name = "llama", .model = VocabularyModel::kSentencePiece, .bos = 1, .eos = 2, .unknown = 0},
    {.name = "t5", .model = VocabularyModel::kUnigram, .eos = 1, .unknown = 2},
    {.name = "bert", .model = VocabularyModel::kWordPiece, .bos = 101, .unknown = 100, .separator = 102}};

const ModelRow& FindModel(const GgufFile& file) {
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  if (!file.Has(kModel)) {
    Fail(file, kModel, "missing; the file has no tokenizer, convert the model again with its tokenizer beside it");
  }
  const auto name = file.Get<std::string>(kModel);
  std::string names;
  for (const ModelRow& row : kModels) {
    if (row.name == name) return row;
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", row.name);
  }
  Fail(file, kModel,
       fmt::format(
           "found \"{}\", expected one of {}; other tokenizers are not supported, give token ids instead of text", name,
           names));
}

void ReadBytePairs(const GgufFile& file, std::string_view pre, TokenizerDialect dialect, Vocabulary* vocabulary) {
  const PreTokenizerName* row = PreTokenizer::FindName(pre, dialect);
  if (row != nullptr && row->alphabet == TokenAlphabet::kCharacters && !vocabulary->drops_spaces) {
    Fail(file, "tokenizer.ggml.model",
         fmt::format("found \"gpt2\" with tokenizer.ggml.pre \"{}\", expected \"whitespace\"; convert the model again",
                     pre));
  }
  if (row == nullptr) {
    Fail(file, "tokenizer.ggml.pre",
         fmt::format("found \"{}\", expected one of {}; if it splits as one of these does, convert the model with that "
                     "name, or give token ids instead of text",
                     pre, fmt::join(PreTokenizer::Names(dialect), ", ")));
  }
  vocabulary->pre = row->canonical;
  vocabulary->alphabet = row->alphabet;
  vocabulary->ignore_merges = row->ignore_merges;
  vocabulary->newlines_are_words = row->newlines_are_words;
  if (vocabulary->drops_spaces) {
    const bool lower_case = row->alphabet != TokenAlphabet::kCharacters;
    vocabulary->lower_case = file.GetOr<bool>("tokenizer.ggml.normalizer.lowercase", lower_case);
  }
  vocabulary->add_bos = file.GetOr<bool>("tokenizer.ggml.add_bos_token", row->add_bos) || row->force_bos;
  if (file.Has("tokenizer.ggml.merges") || !row->merges_optional) vocabulary->merges = ReadMerges(file);
  if (row->no_default_bos) vocabulary->bos.reset();
}

// Integers count as numbers; a file without scores has zeros.
void ReadScores(const GgufFile& file, std::vector<Token>* tokens) {
  constexpr std::string_view kScores = "tokenizer.ggml.scores";
  if (!file.Has(kScores)) return;
  std::vector<float> scores;
  const auto* array = std::get_if<std::shared_ptr<MetadataArray>>(file.Find(kScores));
  if (array != nullptr && std::holds_alternative<std::vector<int32_t>>((*array)->values)) {
    const auto& integers = std::get<std::vector<int32_t>>((*array)->values);
    std::transform(integers.begin(), integers.end(), std::back_inserter(scores),
                   [](int32_t score) { return static_cast<float>(score); });
  } else {
    scores = file.Get<std::vector<float>>(kScores);
  }
  if (scores.size() < tokens->size()) {
    Fail(file, kScores,
         fmt::format("found {} scores, expected one for each of the {} tokens", scores.size(), tokens->size()));
  }
  for (size_t i = 0; i < tokens->size(); ++i) (*tokens)[i].score = scores[i];
}

void ReadUnigram(const GgufFile& file, Vocabulary* vocabulary) {
  constexpr std::string_view kCharsmap = "tokenizer.ggml.precompiled_charsmap";
  vocabulary->add_bos = file.GetOr<bool>("tokenizer.ggml.add_bos_token", false);
  vocabulary->add_space_prefix = file.GetOr<bool>("tokenizer.ggml.add_space_prefix", false);
  vocabulary->merge_spaces = file.GetOr<bool>("tokenizer.ggml.remove_extra_whitespaces", false);
  if (!file.Has(kCharsmap)) return;
  const auto* array = std::get_if<std::shared_ptr<MetadataArray>>(file.Find(kCharsmap));
  const auto take = [&](const auto& bytes) { vocabulary->charsmap.assign(bytes.begin(), bytes.end()); };
  if (array != nullptr && std::holds_alternative<std::vector<int8_t>>((*array)->values)) {
    take(std::get<std::vector<int8_t>>((*array)->values));
  } else {
    take(file.Get<std::vector<uint8_t>>(kCharsmap));
  }
  if (vocabulary->charsmap.empty()) Fail(file, kCharsmap, "found no byte, expected at least five");
}

}  // namespace

Vocabulary ReadGgufVocabulary(const GgufFile& file, TokenizerDialect dialect) {
  Vocabulary vocabulary;
  vocabulary.source = file.path();
  const ModelRow& row = FindModel(file);
  vocabulary.model = row.model;
  vocabulary.tokens = ReadTokens(file);
  vocabulary.bos = row.bos;
  vocabulary.eos = row.eos;
  vocabulary.unknown = row.unknown;
  vocabulary.separator = row.separator;
  vocabulary.drops_spaces = row.drops_spaces;
  switch (row.model) {
    case VocabularyModel::kBytePairs: {
      const auto pre = file.GetOr<std::string>("tokenizer.ggml.pre", "");
      ReadBytePairs(file, row.pre.empty() ? pre : row.pre, dialect, &vocabulary);
      break;
    }
    case VocabularyModel::kSentencePiece:
      ReadScores(file, &vocabulary.tokens);
      vocabulary.add_bos = file.GetOr<bool>("tokenizer.ggml.add_bos_token", true);
      vocabulary.add_space_prefix = file.GetOr<bool>("tokenizer.ggml.add_space_prefix", true);
      break;
    case VocabularyModel::kUnigram:
      ReadScores(file, &vocabulary.tokens);
      ReadUnigram(file, &vocabulary);
      break;
    case VocabularyModel::kWordPiece:
      vocabulary.lower_case = file.GetOr<bool>("tokenizer.ggml.normalizer.lowercase", true);
      vocabulary.strip_accents = file.GetOr<bool>("tokenizer.ggml.normalizer.strip_accents", vocabulary.lower_case);
      vocabulary.add_bos = true;
      vocabulary.add_separator = true;
      break;
    case VocabularyModel::kPipeline:
      break;  // no GGUF file has one
  }
  const bool adds_eos = row.model == VocabularyModel::kUnigram;
  vocabulary.add_eos =
      row.model != VocabularyModel::kWordPiece && file.GetOr<bool>("tokenizer.ggml.add_eos_token", adds_eos);
  ReadRoles(file, &vocabulary);
  AssignRolesByText(&vocabulary);
  SetStripping(file, &vocabulary.tokens);
  vocabulary.chat_template = file.GetOr<std::string>("tokenizer.chat_template", "");
  return vocabulary;
}

}  // namespace bitnet
