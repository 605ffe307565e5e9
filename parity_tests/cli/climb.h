// One climb as a user sees it: with progress on the terminal, and as the reports take it.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_

#include <nlohmann/json_fwd.hpp>

#include "parity_tests/harness/comparison.h"
#include "parity_tests/report/report.h"

namespace parity {

Climbed ClimbOnce(Comparison& comparison, const Request& request, const ClimbOptions& options);

// As the reports in HTML and JSON take it; the page refers to `climbed`.
HtmlClimb HtmlClimbOf(const Climbed& climbed);
nlohmann::json ClimbJson(const Climbed& climbed);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_
