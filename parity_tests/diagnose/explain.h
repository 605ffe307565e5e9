// Where two engines part, and why: bisection, then the diagnosis of what it found.
//
//   Explanation e = Explain(candidate, reference, request, captures, verdict, own);
//   if (!e.diagnosis.causes.empty()) ... e.diagnosis.causes[0].what ...
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_EXPLAIN_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_EXPLAIN_H_

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/verdict.h"
#include "parity_tests/locate/bisect.h"

namespace parity {

// `captures`: both answers to `request`; `verdict`: the ladder's, which fails. Runs the engines again, on prefixes of
// that prompt; if one of them is a recorded capture, only the recorded tensors are used.
Explanation Explain(Backend& candidate, Backend& reference, const Request& request, const Captures& captures,
                    const Verdict& verdict, const OwnModel& own, const BisectOptions& options = {});

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_EXPLAIN_H_
