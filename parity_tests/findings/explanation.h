// Where two engines part, and why. parity_tests/diagnose/explain.h finds both.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_EXPLANATION_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_EXPLANATION_H_

#include <optional>
#include <string>

#include "parity_tests/findings/bisection.h"
#include "parity_tests/findings/diagnosis.h"

namespace parity {

struct Explanation {
  std::optional<Bisection> bisection;
  std::string not_bisected;  // why there is none: an engine that answers no shorter prompt, or that failed on one
  Diagnosis diagnosis;
  std::string not_diagnosed;  // why no mistake was looked for

  Place location() const;  // of the bisection, or else of the diagnosis
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_EXPLANATION_H_
