// The oracle as an engine, sound or with one mistake.
//
//   auto backend = MakeOracleBackend({.mistake = "rope_layout", .layer = 3});
//   Capture wrong = backend->Run(request);
//
// Without a mistake its captures are those of the native engine bit for bit: two forward passes, written apart. On the
// scalar definitions it is slow; on the kernels it runs a mistake at the native engine's speed.
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_ORACLE_BACKEND_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_ORACLE_BACKEND_H_

#include <functional>
#include <memory>
#include <string>

#include "parity_tests/oracle/parameters.h"
#include "reference/engines/backend.h"

namespace parity {

struct OracleSpec {
  static constexpr int kEveryLayer = -2;
  std::string mistake = {};  // an id of the table of mistakes; empty: none
  int layer = -1;            // of a mistake that is in the layers: one of them, or kEveryLayer
  std::string order = {};    // as for MakeNativeBackend
  bool kernels = false;      // the engine's kernels in place of the scalar definitions
  // Beside the mistake: any change of an operation's parameters; layer -1 outside the layers.
  std::function<void(const bitnet::Model&, Point, int layer, Parameters&)> change = {};
};

// Throws std::runtime_error on a mistake that the oracle cannot make, and where a layer is missing or not wanted.
std::unique_ptr<Backend> MakeOracleBackend(const OracleSpec& spec = {});

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_ORACLE_BACKEND_H_
