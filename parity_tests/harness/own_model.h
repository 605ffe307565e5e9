// Our own engine's view of the model that two engines ran, for replay and diagnosis.
//
//   const HeldModel held = HoldModel(request, captures.reference.backend);
//   Explain(candidate, reference, request, captures, verdict, held.own);
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_OWN_MODEL_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_OWN_MODEL_H_

#include <memory>
#include <string>

#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/locate/guilty.h"

namespace parity {

struct HeldModel {
  std::shared_ptr<const LoadedModel> loaded;
  OwnModel own;
};

// The order of operations is that of the reference's build, or else of the model's usual reference. Never throws for
// what is wrong with the file: own.problem says it.
HeldModel HoldModel(const Request& request, const BackendInfo& reference);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_OWN_MODEL_H_
