// One operation of a capture computed again with a mistake made on purpose, on the capture's own inputs.
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_HYPOTHESES_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_HYPOTHESES_H_

#include <vector>

#include "parity_tests/diagnose/diagnosis.h"

namespace parity {

// The mistakes that give the candidate's output at `location`, bit for bit first, then within rounding. Empty where the
// operation is right, where no known mistake fits, or where its inputs were not traced.
std::vector<Cause> TestHypotheses(const bitnet::Model& model, const bitnet::ArithmeticOrder& order,
                                  const Capture& candidate, const Place& location);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_HYPOTHESES_H_
