// Where two engines part. parity_tests/locate/bisect.h finds it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_BISECTION_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_BISECTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/place.h"
#include "parity_tests/findings/replay_result.h"
#include "parity_tests/findings/trace_diff.h"
#include "parity_tests/findings/verdict.h"

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

struct Bisection {
  BisectVerdict verdict = BisectVerdict::kNoDivergence;
  std::optional<Rung> failed_rung;  // where the ladder stops on the whole prompt
  std::string message;              // what was found, in one or two sentences

  int prompt_length = 0;  // tokens of the whole prompt, with those generated before the divergence
  int prefix_length = 0;  // of the shortest prefix that fails; all shorter ones that were tried pass
  // The first diverging position, and the tensor that differs there: kUnknown if none does or none was traced.
  Place place;
  int32_t token = -1;  // at that position
  std::string token_text;
  int32_t candidate_token = -1;  // differs from `token` in kTokens only

  // kOperation: our definition of the operation at `place` on each side's own inputs. The verdict is kNotTraced if
  // the model or a side's inputs could not be replayed.
  ReplayResult replay_candidate;
  ReplayResult replay_reference;
  bool inputs_equal = false;  // both engines had the same inputs there, bit for bit
  // The first tensor that differs, with its elements if both engines kept them.
  std::optional<TensorDifference> difference;

  // The captures that settled it, with raw tensors of the operation's layer and of what goes into it.
  std::optional<Captures> inside;

  int captures = 0;                // runs of an engine, both together
  std::vector<std::string> steps;  // what was captured and what it said, a line each
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_BISECTION_H_
