// Engines with one known mistake: what the ladder and the diagnosis have to say about each, and what they do say.
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_FAULT_CASES_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_FAULT_CASES_H_

#include <string>
#include <vector>

#include "parity_tests/findings/explanation.h"
#include "parity_tests/harness/oracle_backend.h"

namespace parity {

struct FaultCase {
  OracleSpec fault;
  std::string model;  // "kjv-bitnet.tq2_0": a trained model in the build folder; "wide.i2_s": made by FindFault
  // Expected.
  std::string failed_rung;
  Place location;  // kUnknown: no operation is wrong; position -1: any

  std::string Name() const;  // "rope_base_layer3_kjv_bitnet_tq2_0"
};

// Every mistake that an engine of the suite has; those of a layer in the first, a middle and the last one.
std::vector<FaultCase> AllFaultCases();

struct FaultFinding {
  std::string failed_rung;  // "none" where the ladder passes
  Explanation explanation;
  bool RungRight(const FaultCase& c) const;
  bool PlaceRight(const FaultCase& c) const;
  bool CauseRight(const FaultCase& c) const;
};

// Runs the ladder and the explanation, as a user would. `models`: the folder of the trained models; `reference`: any
// engine that is right, as MakeEngine knows it.
FaultFinding FindFault(const FaultCase& c, const std::string& models, const std::string& thresholds,
                       const std::string& reference = "native");

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_FAULT_CASES_H_
