#include "engine/tokenizer/wordpiece.h"

#include <utility>

#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/unicode_mappings.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

TokenPrefixes AllTokens(const Vocabulary& vocabulary) {
  std::vector<TokenPrefixes::Entry> entries;
  entries.reserve(vocabulary.tokens.size());
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    entries.push_back({vocabulary.tokens[i].text, static_cast<int32_t>(i)});
  }
  return TokenPrefixes(std::move(entries));
}

}  // namespace

bool SplitWord(const TokenPrefixes& tokens, std::string_view word, const TokenPrefixes::Place& start,
               const TokenPrefixes::Place& next, std::vector<int32_t>* ids) {
  const size_t n_before = ids->size();
  for (size_t begin = 0; begin < word.size();) {
    const TokenPrefixes::Match match = tokens.Longest(word.substr(begin), begin == 0 ? start : next);
    if (match.size == 0) {
      ids->resize(n_before);
      return false;
    }
    ids->push_back(match.id);
    begin += match.size;
  }
  return true;
}

bool IsChinese(uint32_t code_point) {
  constexpr std::pair<uint32_t, uint32_t> kRanges[] = {{0x3400, 0x4DBF},
                                                       {0x4E00, 0x9FFF},
                                                       {0xF900, 0xFAFF},
                                                       {0x20000, 0x2A6DF},
                                                       {0x2A700, 0x2B73F},
                                                       {0x2B740, 0x2B81F},
                                                       {0x2B920, 0x2CEAF},  // from 0x2B820 on in BERT itself, but not
                                                                            // in tokenizers
                                                       {0x2F800, 0x2FA1F}};
  for (const auto& [first, last] : kRanges) {
    if (code_point >= first && code_point <= last) return true;
  }
  return false;
}

WordPieceModel::WordPieceModel(const Vocabulary& vocabulary)
    : source_(vocabulary.source),
      unknown_(vocabulary.unknown),
      lower_case_(vocabulary.lower_case),
      strip_accents_(vocabulary.strip_accents),
      tokens_(AllTokens(vocabulary)) {}

std::vector<std::string> WordPieceModel::Words(const TextPart& part) const {
  std::vector<std::string> words(1);
  const auto end_word = [&] {
    if (!words.back().empty()) words.emplace_back();
  };
  for (size_t position = 0; position < part.text.size();) {
    const size_t begin = position;
    uint32_t code_point = NextCodePoint(part.text, &position);
    if (code_point > 0x10FFFF) FailAboveUnicode(code_point, part.offset + begin);
    if (strip_accents_) code_point = FirstOfDecomposition(code_point);
    const UnicodeClass kind = ClassOf(code_point);
    if (kind == UnicodeClass::kSpace) {
      end_word();
      continue;
    }
    const bool dropped = code_point == 0xFFFD || kind == UnicodeClass::kControl || (strip_accents_ && IsMark(kind));
    if (dropped) continue;
    const bool alone = kind == UnicodeClass::kPunctuation || IsChinese(code_point) ||
                       (code_point < 0x7F && kind == UnicodeClass::kSymbol);
    if (alone) end_word();
    AppendUtf8(lower_case_ ? LowerCase(code_point) : code_point, &words.back());
    if (alone) end_word();
  }
  return words;
}

void WordPieceModel::Encode(const TextPart& part, std::vector<int32_t>* ids) const {
  for (const std::string& word : Words(part)) {
    if (word.empty()) continue;
    const TokenPrefixes::Place start = tokens_.Start();
    if (SplitWord(tokens_, std::string(kEscapedSpace) + word, start, start, ids)) continue;
    ids->push_back(RequireUnknown(unknown_, source_));
  }
}

std::optional<int32_t> WordPieceModel::Find(std::string_view bytes) const { return tokens_.Find(EscapeSpaces(bytes)); }

std::string WordPieceModel::BytesOfText(std::string_view text) const { return UnescapeSpaces(text); }

}  // namespace bitnet
