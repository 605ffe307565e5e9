// How far an engine is from itself. parity_tests/locate/noise.h measures it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_NOISE_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_NOISE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "parity_tests/findings/metrics.h"
#include "reference/capture/capture.h"

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

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_NOISE_H_
