// Where two engines part, and why. parity_tests/diagnose/explain.h finds both.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_EXPLANATION_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_EXPLANATION_H_

#include <optional>
#include <string>

#include "parity_tests/findings/bisection.h"
#include "parity_tests/findings/diagnosis.h"
#include "parity_tests/findings/survey.h"

namespace parity {

struct Explanation {
  std::optional<Bisection> bisection;
  std::string not_bisected;  // why there is none: an engine that answers no shorter prompt, or that failed on one
  // Every operation of the candidate on its own inputs, where it left them. Where the candidate follows from its
  // inputs, `reference` has what does not on the other side.
  std::optional<Survey> candidate;
  std::optional<Survey> reference;
  std::string not_surveyed;  // why neither could be
  Diagnosis diagnosis;
  std::string not_diagnosed;  // why no mistake was looked for

  bool baseline = false;  // the reference is the candidate's previous build: the bisection finds what changed
  // Whether the survey says where the candidate is wrong; else the bisection does, or else the diagnosis.
  bool located_by_survey() const;
  // Every operation of the candidate follows from its inputs, but for what it does everywhere.
  bool habits_alone() const;
  Place location() const;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_EXPLANATION_H_
