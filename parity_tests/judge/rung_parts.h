// What the comparisons of logits and of generated text share.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_RUNG_PARTS_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_RUNG_PARTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/judge/ladder.h"

namespace parity {

inline std::span<const float> Row(const Matrix& matrix, int64_t i) {
  return {matrix.row(i), static_cast<size_t>(matrix.cols)};
}

// Fills top_candidate and top_reference from row `i` of either matrix; nothing of a matrix without that row.
void KeepTop(const Matrix& c, const Matrix& r, int64_t i, const Capture& candidate, const Capture& reference,
             const LadderOptions& options, RungResult& result);

// `39 " H"`: a generated token.
std::string Chosen(const Capture& capture, size_t i);

// A note where one id is written in two ways: the detokenizers differ, and so does the text that a user reads. `what`:
// "prompt" or "generated". A side that leaves a piece empty does not say.
void NotePieces(std::span<const int32_t> candidate, const std::vector<std::string>& candidate_pieces,
                std::span<const int32_t> reference, const std::vector<std::string>& reference_pieces,
                std::string_view what, RungResult& result);

// Where decode ended at a tie: what stands behind it was not compared.
void LeaveOutBehindTie(const Capture& reference, RungResult& result);

// Names the generated token of result.position as the reference chose it, with the largest logits there.
void DescribeStep(const Capture& candidate, const Capture& reference, const LadderOptions& options, RungResult& result);

// Decode where a side does not show the logits of its tokens: the ids as far as both show them, or else the text; and
// the log-probabilities that a server tells. rungs_text.cc.
RungResult CompareShownText(const Capture& candidate, const Capture& reference, const LadderOptions& options);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_RUNG_PARTS_H_
