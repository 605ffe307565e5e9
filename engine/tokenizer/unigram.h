// Unigram: the segmentation whose tokens have the highest sum of scores.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_UNIGRAM_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_UNIGRAM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/charsmap.h"
#include "engine/tokenizer/token_prefixes.h"
#include "engine/tokenizer/tokenizer_model.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {

// Viterbi's algorithm over the tokens that stand at each character. A character that is no token by itself may be
// unknown, at `unknown_score`. Of equal sums the one whose last token begins first wins. Source: Kudo 2018, and
// llm_tokenizer_ugm_session in llama.cpp v0.5.0's src/llama-vocab.cpp. O(n) in the text, times the longest token.
class UnigramLattice {
 public:
  // `scores` by id, for each id in `tokens`.
  UnigramLattice(TokenPrefixes tokens, std::vector<double> scores, double unknown_score);

  struct Segment {
    size_t begin;  // ends where the next one begins
    int32_t id;    // -1: an unknown character
  };
  std::vector<Segment> Split(std::string_view text) const;

  const TokenPrefixes& tokens() const { return tokens_; }

 private:
  TokenPrefixes tokens_;
  std::vector<double> scores_;
  double unknown_score_;
};

// `tokenizer.ggml.model` "t5": the text goes through the precompiled character map and spaces become U+2581, then the
// lattice splits it. Neighbouring unknown characters are one unknown token.
class UnigramModel : public TokenizerModel {
 public:
  explicit UnigramModel(const Vocabulary& vocabulary);

  void Encode(const TextPart& part, std::vector<int32_t>* ids) const override;
  std::optional<int32_t> Find(std::string_view bytes) const override;
  std::string BytesOfText(std::string_view text) const override;

 private:
  std::string NormalizeText(std::string_view text) const;
  // Appends what the text at `begin` is written as; the number of bytes that it stands for.
  size_t NormalizeAt(std::string_view text, size_t begin, std::string* out) const;

  std::string source_;
  std::optional<int32_t> unknown_;
  bool add_space_prefix_, merge_spaces_;
  std::optional<Charsmap> charsmap_;
  TokenPrefixes user_defined_;
  UnigramLattice lattice_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_UNIGRAM_H_
