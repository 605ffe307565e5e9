// Two engines' traces side by side: every tensor that both recorded, in the order of the computation.
//
//   TraceDiff diff = DiffTraces(ReadTraces("a"), ReadTraces("b"), {.raw = RawTensors::kIfThere});
//   if (!diff.equal()) ... diff.tensors[*diff.first].name ...
//
// The order is that of position, layer and point, in which no tensor depends on one behind it; so all inputs of the
// first tensor that differs are equal, if they were traced.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_TRACE_DIFF_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_TRACE_DIFF_H_

#include "parity_tests/findings/trace_diff.h"

namespace parity {

// Relative difference of two RMS beyond which rounding does not explain it.
inline constexpr double kSuspiciousRms = 0.01;

enum class RawTensors { kNo, kIfThere, kRequired };

struct TraceDiffOptions {
  RawTensors raw = RawTensors::kIfThere;  // of the tensors that differ
  bool check_complete = true;             // a capture that lacks a record that its request asks for is an error
  bool check_model = true;                // so are two model files
};

// Throws std::runtime_error, naming the directory and what is wrong: captures of different models or prompts, nothing
// in common, a record that is missing within a capture or was not asked for, raw tensors that are absent (kRequired) or
// do not agree with their records.
TraceDiff DiffTraces(const Capture& a, const Capture& b, const TraceDiffOptions& options = {});

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_TRACE_DIFF_H_
