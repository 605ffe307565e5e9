// What the ladder and the diagnosis have to say about each fault, and what they do say.
#ifndef BITNET_PARITY_PARITY_TESTS_MISTAKES_FAULT_CASES_H_
#define BITNET_PARITY_PARITY_TESTS_MISTAKES_FAULT_CASES_H_

#include <string>
#include <vector>

#include "parity_tests/diagnose/explain.h"
#include "parity_tests/mistakes/fault.h"

namespace parity {

struct FaultCase {
  FaultSpec fault;
  std::string model;  // "kjv-bitnet.tq2_0": a trained model in the build folder
  // Expected.
  std::string failed_rung;
  Place location;  // stage empty: no operation is wrong; position -1: any

  std::string Name() const;  // "rope_base_layer3_tq2_0"
};

// Every fault; those of a layer in the first, a middle and the last one.
std::vector<FaultCase> AllFaultCases();

struct FaultFinding {
  std::string failed_rung;  // "none" where the ladder passes
  Explanation explanation;
  bool RungRight(const FaultCase& c) const;
  bool PlaceRight(const FaultCase& c) const;
  bool CauseRight(const FaultCase& c) const;
};

// As a user finds it: the ladder, and what it explains. `models`: the folder of the trained models; `reference`: any
// engine that is right, as MakeAnyBackend knows it.
FaultFinding FindFault(const FaultCase& c, const std::string& models, const std::string& thresholds,
                       const std::string& reference = "native");

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_MISTAKES_FAULT_CASES_H_
