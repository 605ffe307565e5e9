#include "engine/tokenizer/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

// The types that the file gives, before texts gave tokens their roles: the reference builds its tries from these.
std::vector<TokenType> TypesInFile(const Vocabulary& vocabulary) {
  std::vector<TokenType> types;
  types.reserve(vocabulary.tokens.size());
  for (const Token& token : vocabulary.tokens) types.push_back(token.type);
  for (auto it = vocabulary.retyped.rbegin(); it != vocabulary.retyped.rend(); ++it) {
    types[static_cast<size_t>(it->first)] = it->second;
  }
  return types;
}

TokenPrefixes UserDefinedTokens(const Vocabulary& vocabulary) {
  const std::vector<TokenType> types = TypesInFile(vocabulary);
  std::vector<TokenPrefixes::Entry> entries;
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == TokenType::kUserDefined) entries.push_back({vocabulary.tokens[i].text, static_cast<int32_t>(i)});
  }
  return TokenPrefixes(std::move(entries));
}

UnigramLattice MakeLattice(const Vocabulary& vocabulary) {
  constexpr float kUnknownPenalty = 10;
  const std::vector<TokenType> types = TypesInFile(vocabulary);
  std::vector<TokenPrefixes::Entry> entries;
  std::vector<double> scores(types.size());
  float lowest = std::numeric_limits<float>::max();
  for (size_t i = 0; i < types.size(); ++i) {
    const Token& token = vocabulary.tokens[i];
    if (types[i] == TokenType::kNormal) lowest = std::min(lowest, token.score);
    const bool matches =
        types[i] == TokenType::kNormal || types[i] == TokenType::kUserDefined || types[i] == TokenType::kUnused;
    if (matches) entries.push_back({token.text, static_cast<int32_t>(i)});
    // Scores are negative, so a user-defined token wins nearly always.
    const bool user_defined = types[i] == TokenType::kUserDefined || token.type == TokenType::kUserDefined;
    scores[i] = user_defined ? 0 : static_cast<double>(token.score);
  }
  return {TokenPrefixes(std::move(entries)), std::move(scores), static_cast<double>(lowest - kUnknownPenalty)};
}

}  // namespace

UnigramLattice::UnigramLattice(TokenPrefixes tokens, std::vector<double> scores, double unknown_score)
    : tokens_(std::move(tokens)), scores_(std::move(scores)), unknown_score_(unknown_score) {}

std::vector<UnigramLattice::Segment> UnigramLattice::Split(std::string_view text) const {
  struct Best {
    size_t begin = 0;
    int32_t id = -1;
    double score = -std::numeric_limits<double>::max();
  };
  std::vector<Best> ending_at(text.size() + 1);
  ending_at[0].score = 0;
  const auto consider = [&](size_t end, size_t begin, int32_t id, double score) {
    const double sum = ending_at[begin].score + score;
    if (sum > ending_at[end].score) ending_at[end] = {begin, id, sum};
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t character = std::min(AnnouncedLength(static_cast<unsigned char>(text[begin])), text.size() - begin);
    bool character_is_token = false;
    TokenPrefixes::Place place = tokens_.Start();
    for (size_t at = begin; at < text.size() && tokens_.Advance(text[at], &place); ++at) {
      const int32_t id = tokens_.TokenAt(place);
      if (id < 0) continue;
      character_is_token = character_is_token || at + 1 - begin == character;
      consider(at + 1, begin, id, scores_[static_cast<size_t>(id)]);
    }
    if (!character_is_token) consider(begin + character, begin, -1, unknown_score_);
    begin += character;
  }
  std::vector<Segment> segments;
  for (size_t end = text.size(); end > 0; end = ending_at[end].begin) {
    segments.push_back({ending_at[end].begin, ending_at[end].id});
  }
  std::reverse(segments.begin(), segments.end());
  return segments;
}

UnigramModel::UnigramModel(const Vocabulary& vocabulary)
    : source_(vocabulary.source),
      unknown_(vocabulary.unknown),
      add_space_prefix_(vocabulary.add_space_prefix),
      merge_spaces_(vocabulary.merge_spaces),
      user_defined_(UserDefinedTokens(vocabulary)),
      lattice_(MakeLattice(vocabulary)) {
  if (!vocabulary.charsmap.empty()) {
    charsmap_.emplace(vocabulary.charsmap, fmt::format("{}: tokenizer.ggml.precompiled_charsmap", source_));
  }
}

void UnigramModel::Encode(const TextPart& part, std::vector<int32_t>* ids) const {
  bool after_unknown = false;
  for (const UnigramLattice::Segment& segment : lattice_.Split(NormalizeText(part.text))) {
    const int32_t id = segment.id >= 0 ? segment.id : RequireUnknown(unknown_, source_);
    const bool unknown = id == unknown_;
    if (!unknown || !after_unknown) ids->push_back(id);
    after_unknown = unknown;
  }
}

// Source: llm_tokenizer_ugm_session::normalize.
std::string UnigramModel::NormalizeText(std::string_view text) const {
  std::string normalized, piece;
  bool space_added = false, in_word = false;
  for (size_t begin = 0; begin < text.size();) {
    piece.clear();
    begin += NormalizeAt(text, begin, &piece);
    for (const char c : piece) {
      if (c == ' ') {
        in_word = false;
        if (!merge_spaces_) normalized += kEscapedSpace;
        continue;
      }
      if (!in_word && (merge_spaces_ || (add_space_prefix_ && !space_added))) {
        normalized += kEscapedSpace;
        space_added = true;
      }
      in_word = true;
      normalized += c;
    }
  }
  return normalized;
}

size_t UnigramModel::NormalizeAt(std::string_view text, size_t begin, std::string* out) const {
  const std::string_view rest = text.substr(begin);
  // The reference takes whatever is the beginning of a user-defined token as it is, be it a token or not.
  if (const size_t length = user_defined_.CommonLength(rest); length > 0) {
    out->append(rest.substr(0, length));
    return length;
  }
  if (charsmap_.has_value()) {
    if (const auto match = charsmap_->Longest(rest)) {
      out->append(match->replacement);
      return match->size;
    }
  }
  size_t end = begin;
  const uint32_t code_point = NextCodePoint(text, &end);
  // An overlong form or a surrogate stays as it is; a byte that is no UTF-8 becomes U+FFFD.
  if (end - begin > 1 || code_point < 0x80) {
    out->append(text.substr(begin, end - begin));
  } else {
    AppendUtf8(code_point, out);
  }
  return end - begin;
}

std::optional<int32_t> UnigramModel::Find(std::string_view bytes) const {
  return lattice_.tokens().Find(EscapeSpaces(bytes));
}

std::string UnigramModel::BytesOfText(std::string_view text) const { return UnescapeSpaces(text); }

}  // namespace bitnet
