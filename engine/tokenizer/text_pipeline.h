// A tokenizer.json as a pipeline: added tokens, normalizer, pre-tokenizer, model.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_TEXT_PIPELINE_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_TEXT_PIPELINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/tokenizer/json_node.h"
#include "engine/tokenizer/normalizers.h"
#include "engine/tokenizer/special_tokens.h"
#include "engine/tokenizer/splitters.h"
#include "engine/tokenizer/tokenizer_model.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/word_encoders.h"

namespace bitnet {

// All that it has is a function of the text, so it is safe to share.
struct TextPipeline {
  Normalizer normalize;
  Splitter split;
  WordEncoder encode;
  TokenDecoder decode;
  AddedTokens added, added_after_normalizing;
};

// From a tokenizer.json and the tokens that were read from it. Throws std::runtime_error that names the field for what
// is not supported.
std::shared_ptr<const TextPipeline> ReadTextPipeline(const JsonNode& root, const std::vector<Token>& tokens);

// The ids that Hugging Face's tokenizers 0.23 give.
class PipelineModel : public TokenizerModel {
 public:
  explicit PipelineModel(const Vocabulary& vocabulary);

  void Encode(const TextPart& part, std::vector<int32_t>* ids) const override;
  std::optional<int32_t> Find(std::string_view bytes) const override;
  std::string BytesOfText(std::string_view text) const override;

 private:
  std::shared_ptr<const TextPipeline> pipeline_;
  std::unordered_map<std::string, int32_t> id_of_bytes_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_TEXT_PIPELINE_H_
