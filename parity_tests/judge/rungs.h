// The rungs of the ladder as a table. Everything that lists rungs reads it: the ladder, thresholds, suites and their
// CTest labels, the command line, reports.
//
//   for (const RungInfo& rung : Rungs()) ... rung.name ...
//
// Messages, files and flags call a rung a stage.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_RUNGS_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_RUNGS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/verdict.h"
#include "reference/capture/capture.h"

namespace parity {

struct LadderOptions;

// Which positions a rung is about.
enum class PositionKind { kPrompt, kGenerated };

// Whether a profile has limits for a rung.
enum class LimitsUse {
  kNone,      // compared exactly
  kOptional,  // the rung compares tokens, and a profile may limit their logits too
  kRequired,  // a profile gives at least one limit
};

// What a rung compares. Status: pass, fail or skip; JudgeRung sets `rung`.
using RungCompare = RungResult(const Capture& candidate, const Capture& reference, const LadderOptions& options);

struct RungInfo {
  Rung rung;
  std::string_view name;   // "first-logit": in messages, files, thresholds, flags and CTest labels
  std::string_view suite;  // "FirstLogit": of GoogleTest
  PositionKind positions;
  LimitsUse limits;
  RungCompare* compare;
  // What a capture must show for it and does not, in words; empty where it can be judged.
  std::string_view (*not_shown)(const Capture& capture);
  std::array<std::string_view, 5> causes;
  std::string_view next_step;  // narrows the cause down

  // What usually makes it fail, the most frequent first: `causes` up to the first empty one.
  std::span<const std::string_view> usual_causes() const {
    return {causes.begin(), std::find(causes.begin(), causes.end(), "")};
  }
};

// All rungs in the order of the enumeration, lowest first.
std::span<const RungInfo> Rungs();
inline const RungInfo& InfoOf(Rung rung) { return Rungs()[static_cast<size_t>(rung)]; }

inline std::string_view RungName(Rung rung) { return InfoOf(rung).name; }
Rung RungFromName(std::string_view name);  // throws on anything else and lists the names
std::vector<std::string> RungNames();

// "position", or "generated token".
inline std::string_view PositionName(Rung rung) {
  return InfoOf(rung).positions == PositionKind::kGenerated ? "generated token" : "position";
}

// n_ctx that a request asks for: its own, or prompt + max_tokens rounded up to a multiple of 256.
int64_t RequestedContext(const Request& request, int64_t n_tokens);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_RUNGS_H_
