#include "engine/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/sentencepiece.h"
#include "engine/tokenizer/tokenizer_model.h"
#include "engine/tokenizer/unigram.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/wordpiece.h"

namespace bitnet {
namespace {

bool IsSpecial(TokenType type) {
  return type == TokenType::kControl || type == TokenType::kUserDefined || type == TokenType::kUnknown;
}

// The value of "<0x41>"; nothing for any other text.
std::optional<char> ByteOfHexText(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'F', lower = c >= 'a' && c <= 'f';
    if (!digit && !upper && !lower) return std::nullopt;
    value = value * 16 + (digit ? c - '0' : upper ? c - 'A' + 10 : c - 'a' + 10);
  }
  return static_cast<char>(value);
}

std::string PieceOf(const Token& token, const TokenizerModel& model) {
  switch (token.type) {
    case TokenType::kUndefined:
    case TokenType::kUnused:
      return "";
    case TokenType::kNormal:
      return model.BytesOfText(token.text);
    case TokenType::kByte:
      if (const auto byte = ByteOfHexText(token.text)) return std::string(1, *byte);
      break;
    case TokenType::kUnknown:
    case TokenType::kControl:
    case TokenType::kUserDefined:
      break;
  }
  return token.text;
}

std::unique_ptr<const TokenizerModel> MakeModel(const Vocabulary& vocabulary) {
  switch (vocabulary.model) {
    case VocabularyModel::kBytePairs:
      return std::make_unique<BytePairModel>(vocabulary);
    case VocabularyModel::kSentencePiece:
      return std::make_unique<SentencePieceModel>(vocabulary);
    case VocabularyModel::kUnigram:
      return std::make_unique<UnigramModel>(vocabulary);
    case VocabularyModel::kWordPiece:
      return std::make_unique<WordPieceModel>(vocabulary);
  }
  throw std::logic_error("a vocabulary of no known model");
}

bool IsAsciiSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// A part of the text, or a special token that was found in it.
struct Fragment {
  size_t begin, end;
  int32_t token = -1;
};

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(Vocabulary data) : vocabulary(std::move(data)), model(MakeModel(vocabulary)) {
    pieces.reserve(vocabulary.tokens.size());
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
      const Token& token = vocabulary.tokens[i];
      pieces.push_back(PieceOf(token, *model));
      if (!IsSpecial(token.type)) continue;
      special_tokens.push_back(static_cast<int32_t>(i));
      special_of_text.emplace(token.text, static_cast<int32_t>(i));
    }
    // Longest first. The order of equally long ones decides only where two such texts overlap; it is that of std::sort,
    // as in the reference.
    std::sort(special_tokens.begin(), special_tokens.end(),
              [&](int32_t a, int32_t b) { return token(a).text.size() > token(b).text.size(); });
  }

  const Token& token(int32_t id) const { return vocabulary.tokens[static_cast<size_t>(id)]; }

  void CheckId(int32_t id, std::string_view where) const {
    if (static_cast<size_t>(id) >= vocabulary.tokens.size()) {  // a negative id too
      throw std::runtime_error(
          fmt::format("{}: {}: found token id {}, expected 0..{}; are the ids of another vocabulary?",
                      vocabulary.source, where, id, static_cast<int64_t>(vocabulary.tokens.size()) - 1));
    }
  }

  int32_t Required(std::optional<int32_t> id, std::string_view name) const {
    if (!id.has_value()) {
      throw std::runtime_error(
          fmt::format("{}: the vocabulary asks for {} to be added but names no such token; set "
                      "tokenizer.ggml.{}_token_id or encode "
                      "without special tokens",
                      vocabulary.source, name, name));
    }
    return *id;
  }

  // Splits at special tokens: each in turn, at its leftmost occurrence in what the earlier ones left. Source:
  // llama_vocab::impl::tokenizer_st_partition in llama.cpp v0.5.0's src/llama-vocab.cpp.
  std::vector<Fragment> Partition(std::string_view text, bool parse_special) const {
    std::vector<Fragment> fragments;
    if (!text.empty()) fragments.push_back({0, text.size()});
    std::vector<Fragment> next;
    for (const int32_t id : special_tokens) {
      const Token& special = token(id);
      // User-defined tokens are found in any text.
      if (!parse_special && special.type != TokenType::kUserDefined) continue;
      if (text.find(special.text) == std::string_view::npos) continue;
      next.clear();
      for (const Fragment& fragment : fragments) {
        if (fragment.token >= 0) {
          next.push_back(fragment);
        } else {
          SplitAt(special, id, text, fragment, &next);
        }
      }
      fragments.swap(next);
    }
    return fragments;
  }

  static void SplitAt(const Token& special, int32_t id, std::string_view text, Fragment rest,
                      std::vector<Fragment>* fragments) {
    while (rest.begin < rest.end) {
      const size_t match = text.substr(0, rest.end).find(special.text, rest.begin);
      if (match == std::string_view::npos) {
        fragments->push_back(rest);
        return;
      }
      size_t left_end = match;
      if (special.strip_left) {
        while (left_end > rest.begin && IsAsciiSpace(text[left_end - 1])) --left_end;
      }
      if (left_end > rest.begin) fragments->push_back({rest.begin, left_end});
      rest.begin = match + special.text.size();
      fragments->push_back({match, rest.begin, id});
      if (special.strip_right) {
        while (rest.begin < rest.end && IsAsciiSpace(text[rest.begin])) ++rest.begin;
      }
    }
  }

  Vocabulary vocabulary;
  std::unique_ptr<const TokenizerModel> model;
  std::vector<std::string> pieces;
  std::vector<int32_t> special_tokens;  // in the order of Partition
  std::unordered_map<std::string, int32_t> special_of_text;
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::FromVocabulary(Vocabulary vocabulary) {
  return Tokenizer(std::make_unique<Impl>(std::move(vocabulary)));
}

