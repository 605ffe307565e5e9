// The ladder: six checks, from "both engines are available" to "both generate the same text". Each one is a pure
// function of two captures.
//
//   Verdict verdict = Climb(candidate, reference, {.profile = LoadProfile(file, "strict")});
//   if (!verdict.parity()) ... verdict.failed_rung() ...
//
// The ladder stops at the first rung that fails; those above it are not reached. A rung that compares what an engine
// does not show (Capture::shown) is not judged. Nothing here throws for what an engine
// did: if something cannot be compared, its rung fails with a message.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/model_diff.h"
#include "parity_tests/findings/verdict.h"
#include "parity_tests/judge/rungs.h"
#include "parity_tests/judge/thresholds.h"
#include "reference/capture/capture.h"

namespace parity {

std::string_view ScheduleName(Schedule schedule);  // "batch", "token"

struct LadderOptions {
  Profile profile;
  Rung last = kLastRung;  // stop after this rung
  // Text of a token id, for the top-5. If it is not set, the pieces in the captures are used.
  std::function<std::string(int32_t)> piece_of;
  // Where the sides read two files of one model: A is the reference's. Preflight compares them by meaning.
  const ModelDiff* models = nullptr;
  std::vector<Rung> required = {};  // stages that must be judged: where one is not, the outcome is an error
};

// Text of a token: from options.piece_of, or else from the captures' pieces; "" if neither has it.
std::string PieceOf(int32_t id, const Capture& candidate, const Capture& reference, const LadderOptions& options);

// The first position at which an engine's logits, of the prompt or of decode, are not what it traced as such; "" where
// there is none, or no trace.
std::string NotTheTracedLogits(const Capture& capture);

// The first generated token that is outside the vocabulary, or not one of the largest of the logits behind which it
// stands. Nothing where there is none; a row with a NaN has no largest.
std::optional<size_t> FirstNotGreedy(const Capture& capture);

// One rung alone, whatever the rungs below it say. Status: pass, fail, skip or not judged.
RungResult JudgeRung(Rung rung, const Capture& candidate, const Capture& reference, const LadderOptions& options);

Verdict Climb(const Capture& candidate, const Capture& reference, const LadderOptions& options);

// The verdict without captures: `preflight` (fail or skip), and nothing above it reached.
Verdict NotClimbed(RungResult preflight, const Request& request, const Profile& profile);

// 0 parity, 1 divergence, 2 error: preflight failed or was skipped, no stage was judged, or not all that were required.
int ExitCode(const Verdict& verdict);

// The worst of all prompt positions that were compared: of positions, or else of first-logit; no rows if neither was
// reached.
const WorstRows& Figures(const Verdict& verdict);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_
