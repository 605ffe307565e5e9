// Byte-pair encoding of words.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_BPE_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_BPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/tokenizer/pair_merges.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/tokenizer_model.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {

// Starts from single bytes and merges the neighbours whose pair stands first in the list of merges, the leftmost of
// equals first, until no neighbours are in the list: llm_tokenizer_bpe_session::tokenize in llama.cpp v0.5.0's
// src/llama-vocab.cpp. O(n log n) in the length of a word.
class BytePairEncoder {
 public:
  explicit BytePairEncoder(const Vocabulary& vocabulary);

  // Appends the ids of each word, which starts from single bytes in the byte-level alphabet and from characters in the
  // others. What no merge makes a token is written byte by byte, and bytes without a token of their own vanish, as they
  // do in the reference. Safe to call from several threads.
  void Encode(const Words& words, std::vector<int32_t>* ids) const;

  // The token that stands for exactly these bytes.
  std::optional<int32_t> Find(std::string_view bytes) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  // A string of bytes that is a token (then its number is the token's id) or that takes part in a merge. Negative: a
  // character of the word that is neither, at offset -2 - number.
  using SymbolId = int32_t;
  using Symbols = std::vector<PairMerges::Symbol>;

  SymbolId Intern(std::string bytes);
  std::optional<std::string> BytesOfToken(std::string_view text) const;
  void SetFallbacks(const Vocabulary& vocabulary);
  void StartSymbols(std::string_view word, Symbols* symbols) const;
  void EncodeWord(std::string_view word, Symbols* scratch, std::vector<int32_t>* ids) const;
  void AppendFallback(std::string_view bytes, std::vector<int32_t>* ids) const;

  int32_t n_tokens_;
  bool ignore_merges_, newlines_are_words_;
  TokenAlphabet alphabet_;
  std::unordered_map<std::string, SymbolId, Hash, std::equal_to<>> symbols_;
  std::vector<std::string> symbols_without_token_;  // of symbol n_tokens_ + i
  std::array<SymbolId, 256> symbol_of_byte_;        // byte-level alphabet
  std::array<std::vector<int32_t>, 256> fallback_of_byte_;
  PairMerges merges_;
};

// `tokenizer.ggml.model` "gpt2": text is split into words, whose byte pairs are merged; "whitespace": the same without
// the white space.
class BytePairModel : public TokenizerModel {
 public:
  explicit BytePairModel(const Vocabulary& vocabulary)
      : alphabet_(vocabulary.alphabet),
        drops_spaces_(vocabulary.drops_spaces),
        lower_case_(vocabulary.lower_case),
        pre_tokenizer_(vocabulary.pre),
        encoder_(vocabulary) {}

  // Throws on a UTF-8 sequence above U+10FFFF.
  void Encode(const TextPart& part, std::vector<int32_t>* ids) const override;
  std::optional<int32_t> Find(std::string_view bytes) const override;
  // A text outside the byte-level alphabet comes out with marks in it: see DecodeByteLevel.
  std::string BytesOfText(std::string_view text) const override;

 private:
  void EncodeWithoutSpaces(const TextPart& part, std::vector<int32_t>* ids) const;

  TokenAlphabet alphabet_;
  bool drops_spaces_, lower_case_;
  PreTokenizer pre_tokenizer_;
  BytePairEncoder encoder_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_BPE_H_
