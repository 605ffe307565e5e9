// Which replayed operations fail.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_REPLAY_VERDICT_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_REPLAY_VERDICT_H_

#include "parity_tests/findings/replay_result.h"

namespace parity {

// The operation is guilty or was not traced, or it is not exact although the order of the reference's build is known.
bool Fails(const ReplayResult& result, bool order_is_known);

// 0: no operation fails. 1: one does. 2: one was not traced.
int ExitCode(const ReplayRun& run);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_REPLAY_VERDICT_H_
