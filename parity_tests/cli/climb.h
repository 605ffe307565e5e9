// One climb as a user sees it: both engines run, the ladder's verdict, and where and why they part.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "parity_tests/cli/common.h"
#include "parity_tests/diagnose/explain.h"
#include "parity_tests/harness/pair.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/report.h"

namespace parity {

struct Climbed {
  Verdict verdict;
  std::optional<Captures> captures;        // nothing where an engine could not answer
  std::optional<Explanation> explanation;  // where a stage fails or a bit differs
};

struct ClimbOptions {
  ProfileOptions profile;
  Rung last = Rung::kDecode;
  bool explain = true;  // run the engines again to find where and why they part
};

// Never throws for what an engine does: that is a verdict too. Both engines must be there (Pair::Probe).
Climbed ClimbOnce(Pair& pair, const Request& request, const ClimbOptions& options);

// As the reports in HTML and JSON take it; the page refers to `climbed`.
HtmlClimb HtmlClimbOf(const Climbed& climbed);
nlohmann::json ClimbJson(const Climbed& climbed);

// The verdict where preflight fails with `message`.
Verdict Refuse(const std::string& message, const Request& request, const Profile& profile);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_CLIMB_H_
