// WordPiece: `tokenizer.ggml.model` "bert".
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_WORDPIECE_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_WORDPIECE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/token_prefixes.h"
#include "engine/tokenizer/tokenizer_model.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {

// Appends the tokens that `word` consists of, the longest first at each place: the first behind `start` and the others
// behind `next`. False, and nothing is appended, where it does not consist of tokens.
bool SplitWord(const TokenPrefixes& tokens, std::string_view word, const TokenPrefixes::Place& start,
               const TokenPrefixes::Place& next, std::vector<int32_t>* ids);

// A Chinese character, for BERT.
bool IsChinese(uint32_t code_point);

// Text is split at white space and around each punctuation mark and Chinese character, in lower case and without
// accents where the file says so; each word has U+2581 in front of it. A word that does not consist of tokens is the
// unknown token. Source: llm_tokenizer_wpm_session in llama.cpp v0.5.0's src/llama-vocab.cpp.
class WordPieceModel : public TokenizerModel {
 public:
  explicit WordPieceModel(const Vocabulary& vocabulary);

  void Encode(const TextPart& part, std::vector<int32_t>* ids) const override;
  std::optional<int32_t> Find(std::string_view bytes) const override;
  std::string BytesOfText(std::string_view text) const override;

 private:
  std::vector<std::string> Words(const TextPart& part) const;

  std::string source_;
  std::optional<int32_t> unknown_;
  bool lower_case_, strip_accents_;
  TokenPrefixes tokens_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_WORDPIECE_H_
