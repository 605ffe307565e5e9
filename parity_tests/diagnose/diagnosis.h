// From a divergence to its cause.
//
//   Diagnosis d = Diagnose({.verdict = &verdict, .captures = &captures, .own = own});
//   if (!d.causes.empty()) ... d.causes[0].what, d.causes[0].remedy ...
//
// The strongest test: the operation that is wrong is computed again from the candidate's own inputs, once for every
// mistake known to us (parity_tests/mistakes). A mistake that gives the candidate's own output is the cause. Beside
// that: what token ids, masks, repeated runs and the shape of a difference say by themselves.
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_DIAGNOSIS_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_DIAGNOSIS_H_

#include <optional>

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/diagnosis.h"
#include "parity_tests/findings/verdict.h"
#include "parity_tests/locate/guilty.h"

namespace parity {

// Where two captures first differ, in the order of position, layer and point, in which no tensor depends on one behind
// it. kUnknown: nowhere, or nothing was traced.
Place FirstDifference(const Capture& a, const Capture& b);

struct DiagnosisInput {
  const Verdict* verdict = nullptr;
  const Captures* captures = nullptr;        // what the verdict judges
  const Capture* candidate_again = nullptr;  // the same request, run a second time
  // Where traces are to be looked at, with raw tensors of the layer of `location`, the output of the layer before and
  // embeddings, where recomputation is wanted; nullptr: `captures`. May be of a prefix.
  const Captures* inside = nullptr;
  std::optional<Place> location = {};  // nothing: where the traces first differ
  OwnModel own = {};                   // without a model nothing is recomputed
};

// The verdict and its captures must be set. Throws only what reading raw tensors throws.
Diagnosis Diagnose(const DiagnosisInput& input);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_DIAGNOSIS_H_