Tokenizer Tokenizer::FromGguf(const GgufFile& file, TokenizerDialect dialect) {
  return FromVocabulary(ReadGgufVocabulary(file, dialect));
}

Tokenizer Tokenizer::FromTokenizerJson(const std::string& path) { return FromVocabulary(ReadTokenizerJson(path)); }

std::vector<int32_t> Tokenizer::Encode(std::string_view text, EncodeOptions options) const {
  constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max();
  if (text.size() > kMaxBytes) {
    throw std::runtime_error(
        fmt::format("text: found {} bytes, expected at most {}; tokenize it in parts", text.size(), kMaxBytes));
  }
  std::vector<int32_t> ids;
  if (options.add_special && add_bos()) ids.push_back(impl_->Required(bos(), "bos"));
  bool first_text = true;
  for (const Fragment& fragment : impl_->Partition(text, options.parse_special)) {
    if (fragment.token >= 0) {
      ids.push_back(fragment.token);
    } else {
      const std::string_view part = text.substr(fragment.begin, fragment.end - fragment.begin);
      impl_->model->Encode({part, fragment.begin, first_text}, &ids);
    }
    first_text = fragment.token >= 0;
  }
  if (options.add_special && impl_->vocabulary.add_separator) {
    ids.push_back(impl_->Required(impl_->vocabulary.separator, "seperator"));  // as the file spells it
  }
  if (options.add_special && add_eos()) ids.push_back(impl_->Required(eos(), "eos"));
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, DecodeOptions options) const {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) {
    impl_->CheckId(ids[i], fmt::format("ids[{}]", i));
    const TokenType type = impl_->token(ids[i]).type;
    const bool hidden = type == TokenType::kControl || type == TokenType::kUnknown;
    if (options.render_special || !hidden) text += impl_->pieces[static_cast<size_t>(ids[i])];
  }
  return text;
}

std::string Tokenizer::Piece(int32_t id) const {
  impl_->CheckId(id, "piece");
  return impl_->pieces[static_cast<size_t>(id)];
}

int32_t Tokenizer::n_vocab() const { return static_cast<int32_t>(impl_->vocabulary.tokens.size()); }
std::optional<int32_t> Tokenizer::bos() const { return impl_->vocabulary.bos; }
std::optional<int32_t> Tokenizer::eos() const { return impl_->vocabulary.eos; }
std::optional<int32_t> Tokenizer::eot() const { return impl_->vocabulary.eot; }
bool Tokenizer::add_bos() const { return impl_->vocabulary.add_bos; }
bool Tokenizer::add_eos() const { return impl_->vocabulary.add_eos; }
const std::string& Tokenizer::pre() const { return impl_->vocabulary.pre; }
const std::vector<std::string>& Tokenizer::warnings() const { return impl_->vocabulary.warnings; }
const std::string& Tokenizer::source() const { return impl_->vocabulary.source; }
const std::string& Tokenizer::chat_template() const { return impl_->vocabulary.chat_template; }

bool Tokenizer::IsEndOfGeneration(int32_t id) const {
  const std::vector<int32_t>& end = impl_->vocabulary.end_of_generation;
  return std::binary_search(end.begin(), end.end(), id);
}

std::optional<int32_t> Tokenizer::Find(std::string_view piece) const {
  const auto special = impl_->special_of_text.find(std::string(piece));
  if (special != impl_->special_of_text.end()) return special->second;
  return impl_->model->Find(piece);
}

}  // namespace bitnet
