// The noise floor: how far a reference is from itself when only the schedule, the threads or the batches change. A
// limit below the floor judges rounding, not an engine.
//
//   NoiseFloor floor = MeasureNoise(*reference, request, {});
//   for (std::string& note : NoiseNotes(floor, verdict)) verdict.notes.push_back(std::move(note));
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_NOISE_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_NOISE_H_

#include <functional>
#include <string>
#include <vector>

#include "parity_tests/findings/noise.h"
#include "parity_tests/findings/verdict.h"
#include "reference/engines/backend.h"

namespace parity {

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
