// Known faults of a reference (reference/engines/known_faults.h), proven by its outputs: our own computation of the
// model with the fault in it gives what the reference gave, and without it does not.
//
//   if (auto found = FindKnownFault(request, reference)) ... found->fault.what, found->corrected ...
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_KNOWN_FAULT_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_KNOWN_FAULT_H_

#include <memory>
#include <optional>
#include <string>

#include "parity_tests/findings/known_fault.h"
#include "reference/capture/capture.h"
#include "reference/engines/backend.h"

namespace parity {

struct ProvenFault {
  FoundFault fault;
  Capture corrected;                 // what the reference would have given without it
  std::shared_ptr<Backend> without;  // the engine that gives this, for other requests of the same model
};

// The first of the faults of this build that its capture proves: by the built-in profile strict where an order of
// operations is known for the build, else by cosine. Nothing where our own engine cannot run the model.
std::optional<ProvenFault> FindKnownFault(const Request& request, const Capture& reference);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_KNOWN_FAULT_H_
