// Finds special tokens in text, as llama.cpp and as Hugging Face's tokenizers do it.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_SPECIAL_TOKENS_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_SPECIAL_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/tokenizer/token_prefixes.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {

// A part of the text, or a special token that was found in it.
struct Fragment {
  size_t begin, end;
  int32_t token = -1;
};

bool IsSpecial(TokenType type);

// Each token in turn, the longest first, at its leftmost occurrence in what the earlier ones left. Source:
// llama_vocab::impl::tokenizer_st_partition in llama.cpp v0.5.0's src/llama-vocab.cpp.
class SpecialTokens {
 public:
  // Keeps a reference to the vocabulary.
  explicit SpecialTokens(const Vocabulary& vocabulary);

  // Without `parse_special` only user-defined tokens are found.
  std::vector<Fragment> Partition(std::string_view text, bool parse_special) const;

 private:
  const Vocabulary& vocabulary_;
  std::vector<int32_t> tokens_;
};

// From left to right, the longest at each place. Source: AddedVocabulary of tokenizers 0.23.
class AddedTokens {
 public:
  // `text` is what is looked for, which the normalizer may have changed.
  struct Entry {
    std::string text;
    int32_t id;
    bool control;  // found with `parse_special` alone
    bool strip_left, strip_right, single_word;
  };
  explicit AddedTokens(const std::vector<Entry>& entries);

  // `text` is valid UTF-8.
  std::vector<Fragment> Partition(std::string_view text, bool parse_special) const;

 private:
  std::unordered_map<int32_t, Entry> entries_;  // by id
  TokenPrefixes texts_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_SPECIAL_TOKENS_H_
