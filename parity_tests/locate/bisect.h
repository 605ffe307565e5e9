// Bisection: from "the ladder fails" to the shortest failing prefix of the prompt, the first diverging position, and
// there the layer, the point, and the operation that is wrong.
//
//   Bisection b = Bisect(candidate, reference, request, captures, verdict, own);
//   if (b.verdict == BisectVerdict::kOperation) ... b.place ...
//
// Captures only what it needs: logits for the search over prefixes, then hashes of each layer's output, then raw
// tensors of the layer where they first differ (of every layer, where what differs there is rounding alone).
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_BISECT_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_BISECT_H_

#include <functional>
#include <string>

#include "parity_tests/findings/bisection.h"
#include "parity_tests/findings/verdict.h"
#include "parity_tests/locate/guilty.h"
#include "reference/engines/backend.h"

namespace parity {

struct BisectOptions {
  // Only where the first bit differs on the whole prompt: no shorter prefix is sought, and where that bit is rounding
  // nothing behind it is replayed.
  bool first_bit = false;
  // Both are builds of one engine: the first operation with another bit of equal inputs is what changed, however
  // little.
  bool every_bit = false;
  // Told what is about to happen: "prefix of 12 tokens: reference".
  std::function<void(const std::string&)> progress = {};
};

// `whole`: both answers to the request; `verdict`: what the ladder says of them. Throws what Backend::Run throws.
Bisection Bisect(Backend& candidate, Backend& reference, const Request& request, const Captures& whole,
                 const Verdict& verdict, const OwnModel& own, const BisectOptions& options = {});

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_BISECT_H_
