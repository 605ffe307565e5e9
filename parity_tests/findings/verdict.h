// What the ladder found. parity_tests/judge/ladder.h makes it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_VERDICT_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_VERDICT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/diagnosis.h"
#include "parity_tests/findings/known_fault.h"
#include "parity_tests/findings/metrics.h"
#include "parity_tests/findings/profile.h"
#include "parity_tests/findings/rung.h"
#include "parity_tests/findings/said.h"
#include "reference/capture/capture.h"

namespace parity {

// kNotJudged: an engine does not show what the stage compares.
enum class Status { kPass, kFail, kSkip, kNotReached, kNotJudged };
std::string_view StatusName(Status status);  // "pass", "fail", "skip", "not reached", "not judged"

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
  std::string message;   // fail: what differs, a line each; skip, not reached, not judged: why; else empty
  std::string partly;    // what of it was not compared: an engine does not show it, or it is behind a tie
  // What must be said although it fails nothing: a tie, a value that one side does not report.
  std::vector<std::string> notes;
  std::vector<std::string> equal;  // shapes: what is the same on both sides, "n_ctx 256"
  std::vector<std::string> hints;  // what the data itself says about the cause: "BOS twice"
  bool explains_itself = false;    // the message says what to do: what usually causes a failure does not matter

  // first-logit, positions, decode. A position is a prompt position, in decode the index of a generated token.
  std::vector<Check> checks;
  std::vector<RowMetrics> rows;  // one for each position compared
  std::vector<int64_t> at;       // the position of each row; empty: row i is of position i
  WorstRows worst;
  int64_t first_over = -1;  // the first position over a limit
  int64_t tie = -1;         // decode: the generated token at which both sides tie and choose apart; the walk ends there

  // The position that the message is about: in tokens and decode the first difference, in first-logit and positions the
  // worst.
  int64_t position = -1;
  int32_t token = -1;  // the prompt's token there; in decode the reference's choice
  std::string token_text;
  std::vector<TopToken> top_candidate;  // the five largest logits there
  std::vector<TopToken> top_reference;

  int64_t PositionOf(size_t row) const { return at.empty() ? static_cast<int64_t>(row) : at[row]; }
};

// What became of a comparison. kLimitedParity: no stage failed, and some were not judged, or in part.
enum class Outcome { kParity, kLimitedParity, kDivergence, kSkipped, kError };
std::string_view OutcomeName(Outcome outcome);  // "parity", "parity, limited coverage", "divergence", ...

struct Verdict {
  BackendInfo candidate;
  BackendInfo reference;
  ModelInfo model;
  Request request;
  Profile profile;
  std::vector<RungResult> rungs;  // all of them, in order
  std::vector<std::string> notes;
  AtFault at_fault = AtFault::kUnknown;        // where the engines part, or a bit differs, and both were looked into
  std::optional<FoundFault> known_fault = {};  // of the reference
  std::vector<int32_t> tokens;                 // the prompt's, as the reference reads it
  Said said_candidate, said_reference;         // whatever stage was reached
  std::vector<std::string> candidate_shows, reference_shows;  // parts of their captures (kShownParts, top_logprobs)
  std::vector<Rung> required;                                 // stages that must be judged, and in full

  std::optional<Rung> failed_rung() const;
  bool parity() const;   // both engines were there, and no stage failed
  bool limited() const;  // a stage was not judged, or in part, since an engine does not show what it compares
  // Of `required` the stages that were not judged in full; nothing where one failed.
  std::vector<Rung> not_covered() const;
  Outcome outcome() const;
  const RungResult& rung(Rung rung) const { return rungs[static_cast<size_t>(rung)]; }
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_VERDICT_H_
