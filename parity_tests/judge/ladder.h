// The ladder: six stages from "are both there" to "do they write the same text", each a function of two captures.
//
//   Verdict verdict = Climb(candidate, reference, {.profile = LoadProfile(file, "strict")});
//   if (!verdict.parity()) ... verdict.failed_rung() ...
//
// The ladder stops at the first stage that fails; those above are not reached. Nothing here throws for what an engine
// did: what cannot be compared is a failure of its stage, with a message.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_

#include <functional>
#include <string>
#include <string_view>

#include "parity_tests/findings/verdict.h"
#include "parity_tests/judge/thresholds.h"
#include "reference/capture/capture.h"

namespace parity {

std::string_view RungName(Rung rung);      // "preflight", "tokens", "shapes", "first-logit", "positions", "decode"
Rung RungFromName(std::string_view name);  // throws on anything else and lists these

std::string_view ScheduleName(Schedule schedule);  // "batch", "token"

// What a position of this stage is: "position", in decode "generated token".
std::string_view PositionName(Rung rung);

struct LadderOptions {
  Profile profile;
  Rung last = Rung::kDecode;  // stop after this stage
  // Text of a token id, for the top-5; where it is not set, the pieces in the captures serve.
  std::function<std::string(int32_t)> piece_of;
};

// Text of a token: by options.piece_of, or what the captures happen to hold; "" where they do not.
std::string PieceOf(int32_t id, const Capture& candidate, const Capture& reference, const LadderOptions& options);

// One stage alone, whatever the stages below it would say. Status: pass, fail or skip.
RungResult JudgeRung(Rung rung, const Capture& candidate, const Capture& reference, const LadderOptions& options);

Verdict Climb(const Capture& candidate, const Capture& reference, const LadderOptions& options);

// The verdict where a capture could not be had: `preflight` (fail or skip), and nothing above it reached.
Verdict NotClimbed(RungResult preflight, const Request& request, const Profile& profile);

// 0 parity, 1 divergence, 2 error: preflight failed or was skipped, so that nothing was compared.
int ExitCode(const Verdict& verdict);

// The worst of all positions of the highest logits stage that was reached; empty (0 rows) where none was.
const WorstRows& Figures(const Verdict& verdict);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_
