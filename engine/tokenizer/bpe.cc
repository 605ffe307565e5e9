#include "engine/tokenizer/bpe.h"

#include <unordered_map>
#include <utility>

#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/unicode_mappings.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {

BytePairEncoder::BytePairEncoder(const Vocabulary& vocabulary)
    : n_tokens_(static_cast<int32_t>(vocabulary.tokens.size())),
      ignore_merges_(vocabulary.ignore_merges),
      newlines_are_words_(vocabulary.newlines_are_words),
      alphabet_(vocabulary.alphabet) {
  symbols_.reserve(vocabulary.tokens.size() + 256);
  for (int32_t id = 0; id < n_tokens_; ++id) {
    std::optional<std::string> bytes = BytesOfToken(vocabulary.tokens[static_cast<size_t>(id)].text);
    if (bytes.has_value()) symbols_.emplace(*std::move(bytes), id);
  }
  SetFallbacks(vocabulary);
  if (alphabet_ == TokenAlphabet::kByteLevel) {
    for (int byte = 0; byte < 256; ++byte) {
      symbol_of_byte_[static_cast<size_t>(byte)] = Intern(std::string(1, static_cast<char>(byte)));
    }
  }
  merges_.Reserve(vocabulary.merges.size());
  for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const std::optional<std::string> left = BytesOfToken(vocabulary.merges[rank].first);
    const std::optional<std::string> right = BytesOfToken(vocabulary.merges[rank].second);
    if (!left.has_value() || !right.has_value()) continue;  // no text has such characters after byte-level encoding
    merges_.Add(Intern(*left), Intern(*right), static_cast<int32_t>(rank), Intern(*left + *right));
  }
}

std::optional<std::string> BytePairEncoder::BytesOfToken(std::string_view text) const {
  return alphabet_ == TokenAlphabet::kByteLevel ? BytesOf(text) : std::string(text);
}

void BytePairEncoder::SetFallbacks(const Vocabulary& vocabulary) {
  std::unordered_map<std::string_view, int32_t> id_of_text;
  for (int32_t id = 0; id < n_tokens_; ++id) id_of_text.emplace(vocabulary.tokens[static_cast<size_t>(id)].text, id);
  for (size_t byte = 0; byte < fallback_of_byte_.size(); ++byte) {
    const auto add = [&](std::string_view text) {
      const auto found = id_of_text.find(text);
      if (found != id_of_text.end()) fallback_of_byte_[byte].push_back(found->second);
    };
    if (alphabet_ == TokenAlphabet::kByteLevel) {
      // The reference looks up each char of the byte-level text, so only bytes that stand for themselves can be found.
      for (const char& c : ByteLevelCharacter(static_cast<uint8_t>(byte))) add(std::string_view(&c, 1));
    } else {
      add(HexTextOfByte(static_cast<uint8_t>(byte)));
    }
  }
}

BytePairEncoder::SymbolId BytePairEncoder::Intern(std::string bytes) {
  const auto next = static_cast<SymbolId>(n_tokens_ + static_cast<int32_t>(symbols_without_token_.size()));
  const auto [found, inserted] = symbols_.try_emplace(std::move(bytes), next);
  if (inserted) symbols_without_token_.push_back(found->first);
  return found->second;
}

std::optional<int32_t> BytePairEncoder::Find(std::string_view bytes) const {
  const auto found = symbols_.find(bytes);
  if (found == symbols_.end() || found->second >= n_tokens_) return std::nullopt;
  return found->second;
}

void BytePairEncoder::Encode(const Words& words, std::vector<int32_t>* ids) const {
  Symbols scratch;
  for (size_t i = 0; i < words.size(); ++i) EncodeWord(words[i], &scratch, ids);
}

void BytePairEncoder::EncodeWord(std::string_view word, Symbols* scratch, std::vector<int32_t>* ids) const {
  if (ignore_merges_ || (newlines_are_words_ && word.find_first_not_of('\n') == std::string_view::npos)) {
    if (const std::optional<int32_t> id = Find(word)) {
      ids->push_back(*id);
      return;
    }
  }
  Symbols& symbols = *scratch;
  symbols.clear();
  StartSymbols(word, &symbols);
  merges_.Merge(&symbols);

  for (int32_t i = symbols.empty() ? -1 : 0; i >= 0; i = symbols[static_cast<size_t>(i)].next) {
    const SymbolId id = symbols[static_cast<size_t>(i)].id;
    if (id < 0) {
      const auto offset = static_cast<size_t>(-2 - id);
      AppendFallback(word.substr(offset, Utf8Length(static_cast<unsigned char>(word[offset]))), ids);
    } else if (id < n_tokens_) {
      ids->push_back(id);
    } else {
      AppendFallback(symbols_without_token_[static_cast<size_t>(id - n_tokens_)], ids);
    }
  }
}

void BytePairEncoder::StartSymbols(std::string_view word, Symbols* symbols) const {
  for (size_t begin = 0; begin < word.size();) {
    const auto lead = static_cast<unsigned char>(word[begin]);
    const auto index = static_cast<int32_t>(symbols->size());
    if (alphabet_ == TokenAlphabet::kByteLevel) {
      symbols->push_back({symbol_of_byte_[lead], index - 1, index + 1});
      ++begin;
      continue;
    }
    const size_t length = Utf8Length(lead);
    const auto found = symbols_.find(word.substr(begin, length));
    const SymbolId id = found != symbols_.end() ? found->second : -2 - static_cast<SymbolId>(begin);
    symbols->push_back({id, index - 1, index + 1});
    begin += length;
  }
  if (!symbols->empty()) symbols->back().next = -1;
}

void BytePairEncoder::AppendFallback(std::string_view bytes, std::vector<int32_t>* ids) const {
  for (const char byte : bytes) {
    const std::vector<int32_t>& fallback = fallback_of_byte_[static_cast<unsigned char>(byte)];
    ids->insert(ids->end(), fallback.begin(), fallback.end());
  }
}

void BytePairModel::Encode(const TextPart& part, std::vector<int32_t>* ids) const {
  if (drops_spaces_) {
    EncodeWithoutSpaces(part, ids);
    return;
  }
  const bool escaped = alphabet_ == TokenAlphabet::kEscapedSpaces;
  encoder_.Encode(pre_tokenizer_.Split(escaped ? EscapeSpaces(part.text) : std::string(part.text), part.offset), ids);
}

// Source: llm_tokenizer_whitespace_session in llama.cpp v0.5.0's src/llama-vocab.cpp.
void BytePairModel::EncodeWithoutSpaces(const TextPart& part, std::vector<int32_t>* ids) const {
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) encoder_.Encode(pre_tokenizer_.Split(word), ids);
    word.clear();
  };
  for (size_t position = 0; position < part.text.size();) {
    const size_t begin = position;
    const uint32_t code_point = NextCodePoint(part.text, &position);
    if (code_point > 0x10FFFF) FailAboveUnicode(code_point, part.offset + begin);
    if (ClassOf(code_point) == UnicodeClass::kSpace) {
      end_word();
    } else {
      AppendUtf8(lower_case_ ? LowerCase(code_point) : code_point, &word);
    }
  }
  end_word();
}

std::optional<int32_t> BytePairModel::Find(std::string_view bytes) const {
  return encoder_.Find(alphabet_ == TokenAlphabet::kEscapedSpaces ? EscapeSpaces(bytes) : std::string(bytes));
}

std::string BytePairModel::BytesOfText(std::string_view text) const {
  return alphabet_ == TokenAlphabet::kEscapedSpaces ? UnescapeSpaces(text) : DecodeByteLevel(text);
}

}  // namespace bitnet
