// One climb as a user sees it: with progress on the terminal, and as the reports take it.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_

#include <nlohmann/json_fwd.hpp>

#include <string>

#include "parity_tests/harness/comparison.h"
#include "parity_tests/report/report.h"

namespace parity {

Climbed ClimbOnce(Comparison& comparison, const Request& request, const ClimbOptions& options);

// Throws unless captures can be kept in `directory` (of `option`): it is there or can be made, and holds no capture of
// another request, which would be taken for one of this.
void CheckDirectory(const std::string& option, const std::string& directory);
void CheckHoldsNoOther(const std::string& option, const std::string& directory, const Request& request);

// As the reports in HTML and JSON take it; the page refers to `climbed`.
HtmlClimb HtmlClimbOf(const Climbed& climbed);
nlohmann::json ClimbJson(const Climbed& climbed);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_
