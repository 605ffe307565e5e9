// Operations in double, for parameters that no order of a reference's build covers. Their results are the nearest
// float32 to what the formula gives, not an engine's bits: whoever compares allows for rounding.
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_PLAIN_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_PLAIN_H_

#include <span>
#include <vector>

#include "parity_tests/oracle/arithmetic.h"

namespace parity::plain {

// y: [cols]; x: [cols].
void NormRow(const NormParameters& p, const float* x, float* y);

// Activations x, [n, cols], as they meet the weights.
Values Activations(const ProductParameters& p, const Values& x, bitnet::ActivationKind kind);

// x: [n, cols]. Returns [n, rows]. `kind`: what the weights' format makes of activations.
Values Product(const ProductParameters& p, const Values& x, size_t n, bitnet::ActivationKind kind);

// x: [n_heads, head_dim], rotated in place as row i of the batch. `n_rot`: the model's.
void RopeRow(const RopeParameters& p, float* x, size_t n_heads, size_t head_dim, size_t n_rot, size_t i,
             const Batch& batch);

// One number as K and V are kept; of kQ80 whole rows alone.
float Kept(CacheType type, float x);
void KeepRow(CacheType type, std::span<float> row);

// scores: [n_keys] of one head at one position. In place.
void SoftmaxRow(const AttentionParameters& p, size_t head, size_t position, std::span<float> scores);

}  // namespace parity::plain

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_PLAIN_H_
