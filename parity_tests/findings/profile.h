// Limits for the rungs that compare logits. parity_tests/judge/thresholds.h reads them.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_PROFILE_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_PROFILE_H_

#include <map>
#include <string>
#include <vector>

#include "parity_tests/findings/metrics.h"
#include "parity_tests/findings/rung.h"

namespace parity {

using Limits = std::map<Metric, double>;

struct Profile {
  std::string name;
  std::map<Rung, Limits> limits = {};
  double decode_tie = 0;               // logits: at most so far apart on both sides, two of them tie
  double decode_tie_cosine = 1;        // and where the rounding of two rows of this cosine may turn their order
  std::vector<std::string> overrides;  // as given: "positions.mse=1e-5"
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_PROFILE_H_
