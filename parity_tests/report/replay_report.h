// Replayed operations.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_REPLAY_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_REPLAY_REPORT_H_

#include <string>

#include "parity_tests/findings/replay_result.h"

namespace parity {

// A line for each operation over all layers; the layers of those that are not exact.
std::string ReplayText(const ReplayRun& run, bool color);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_REPLAY_REPORT_H_
