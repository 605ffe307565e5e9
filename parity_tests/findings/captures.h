// The captures of a candidate and a reference.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_CAPTURES_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_CAPTURES_H_

#include "reference/capture/capture.h"

namespace parity {

// Both engines' answers to one request.
struct Captures {
  Capture candidate;
  Capture reference;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_CAPTURES_H_
