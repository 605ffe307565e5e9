// The ladder: six stages from "are both there" to "do they write the same text", each a function of two captures.
//
//   Verdict verdict = Climb(candidate, reference, {.profile = LoadProfile(file, "strict")});
//   if (!verdict.parity()) ... verdict.failed_rung() ...
//
// The ladder stops at the first stage that fails; those above are not reached. Nothing here throws for what an engine
// did: what cannot be compared is a failure of its stage, with a message.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/judge/metrics.h"
#include "parity_tests/judge/thresholds.h"
#include "reference/capture/capture.h"

namespace parity {

enum class Rung { kPreflight, kTokens, kShapes, kFirstLogit, kPositions, kDecode };
inline constexpr std::array<Rung, 6> kRungs = {Rung::kPreflight,  Rung::kTokens,    Rung::kShapes,
                                               Rung::kFirstLogit, Rung::kPositions, Rung::kDecode};
std::string_view RungName(Rung rung);      // "preflight", "tokens", "shapes", "first-logit", "positions", "decode"
Rung RungFromName(std::string_view name);  // throws on anything else and lists these

enum class Status { kPass, kFail, kSkip, kNotReached };
std::string_view StatusName(Status status);  // "pass", "fail", "skip", "not reached"

std::string_view ScheduleName(Schedule schedule);  // "batch", "token"

// What a position of this stage is: "position", in decode "generated token".
std::string_view PositionName(Rung rung);

// Both engines' answers to one request.
struct Captures {
  Capture candidate;
  Capture reference;
};

struct TopToken {
  int32_t id = -1;
  std::string text;
  float logit = 0;
};

// One limit and the worst value that it met. `position`: prompt position, or index of the generated token (decode).
struct Check {
  Metric metric;
  double limit = 0;
  double worst = 0;
  int64_t position = -1;
  bool pass = false;
};

struct RungResult {
  Rung rung = Rung::kPreflight;
  Status status = Status::kPass;
  std::string compared;  // what was compared: "8 token ids"
  std::string message;   // fail: what differs, a line each; skip, not reached: why; else empty
  std::vector<std::string>
      notes;  // what must be said although it fails nothing: a tie, a value that one side does not report
  std::vector<std::string> hints;  // what the data itself says about the cause: "BOS twice"

  // first-logit, positions, decode. A position is a prompt position, in decode the index of a generated token.
  std::vector<Check> checks;
  std::vector<RowMetrics> rows;  // one for each position compared
  WorstRows worst;
  int64_t first_over = -1;  // the first position over a limit

  // The position that the message is about: in tokens and decode the first difference, in first-logit and positions the
  // worst.
  int64_t position = -1;
  int32_t token = -1;  // the prompt's token there; in decode the reference's choice
  std::string token_text;
  std::vector<TopToken> top_candidate;  // the five largest logits there
  std::vector<TopToken> top_reference;
};

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

struct Verdict {
  BackendInfo candidate;
  BackendInfo reference;
  ModelInfo model;
  Request request;
  Profile profile;
  std::vector<RungResult> rungs;  // all six, in order
  std::vector<std::string> notes;

  std::optional<Rung> failed_rung() const;
  bool parity() const;  // both engines were there, and no stage failed
  const RungResult& rung(Rung rung) const { return rungs[static_cast<size_t>(rung)]; }
};

Verdict Climb(const Capture& candidate, const Capture& reference, const LadderOptions& options);

// The verdict where a capture could not be had: `preflight` (fail or skip), and nothing above it reached.
Verdict NotClimbed(RungResult preflight, const Request& request, const Profile& profile);

// 0 parity, 1 divergence, 2 error: preflight failed or was skipped, so that nothing was compared.
int ExitCode(const Verdict& verdict);

// The worst of all positions of the highest logits stage that was reached; empty (0 rows) where none was.
const WorstRows& Figures(const Verdict& verdict);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_LADDER_H_
