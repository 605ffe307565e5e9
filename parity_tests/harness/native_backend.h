// The candidate in the box: our own engine, in process.
//
//   std::unique_ptr<Backend> candidate = MakeAnyBackend("native");
//   Capture capture = candidate->Run(request);
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_NATIVE_BACKEND_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_NATIVE_BACKEND_H_

#include <memory>
#include <string>

#include "reference/engines/backend.h"

namespace parity {

// `order`: the name of an order of operations (engine/kernels/order.h); empty: the one that fits the model's weight
// type.
std::unique_ptr<Backend> MakeNativeBackend(const std::string& order = "");

// "native", "native:ORDER", or what MakeBackend knows.
std::unique_ptr<Backend> MakeAnyBackend(const std::string& spec);

// The candidate whose order of operations is that of the reference's build: for "native" the order that `reference` was
// built for (by its name and the instruction set it picked), for anything else the same as MakeAnyBackend.
std::unique_ptr<Backend> MakeCandidateFor(const std::string& spec, const BackendInfo& reference);

// The order of a reference's build; empty where none is known for it.
std::string OrderOf(const BackendInfo& reference);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_NATIVE_BACKEND_H_
