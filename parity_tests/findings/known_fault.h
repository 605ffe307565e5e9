// A fault of the reference that is known, and proven by what it gave. parity_tests/harness/known_fault.h finds it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_KNOWN_FAULT_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_KNOWN_FAULT_H_

#include <optional>
#include <string>

#include "parity_tests/findings/place.h"
#include "parity_tests/findings/rung.h"

namespace parity {

struct FoundFault {
  std::string id = {};    // "bitnet.cpp#588"
  std::string what = {};  // "computes ffn_act with ..."
  std::string versions = {};
  std::string link = {};
  Point point = Point::kUnknown;
  std::string proof = {};            // with figures
  bool accepted = false;             // the candidate was judged beside it
  std::optional<Rung> without = {};  // where the ladder stopped before it was accepted
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_KNOWN_FAULT_H_
