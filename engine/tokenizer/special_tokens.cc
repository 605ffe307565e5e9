#include "engine/tokenizer/special_tokens.h"

#include <algorithm>
#include <utility>

#include "engine/tokenizer/regex.h"
#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

bool IsAsciiSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

void SplitAt(const Token& special, int32_t id, std::string_view text, Fragment rest, std::vector<Fragment>* fragments) {
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

// Where the character that ends at `end` begins.
size_t CharacterBefore(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (text[begin] & 0xC0) == 0x80) --begin;
  return begin;
}

UnicodeClass ClassAt(std::string_view text, size_t begin) { return ClassOf(NextCodePoint(text, &begin)); }

bool IsWordAt(std::string_view text, size_t begin) {
  static const Regex word("[" + std::string(kWordCharacters) + "]");
  size_t end = begin;
  NextCodePoint(text, &end);
  return !word.Matches(text.substr(begin, end - begin)).empty();
}

TokenPrefixes TextsOf(const std::vector<AddedTokens::Entry>& entries) {
  std::vector<TokenPrefixes::Entry> texts;
  texts.reserve(entries.size());
  for (const AddedTokens::Entry& entry : entries) texts.push_back({entry.text, entry.id});
  return TokenPrefixes(std::move(texts));
}

}  // namespace

bool IsSpecial(TokenType type) {
  return type == TokenType::kControl || type == TokenType::kUserDefined || type == TokenType::kUnknown;
}

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  const auto size_of = [&](int32_t id) { return vocabulary.tokens[static_cast<size_t>(id)].text.size(); };
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    if (IsSpecial(vocabulary.tokens[i].type)) tokens_.push_back(static_cast<int32_t>(i));
  }
  // The order of equally long ones decides only where two such texts overlap; it is that of std::sort, as in the
  // reference.
  std::sort(tokens_.begin(), tokens_.end(), [&](int32_t a, int32_t b) { return size_of(a) > size_of(b); });
}

std::vector<Fragment> SpecialTokens::Partition(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  if (!text.empty()) fragments.push_back({0, text.size()});
  std::vector<Fragment> next;
  for (const int32_t id : tokens_) {
    const Token& special = vocabulary_.tokens[static_cast<size_t>(id)];
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

AddedTokens::AddedTokens(const std::vector<Entry>& entries) : texts_(TextsOf(entries)) {
  for (const Entry& entry : entries) entries_.emplace(entry.id, entry);
}

std::vector<Fragment> AddedTokens::Partition(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const TokenPrefixes::Match match = texts_.Longest(text.substr(at), texts_.Start());
    if (match.size == 0) {
      ++at;
      continue;
    }
    const Entry& entry = entries_.at(match.id);
    size_t begin = at, end = at + match.size;
    at = end;
    if (entry.control && !parse_special) continue;
    const bool in_word =
        (begin > 0 && IsWordAt(text, CharacterBefore(text, begin))) || (end < text.size() && IsWordAt(text, end));
    if (entry.single_word && in_word) continue;
    while (entry.strip_left && begin > done && ClassAt(text, CharacterBefore(text, begin)) == UnicodeClass::kSpace) {
      begin = CharacterBefore(text, begin);
    }
    while (entry.strip_right && end < text.size() && ClassAt(text, end) == UnicodeClass::kSpace)
      NextCodePoint(text, &end);
    if (begin > done) fragments.push_back({done, begin});
    fragments.push_back({begin, end, match.id});
    done = end;
  }
  if (done < text.size()) fragments.push_back({done, text.size()});
  return fragments;
}

}  // namespace bitnet
