// What differs between kinds of vocabularies: from a stretch of ordinary text to ids, and from an ordinary token back.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_TOKENIZER_MODEL_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_TOKENIZER_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

// A stretch of text between special tokens; never empty.
struct TextPart {
  std::string_view text;
  size_t offset = 0;        // in the whole text, for messages
  bool first_text = false;  // nothing before it, or a special token
  bool parse_special = true;
};

// All members are safe to call from several threads.
class TokenizerModel {
 public:
  virtual ~TokenizerModel() = default;

  // Appends the ids of `part`; throws std::runtime_error where the reference cannot tokenize it either.
  virtual void Encode(const TextPart& part, std::vector<int32_t>* ids) const = 0;
  // The ordinary token that stands for exactly these bytes.
  virtual std::optional<int32_t> Find(std::string_view bytes) const = 0;
  // The bytes that the text of an ordinary token stands for.
  virtual std::string BytesOfText(std::string_view text) const = 0;
};

// The id for what is no token; throws where the vocabulary names none.
int32_t RequireUnknown(std::optional<int32_t> unknown, const std::string& source);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_TOKENIZER_MODEL_H_
