#include "engine/model/model.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>

#include "engine/kernels/targets.h"

namespace bitnet {

Model Model::FromFile(GgufFile file, const LoadOptions& options) {
  if (const std::string_view problem = CpuProblem(); !problem.empty()) {
    throw std::runtime_error(fmt::format("{}; run on an x86-64 machine with AVX2", problem));
  }
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
