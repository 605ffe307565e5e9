// From a divergence to its cause.
//
//   Diagnosis d = Diagnose({.verdict = &verdict, .captures = &captures, .model = &model});
//   if (!d.causes.empty()) ... d.causes[0].remedy ...
//
// The strongest test: the operation that is wrong is computed again from the candidate's own inputs, once for every
// mistake known to us. A mistake that gives the candidate's own output is the cause. Beside that: what token ids,
// masks, repeated runs and the shape of a difference say by themselves.
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_DIAGNOSIS_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_DIAGNOSIS_H_

#include <optional>
#include <span>
#include <string_view>

#include "engine/kernels/order.h"
#include "engine/model/model.h"
#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/diagnosis.h"
#include "parity_tests/findings/verdict.h"
#include "reference/capture/capture.h"

namespace parity {

// A cause that we know by name. docs/playbook.md has a line on each.
struct KnownCause {
  std::string_view id;    // "rope_layout"
  std::string_view what;  // "RoPE rotates neighbours; this architecture pairs element i with i + n_rot/2"
  std::string_view remedy;
};
std::span<const KnownCause> KnownCauses();
const KnownCause& FindCause(std::string_view id);  // throws std::logic_error on an id that is none

// Where two captures first differ; point kUnknown: nowhere, or nothing was traced. In the order of position, layer and
// stage, in which no tensor depends on one behind it.
Place FirstDifference(const Capture& a, const Capture& b);

struct DiagnosisInput {
  const Verdict* verdict = nullptr;
  const Captures* captures = nullptr;        // what the verdict judges
  const Capture* candidate_again = nullptr;  // the same request, run a second time
  // Where traces are to be looked at, with raw tensors of the layer of `location`, the output of the layer before and
  // embeddings, where recomputation is wanted; nullptr: `captures`. May be of a prefix.
  const Captures* inside = nullptr;
  std::optional<Place> location = {};              // nothing: where the traces first differ
  const bitnet::Model* model = nullptr;            // of both; nullptr: nothing is recomputed
  const bitnet::ArithmeticOrder* order = nullptr;  // nullptr: DefaultOrder of the model
};

// The verdict and its captures must be set. Throws only what reading raw tensors throws.
Diagnosis Diagnose(const DiagnosisInput& input);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_DIAGNOSIS_H_
