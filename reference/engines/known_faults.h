// What is known to be wrong with engines as people have them: data, one row each. A row is said of an engine only
// where its build tells that it is one of these, and counts in a verdict only where its outputs prove it
// (parity_tests/harness/known_fault.h).
#ifndef BITNET_PARITY_REFERENCE_ENGINES_KNOWN_FAULTS_H_
#define BITNET_PARITY_REFERENCE_ENGINES_KNOWN_FAULTS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference/capture/capture.h"

namespace parity {

struct KnownFault {
  std::string_view id;        // "bitnet.cpp#588"
  std::string_view engine;    // BackendInfo::name
  std::string_view versions;  // in words
  // By what such a build is recognised: parts of BackendInfo::build that it has, both, and lacks; empty: any.
  std::string_view has, lacks = {}, has_too = {};
  std::string_view architecture = {};  // of the model's file; empty: any
  Point point = Point::kUnknown;       // the operation; kUnknown: none in particular
  // The row of the table of mistakes that makes it, and the way of that row; empty: there is none.
  std::string_view mistake = {}, way = {};
  std::string_view what = {};  // "computes ffn_act with ..."
  std::string_view link = {};

  bool Of(const BackendInfo& backend) const {
    return backend.name == engine && backend.build.find(has) != std::string::npos &&
           backend.build.find(has_too) != std::string::npos &&
           (lacks.empty() || backend.build.find(lacks) == std::string::npos);
  }
};

std::span<const KnownFault> AllKnownFaults();

// "computes ... (bitnet.cpp#588, since July 2026): https://..."
std::string Describe(const KnownFault& fault);

// Those of an engine's build.
std::vector<KnownFault> KnownFaultsOf(const BackendInfo& backend);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_KNOWN_FAULTS_H_
