// What an engine did in an operation that is wrong, as its own numbers say it: solved for, not looked up.
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_ESTIMATE_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_ESTIMATE_H_

#include <string>

#include "parity_tests/locate/traced_operation.h"

namespace parity {

// "the branch is added 0.707 times (expected 1), the residual 1 times". Empty where the numbers fit no such form.
// `right`: the operation's parameters, with the engine's habits; `null`: what they leave.
std::string Estimate(const TracedOperation& op, const Parameters& right, const Fit& null);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_ESTIMATE_H_
