// Choosing the next token.
//
//   Sampler sampler({.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .seed = 42});
//   int32_t id = sampler.Next(logits);
#ifndef BITNET_PARITY_ENGINE_MODEL_SAMPLER_H_
#define BITNET_PARITY_ENGINE_MODEL_SAMPLER_H_

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bitnet {

struct SamplerOptions {
  float temperature = 0.0f;  // 0: the largest logit
  int top_k = 0;             // draw from the k largest; 0: from all
  float top_p = 1.0f;        // ... of these from the fewest whose probabilities add up to p
  uint64_t seed = 42;
};

class Sampler {
 public:
  // Throws if temperature is negative, top_k is negative or top_p is not in (0, 1].
  explicit Sampler(const SamplerOptions& options);

  // logits: [n_vocab]. The same seed and the same logits give the same tokens, on any machine.
  int32_t Next(std::span<const float> logits);

 private:
  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<std::pair<float, int32_t>> candidates_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_SAMPLER_H_
