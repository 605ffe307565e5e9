// A small vocabulary for tests: token i < 256 is byte i, then the results of `merges`, then `special` tokens.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_TEST_VOCABULARY_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_TEST_VOCABULARY_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/vocabulary.h"

namespace bitnet {

// Bytes in the byte-level alphabet: " a" is "Ġa".
inline std::string ByteLevel(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += ByteLevelCharacter(static_cast<uint8_t>(c));
  return text;
}

// `merges` in bytes, not in the byte-level alphabet.
inline Vocabulary TestVocabulary(const std::string& pre, const std::vector<std::pair<std::string, std::string>>& merges,
                                 const std::vector<Token>& special = {}) {
  Vocabulary vocabulary;
  vocabulary.source = "test vocabulary";
  vocabulary.pre = pre;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.push_back({.text = ByteLevel(std::string(1, static_cast<char>(byte)))});
  }
  for (const auto& [left, right] : merges) {
    vocabulary.merges.emplace_back(ByteLevel(left), ByteLevel(right));
    vocabulary.tokens.push_back({.text = ByteLevel(left + right)});
  }
  vocabulary.tokens.insert(vocabulary.tokens.end(), special.begin(), special.end());
  return vocabulary;
}

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_TEST_VOCABULARY_H_
