// The mistakes that engines make, one at a time and known by name.
//
//   auto backend = MakeFaultyBackend({.id = "rope_layout", .layer = 3});
//   Capture wrong = backend->Run(request);
//
// Without a fault the backend is a second engine, written on the kernels' scalar definitions alone, and its captures
// are those of the native engine bit for bit. For tests; no release program links it.
#ifndef BITNET_PARITY_PARITY_TESTS_MISTAKES_FAULT_H_
#define BITNET_PARITY_PARITY_TESTS_MISTAKES_FAULT_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "reference/engines/backend.h"

namespace parity {

struct Fault {
  std::string_view id;  // that of its cause in the diagnosis
  bool in_layer;        // the fault is one layer's
  std::string_view what;
};
std::span<const Fault> AllFaults();

struct FaultSpec {
  std::string id;  // empty: none
  int layer = -1;
};

// `order`: as for MakeNativeBackend. Throws on a fault that is not in AllFaults(), and where a layer is missing or not
// wanted. Run throws ModelNotSupported for weights other than F32, F16, TQ1_0, TQ2_0 and I2_S.
std::unique_ptr<Backend> MakeFaultyBackend(const FaultSpec& fault = {}, const std::string& order = "");

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_MISTAKES_FAULT_H_
