#include "engine/model/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "engine/model/model.h"

namespace bitnet {

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    throw std::runtime_error(fmt::format("temperature is {}, expected zero (greedy) or more", options.temperature));
  }
  if (options.top_k < 0)
    throw std::runtime_error(fmt::format("top-k is {}, expected zero (all) or more", options.top_k));
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    throw std::runtime_error(fmt::format("top-p is {}, expected more than 0 and at most 1", options.top_p));
  }
}

int32_t Sampler::Next(std::span<const float> logits) {
  const int32_t best = Argmax(logits);
  if (options_.temperature == 0) return best;

  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) candidates_.emplace_back(logits[i], static_cast<int32_t>(i));
  }
  const auto larger = [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  };
  if (options_.top_k > 0 && static_cast<size_t>(options_.top_k) < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + options_.top_k, candidates_.end(), larger);
    candidates_.resize(options_.top_k);
  }
  std::sort(candidates_.begin(), candidates_.end(), larger);

  std::vector<double> weights;
  double total = 0;
  for (const auto& [logit, id] : candidates_) {
    const double difference = static_cast<double>(logit) - static_cast<double>(logits[best]);
    weights.push_back(logit == logits[best] ? 1.0 : std::exp(difference / options_.temperature));
    total += weights.back();
  }
  size_t kept = 0;
  double sum = 0;
  while (kept < weights.size() && (kept == 0 || sum < options_.top_p * total)) sum += weights[kept++];

  // std::uniform_real_distribution may differ between standard libraries; 53 bits of the generator do not.
  const double draw = static_cast<double>(random_() >> 11) * 0x1p-53 * sum;
  double seen = 0;
  for (size_t i = 0; i < kept; ++i) {
    seen += weights[i];
    if (draw < seen) return candidates_[i].second;
  }
  return candidates_[kept - 1].second;
}

}  // namespace bitnet
