// Bisection: from "the ladder fails" to the shortest failing prefix of the prompt, the first diverging position, and
// there the layer, the stage, and the operation that is wrong.
//
//   Bisection b = Bisect(candidate, reference, request, {.profile = profile});
//   if (b.verdict == BisectVerdict::kOperation) ... b.position, b.layer, b.stage ...
//
// Captures only what it needs: logits for the search over prefixes, then hashes of each layer's output, then raw
// tensors of the layer where they first differ (of every layer, where what differs there is rounding alone).
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_BISECT_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_BISECT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/place.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/locate/replay.h"
#include "reference/engines/backend.h"

namespace parity {

enum class BisectVerdict {
  kNoDivergence,     // the ladder passes
  kNotReproducible,  // one engine answered the same request in two ways; the place is where its own runs part
  kTokens,           // other token ids: nothing behind them can agree
  kShapes,           // context, cache or masks differ, and no logit does
  kChoice,           // equal logits, and another token is taken
  kOperation,        // one operation makes another output of the same inputs
  kRounding,         // every operation is within its tolerance on its own inputs: what differs has accumulated
  kNotTraced,        // the prefix is found; an engine left no tensors to look into
};
std::string_view BisectVerdictName(BisectVerdict verdict);  // "no divergence", ..., "operation", ...

struct BisectOptions {
  Profile profile = {};  // the limits that say what fails
  // Both answers to the request, where they are there already.
  const Captures* whole = nullptr;
  // Only where the first bit differs on the whole prompt: no shorter prefix is sought, and where that bit is rounding
  // nothing behind it is replayed.
  bool first_bit = false;
  // Told what is about to happen: "prefix of 12 tokens: reference".
  std::function<void(const std::string&)> progress = {};
};

struct Bisection {
  BisectVerdict verdict = BisectVerdict::kNoDivergence;
  std::optional<Rung> failed_rung;  // where the ladder stops on the whole prompt
  std::string message;              // what was found, in one or two sentences

  int prompt_length = 0;  // tokens of the whole prompt, with those generated before the divergence
  int prefix_length = 0;  // of the shortest prefix that fails; all shorter ones that were tried pass
  // The first diverging position, its token, and in kTokens the candidate's token there (else the same).
  int position = -1;
  int32_t token = -1;
  std::string token_text;
  int32_t candidate_token = -1;

  int layer = -1;                 // -1: outside the layers
  Point point = Point::kUnknown;  // kUnknown where no tensor differs or none was traced
  // kOperation: our definition of the operation `stage` of `layer` on each side's own inputs. Its verdict is kNotTraced
  // where the model, or a side's inputs, could not be replayed.
  ReplayResult replay_candidate;
  ReplayResult replay_reference;
  bool inputs_equal = false;  // both engines had the same inputs there, bit for bit
  // The first tensor that differs, with its elements where both engines kept them.
  std::optional<TensorDifference> difference;

  // The captures that settled it, with raw tensors of the operation's layer and of what goes into it.
  std::optional<Captures> inside;

  int captures = 0;                // runs of an engine, both together
  std::vector<std::string> steps;  // what was captured and what it said, a line each
};

// Throws what Backend::Run throws. The order of operations for the replay is that of the reference's build, or else of
// the model's usual reference.
Bisection Bisect(Backend& candidate, Backend& reference, const Request& request, const BisectOptions& options);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_BISECT_H_
