#include "engine/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/sentencepiece.h"
#include "engine/tokenizer/special_tokens.h"
#include "engine/tokenizer/text_pipeline.h"
#include "engine/tokenizer/tokenizer_model.h"
#include "engine/tokenizer/unigram.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/wordpiece.h"

namespace bitnet {
namespace {

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
    case VocabularyModel::kPipeline:
      return std::make_unique<PipelineModel>(vocabulary);
  }
  throw std::logic_error("a vocabulary of no known model");
}

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(Vocabulary data)
      : vocabulary(std::move(data)), model(MakeModel(vocabulary)), special_tokens(vocabulary) {
    pieces.reserve(vocabulary.tokens.size());
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
      const Token& token = vocabulary.tokens[i];
      pieces.push_back(PieceOf(token, *model));
      if (!IsSpecial(token.type)) continue;
      special_of_text.emplace(token.text, static_cast<int32_t>(i));
    }
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

  std::vector<Fragment> Partition(std::string_view text, bool parse_special) const {
    if (vocabulary.pipeline != nullptr) return vocabulary.pipeline->added.Partition(text, parse_special);
    return special_tokens.Partition(text, parse_special);
  }

  Vocabulary vocabulary;
  std::unique_ptr<const TokenizerModel> model;
  SpecialTokens special_tokens;
  std::vector<std::string> pieces;
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
  std::string valid;
  if (impl_->vocabulary.pipeline != nullptr) {
    valid = ToValidUtf8(text);
    text = valid;
  }
  bool first_text = true;
  for (const Fragment& fragment : impl_->Partition(text, options.parse_special)) {
    if (fragment.token >= 0) {
      ids.push_back(fragment.token);
    } else {
      const std::string_view part = text.substr(fragment.begin, fragment.end - fragment.begin);
      impl_->model->Encode({part, fragment.begin, first_text, options.parse_special}, &ids);
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
