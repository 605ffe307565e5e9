#include "parity_tests/judge/replay_verdict.h"

#include <algorithm>

namespace parity {

bool Fails(const ReplayResult& result, bool order_is_known) {
  return result.verdict == ReplayVerdict::kGuilty || result.verdict == ReplayVerdict::kNotTraced ||
         (order_is_known && result.verdict != ReplayVerdict::kExact);
}

int ExitCode(const ReplayRun& run) {
  int code = 0;
  for (const ReplayResult& result : run.results) {
    const bool missing = result.verdict == ReplayVerdict::kNotTraced;
    code = std::max(code, missing ? 2 : Fails(result, run.order_is_known) ? 1 : 0);
  }
  return code;
}

}  // namespace parity
