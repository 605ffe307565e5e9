// The mistakes of fixtures/not_exact_engine (`--fault NAME`), and what describes them in the table of mistakes.
//
//   for (const NotExactFault& fault : NotExactFaults())
//     if (fault.cause != nullptr) EXPECT_EQ(CauseFoundOf(fault.name), fault.cause);
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_NOT_EXACT_FAULTS_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_NOT_EXACT_FAULTS_H_

#include <span>

#include "engine/graph/graph.h"

namespace parity {

struct NotExactFault {
  const char* name;
  bitnet::Point point;    // the first operation that it makes wrong
  const char* cause;      // the row of the table of mistakes that describes it; nullptr: none does
  bool in_layer = true;   // may be in one layer
  const char* only = "";  // of formats
};

std::span<const NotExactFault> NotExactFaults();

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_NOT_EXACT_FAULTS_H_
