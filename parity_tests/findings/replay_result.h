// An operation computed again on an engine's own inputs. parity_tests/locate/replay.h does it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_REPLAY_RESULT_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_REPLAY_RESULT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/place.h"
#include "reference/capture/capture.h"

namespace parity {

enum class ReplayVerdict {
  kExact,   // every bit
  kWithin,  // differs, but by no more than the order of operations can account for
  kGuilty,
  kNotTraced,  // the capture lacks the operation's inputs or its output
};
std::string_view ReplayVerdictName(ReplayVerdict verdict);

// One operation of one layer over all traced positions.
struct ReplayResult {
  // The operation, and the position where max_error was found; for kNotTraced the first that is not traced.
  Place place = {.point = Point::kEmbeddings};
  ReplayVerdict verdict = ReplayVerdict::kNotTraced;
  int64_t elements = 0;
  int64_t differing = 0;  // elements with other bits
  double max_abs = 0;     // largest difference
  double max_error = 0;   // largest difference, as a share of the tolerance at its position
  int first_guilty = -1;  // the first position with an element outside the tolerance
  // The same, and off by more than rounding in another place explains: an engine that rounds elsewhere, or does
  // not round to int8 at all, is guilty everywhere, and yet its mistake is at one place.
  int first_wrong = -1;
  int64_t index = -1;  // element of that position's tensor
  float ours = 0;
  float reference = 0;
  double tolerance_units = 0;  // ReplayTolerance of this operation
  std::string missing;         // kNotTraced: the tensor that the capture lacks
};

// The operations of one capture, and what they were replayed with.
struct ReplayRun {
  BackendInfo reference;
  ModelInfo model;
  std::string schedule;
  std::string order;           // of our operations
  bool order_is_known = true;  // it is that of the reference's build: every operation must be exact
  std::vector<ReplayResult> results;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_REPLAY_RESULT_H_
