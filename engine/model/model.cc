#include "engine/model/model.h"

#include <stdexcept>
#include <utility>

namespace bitnet {

Model Model::FromFile(GgufFile file, const LoadOptions& options) {
  Hyperparameters h = ReadHyperparameters(file);
  ModelWeights w = BindWeights(file, h, options.i2s_layout);
  return Model{std::move(file), std::move(h), std::move(w)};
}

int32_t Argmax(std::span<const float> logits) {
  int32_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == logits[i] && (best < 0 || logits[i] > logits[best])) best = static_cast<int32_t>(i);
  }
  if (best < 0) throw std::runtime_error("every logit is NaN: no token can be chosen");
  return best;
}

}  // namespace bitnet
