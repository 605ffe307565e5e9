// The normalizers of a tokenizer.json: what happens to the text before it is split.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_NORMALIZERS_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_NORMALIZERS_H_

#include <functional>
#include <string>

#include "engine/tokenizer/json_node.h"

namespace bitnet {

// From valid UTF-8 to valid UTF-8. Safe to call from several threads.
using Normalizer = std::function<std::string(std::string text)>;

// null changes nothing. Throws std::runtime_error that names the field for a type or an option that is not supported.
// They do what they do in tokenizers 0.23, with Unicode 15.1.
Normalizer ReadNormalizer(const JsonNode& node);

// Valid UTF-8: each byte that is none becomes U+FFFD.
std::string ToValidUtf8(std::string_view text);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_NORMALIZERS_H_
