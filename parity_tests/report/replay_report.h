// Replayed operations, for people and for programs.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_REPLAY_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_REPLAY_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "parity_tests/findings/replay_result.h"

namespace parity {

// A line for each operation over all layers; the layers of those that are not exact.
std::string ReplayText(const ReplayRun& run, bool color);
nlohmann::json ReplayJson(const ReplayRun& run);  // schema "bitnet-parity/replay/1"
nlohmann::json ReplayJson(const ReplayResult& result);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_REPLAY_REPORT_H_
