// The noise floor: how far a reference is from itself when only the schedule, the threads or the batches change. A
// limit below the floor judges rounding, not an engine.
//
//   NoiseFloor floor = MeasureNoise(*reference, request, {});
//   verdict.notes.append(NoiseNotes(floor, verdict));
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_NOISE_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_NOISE_H_

#include <functional>
#include <string>
#include <vector>

#include "parity_tests/judge/ladder.h"
#include "reference/engines/backend.h"

namespace parity {

// Two runs of one engine, all prompt positions.
struct NoiseRow {
  std::string what;  // "batch against a token at a time"
  bool like_schedules = true;
  WorstRows worst;
  int64_t argmax_equal = 0;  // positions where both choose the same token
};

struct NoiseFloor {
  BackendInfo backend;
  ModelInfo model;
  Request request;
  int n_tokens = 0;
  std::vector<NoiseRow> rows;
  int captures = 0;
  std::vector<std::string> notes;

  // The worst of the rows whose two runs follow the same schedule: what the ladder compares.
  WorstRows Like() const;
  WorstRows All() const;
};

struct NoiseOptions {
  int threads = 0;  // the other number of threads beside 1; 0: as many as the machine has, at least 2
  std::function<void(const std::string&)> progress;
};

// At most six runs: the request as it is, once more, with other threads, in smaller batches, and both schedules. Throws
// what Backend::Run throws.
NoiseFloor MeasureNoise(Backend& reference, const Request& request, const NoiseOptions& options);

// What the floor says of a verdict: limits that lie below it, and failures that are no larger than it.
std::vector<std::string> NoiseNotes(const NoiseFloor& floor, const Verdict& verdict);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_NOISE_H_
