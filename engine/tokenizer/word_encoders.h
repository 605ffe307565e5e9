// The models of a tokenizer.json, which turn a piece of text into ids, and its decoders, which go back.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_WORD_ENCODERS_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_WORD_ENCODERS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/tokenizer/json_node.h"

namespace bitnet {

// Appends the ids of one piece, which is not empty. Throws std::runtime_error where it has none. Safe to call from
// several threads.
using WordEncoder = std::function<void(const std::string& word, std::vector<int32_t>* ids)>;
// From the text of a token to the bytes that it stands for, with the space in front of it that it brings.
using TokenDecoder = std::function<std::string(std::string text)>;

// The tokens of `model.vocab` in the order of the file.
struct ModelToken {
  std::string text;
  int32_t id;
  double score = 0;  // Unigram
};
std::vector<ModelToken> ReadModelTokens(const JsonNode& model);

// `model.merges`, in both forms that there are.
std::vector<std::pair<std::string, std::string>> ReadMergePairs(const JsonNode& merges);

// Both throw std::runtime_error that names the field for a type or an option that is not supported.
WordEncoder ReadWordEncoder(const JsonNode& model);
TokenDecoder ReadTokenDecoder(const JsonNode& node);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_WORD_ENCODERS_H_
