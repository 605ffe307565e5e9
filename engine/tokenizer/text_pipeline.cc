#include "engine/tokenizer/text_pipeline.h"

#include <utility>

namespace bitnet {

std::shared_ptr<const TextPipeline> ReadTextPipeline(const JsonNode& root, const std::vector<Token>& tokens) {
  Normalizer normalize = ReadNormalizer(root.Maybe("normalizer"));
  Splitter split = ReadSplitter(root.Maybe("pre_tokenizer"));
  WordEncoder encode = ReadWordEncoder(root.At("model"));
  TokenDecoder decode = ReadTokenDecoder(root.Maybe("decoder"));
  std::vector<AddedTokens::Entry> added, added_after_normalizing;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (!token.added) continue;
    AddedTokens::Entry entry{token.text,       static_cast<int32_t>(i), token.type == TokenType::kControl,
                             token.strip_left, token.strip_right,       token.single_word};
    if (token.normalized) entry.text = normalize(std::move(entry.text));
    (token.normalized ? added_after_normalizing : added).push_back(std::move(entry));
  }
  return std::make_shared<const TextPipeline>(TextPipeline{std::move(normalize), std::move(split), std::move(encode),
                                                           std::move(decode), AddedTokens(added),
                                                           AddedTokens(added_after_normalizing)});
}

PipelineModel::PipelineModel(const Vocabulary& vocabulary) : pipeline_(vocabulary.pipeline) {
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const Token& token = vocabulary.tokens[i];
    if (!IsSpecial(token.type)) id_of_bytes_.emplace(BytesOfText(token.text), static_cast<int32_t>(i));
  }
}

void PipelineModel::Encode(const TextPart& part, std::vector<int32_t>* ids) const {
  const std::string text = pipeline_->normalize(std::string(part.text));
  for (const Fragment& fragment : pipeline_->added_after_normalizing.Partition(text, part.parse_special)) {
    if (fragment.token >= 0) {
      ids->push_back(fragment.token);
      continue;
    }
    std::vector<TextPiece> pieces = {
        {text.substr(fragment.begin, fragment.end - fragment.begin), part.offset == 0 && fragment.begin == 0}};
    pipeline_->split(&pieces);
    for (const TextPiece& piece : pieces) pipeline_->encode(piece.text, ids);
  }
}

std::optional<int32_t> PipelineModel::Find(std::string_view bytes) const {
  const auto found = id_of_bytes_.find(std::string(bytes));
  if (found == id_of_bytes_.end()) return std::nullopt;
  return found->second;
}

std::string PipelineModel::BytesOfText(std::string_view text) const { return pipeline_->decode(std::string(text)); }

}  // namespace bitnet
