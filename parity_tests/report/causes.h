// What usually makes a stage fail, and what to do next.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_CAUSES_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_CAUSES_H_

#include <string>
#include <vector>

#include "parity_tests/judge/ladder.h"

namespace parity {

// The most frequent first.
const std::vector<std::string>& UsualCauses(Rung rung);

// One step that narrows the cause down.
const std::string& NextStep(Rung rung);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_CAUSES_H_
