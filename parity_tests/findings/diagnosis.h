// What usually causes a divergence, and the proof. parity_tests/diagnose/diagnosis.h finds it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_DIAGNOSIS_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_DIAGNOSIS_H_

#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/place.h"

namespace parity {

// Whose outputs do not follow from its inputs, by a third opinion: our own computation of the same model.
// Neither: each operation of both follows from its inputs, and what is left is rounding.
enum class AtFault { kUnknown, kCandidate, kReference, kNeither };
std::string_view AtFaultName(AtFault side);  // "unknown", "candidate", "reference", "neither"

enum class Certainty {
  kPossible,  // fits where the divergence is, nothing more
  kLikely,    // the figures point at it
  kCertain,   // the mistake, made on purpose on the same inputs, gives the engine's output
};
std::string_view CertaintyName(Certainty certainty);  // "possible", "likely", "certain"

struct Cause {
  std::string id;
  Certainty certainty = Certainty::kPossible;
  std::string evidence = {};  // with figures
  std::string what = {};      // the mistake in words
  std::string remedy = {};    // what to do about it
};

struct Diagnosis {
  Place location;
  std::vector<Cause> causes;  // the most certain first; of the side that is at fault
  AtFault at_fault = AtFault::kUnknown;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_DIAGNOSIS_H_
