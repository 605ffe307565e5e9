// Rotary position embedding.
#ifndef BITNET_PARITY_ENGINE_KERNELS_ROPE_H_
#define BITNET_PARITY_ENGINE_KERNELS_ROPE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/thread_pool.h"

namespace bitnet {

// cos and sin of a position's angles: pair i turns by position * base^(-2i/n_rot).
struct RopeAngles {
  std::vector<float> cos;  // [n_rot / 2]
  std::vector<float> sin;
};

// What a model that was stretched to longer contexts does to the angles. As it stands here, nothing.
struct RopeScaling {
  float frequency = 1.0f;  // angles are multiplied by it
  float magnitude = 1.0f;  // cos and sin are multiplied by it
  // YaRN: pairs up to `low` keep their angle, those from `high` on are scaled, and between the two the share changes
  // evenly.
  bool yarn = false;
  float low = 0.0f, high = 0.0f;
};

// YaRN (Peng et al. 2023) with a factor above 0 over a model trained at `n_ctx` positions. `low` and `high` are the
// pairs that turn 32 times and once in those. `attention` multiplies the magnitude. The steps and their roundings are
// those of llama.cpp v0.5.0 (llama_context's constructor, ggml_rope_yarn_corr_dims, rope_yarn).
RopeScaling YarnScaling(float factor, size_t n_rot, float base, uint32_t n_ctx, float attention);

// The angle starts at float32(position) and is multiplied in float32 from pair to pair by powf(base, -2/n_rot). Pair i
// turns by that over divisors[i], as far as there are divisors [n_rot / 2], and scaled; cosf and sinf are the C
// library's (ggml_rope_cache_init in ggml's ops.cpp).
RopeAngles ComputeRopeAngles(int position, size_t n_rot, float base, const RopeScaling& scaling = {},
                             std::span<const float> divisors = {});

// Which two elements of a head turn together: kNeox i and i + n_rot/2 (the BitNet architectures), kInterleaved 2i and
// 2i + 1 (llama, whose converters permute the rows of Q and K).
enum class RopeLayout { kNeox, kInterleaved };

constexpr RopeLayout OtherLayout(RopeLayout layout) {
  return layout == RopeLayout::kNeox ? RopeLayout::kInterleaved : RopeLayout::kNeox;
}

// x: [n_heads, head_dim], rotated in place; the first n_rot elements of each head turn.
// first = fma(x0, cos, -(x1*sin)), second = fma(x0, sin, x1*cos), the product in the last place rounded first.
void Rope(float* x, size_t n_heads, size_t head_dim, size_t n_rot, const RopeAngles& angles,
          RopeLayout layout = RopeLayout::kNeox);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_ROPE_H_
