// SentencePiece's BPE: `tokenizer.ggml.model` "llama".
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_SENTENCEPIECE_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_SENTENCEPIECE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/tokenizer/tokenizer_model.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {

// Writes U+2581 for each space, starts from single characters and merges the neighbours whose joint text is the token
// with the highest score, the leftmost of equals first, until no neighbours make a token. A character that is no token
// is written as its bytes' tokens, "<0x41>" or else the byte itself. Bytes that are no UTF-8 stay as they are. Source:
// llm_tokenizer_spm_session in llama.cpp v0.5.0's src/llama-vocab.cpp. O(n log n) in the length of a part.
class SentencePieceModel : public TokenizerModel {
 public:
  explicit SentencePieceModel(const Vocabulary& vocabulary);

  // Throws where a byte has no token.
  void Encode(const TextPart& part, std::vector<int32_t>* ids) const override;
  std::optional<int32_t> Find(std::string_view bytes) const override;
  std::string BytesOfText(std::string_view text) const override;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Symbol {
    size_t begin, size;      // in the escaped text; size 0 once merged into the one before it
    int32_t previous, next;  // -1 at the ends
  };
  struct Candidate {
    float score;
    int32_t left, right;  // indices of symbols
    size_t size;          // of both together

    // The queue's order: highest score first, then leftmost.
    bool operator<(const Candidate& other) const {
      return score < other.score || (score == other.score && left > other.left);
    }
  };
  struct Scratch {
    std::string text;
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;
  };

  void Consider(int32_t left, int32_t right, Scratch* scratch) const;
  void Merge(Scratch* scratch) const;
  std::optional<int32_t> FindText(std::string_view text) const;

  std::string source_;
  bool add_space_prefix_;
  size_t longest_ = 0;  // token, in bytes
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> id_of_text_;
  std::vector<float> scores_;
  std::array<int32_t, 256> token_of_byte_;  // -1 for none
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_SENTENCEPIECE_H_
