// How far one row of logits is from another.
//
//   RowMetrics m = CompareRows(candidate_row, reference_row);   // both float32 [n_vocab]
//   if (m.non_finite > 0 || m.mse > 1e-6) ...
//
// Sums are taken in double. A NaN or an infinity on either side is a divergence, even if both sides have it: every
// distance is then infinite, overlap and share are 0, and cosine is -1.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_METRICS_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_METRICS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/metrics.h"

namespace parity {

inline constexpr int kTopK = 5;

// Throws std::runtime_error if the rows are empty or of different lengths.
RowMetrics CompareRows(std::span<const float> candidate, std::span<const float> reference);

// Steps from one finite float32 to the other, over representable values; +0 and -0 are one.
int64_t UlpDistance(float a, float b);

// Columns of the k largest values, largest first; equal values in the order of their columns; NaN before everything, so
// that it is seen. Fewer if the row is shorter.
std::vector<int32_t> TopK(std::span<const float> row, int k);

// Column of the largest value, the first of equals: what greedy decoding takes. -1 for an empty row or one with a NaN.
int32_t Argmax(std::span<const float> row);

// "17 ULP at position 4, token 812 (1.50000012 and 1.5)", candidate first; "" if no bit differs.
// `where`: what a position is, "position" or "generated token".
std::string DescribeFurthest(const WorstRows& worst, std::string_view where);

// "3 of 10,240 logits differ; largest distance 17 ULP at ..."; "" if no bit differs.
std::string DescribeDifference(const WorstRows& worst, std::string_view where);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_METRICS_H_
