// Where two engines part, and why: bisection, then the diagnosis of what it found.
//
//   Explanation e = Explain(candidate, reference, request, captures, {.profile = profile});
//   if (!e.diagnosis.causes.empty()) ... e.diagnosis.causes[0].what ...
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_EXPLAIN_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_EXPLAIN_H_

#include <functional>
#include <string>

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/profile.h"
#include "reference/engines/backend.h"

namespace parity {

struct ExplainOptions {
  Profile profile = {};
  bool first_bit = false;  // as in BisectOptions
  std::function<void(const std::string&)> progress = {};
};

// `captures`: both answers to `request`, which fail in the profile. Runs the engines again, on prefixes of that prompt;
// where one of them is a recorded capture, what was recorded has to do.
Explanation Explain(Backend& candidate, Backend& reference, const Request& request, const Captures& captures,
                    const ExplainOptions& options);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_EXPLAIN_H_
