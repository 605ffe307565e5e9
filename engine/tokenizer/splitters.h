// The pre-tokenizers of a tokenizer.json: from text to the pieces that the model encodes one by one.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_SPLITTERS_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_SPLITTERS_H_

#include <functional>
#include <string>
#include <vector>

#include "engine/tokenizer/json_node.h"

namespace bitnet {

struct TextPiece {
  std::string text;       // valid UTF-8, never empty
  bool at_start = false;  // of the whole text
};

// Safe to call from several threads.
using Splitter = std::function<void(std::vector<TextPiece>* pieces)>;

// null splits nothing. Throws std::runtime_error that names the field for a type or an option that is not supported.
// They do what they do in tokenizers 0.23.
Splitter ReadSplitter(const JsonNode& node);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_SPLITTERS_H_
