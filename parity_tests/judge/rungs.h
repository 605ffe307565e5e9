// The six stages of ladder.h, one function each.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_RUNGS_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_RUNGS_H_

#include "parity_tests/judge/ladder.h"

namespace parity {

// Both captures answer the same request on the same model file.
RungResult ComparePreflight(const Capture& candidate, const Capture& reference);
// Token ids, exact.
RungResult CompareTokens(const Capture& candidate, const Capture& reference);
// Vocabulary, hyper-parameters, context, batch, KV cache, logits, and the keys that each position may attend; exact.
RungResult CompareShapes(const Capture& candidate, const Capture& reference);
// Logits of position 0 against the profile's first-logit limits.
RungResult CompareFirstLogit(const Capture& candidate, const Capture& reference, const LadderOptions& options);
// Logits of every kept prompt position against the profile's positions limits.
RungResult ComparePositions(const Capture& candidate, const Capture& reference, const LadderOptions& options);
// Greedy tokens one by one, until the first difference. A tie ends the comparison without failing it.
RungResult CompareDecode(const Capture& candidate, const Capture& reference, const LadderOptions& options);

// n_ctx that a request asks for: its own, or prompt + max_tokens rounded up to a multiple of 256.
int64_t RequestedContext(const Request& request, int64_t n_tokens);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_RUNGS_H_
