// The candidate in the box: our own engine, in process.
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_NATIVE_BACKEND_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_NATIVE_BACKEND_H_

#include <memory>
#include <string>

#include "reference/engines/backend.h"

namespace parity {

// `order`: the name of an order of operations (engine/kernels/order.h); empty: the usual one of the model's weights
// (orders.h).
std::unique_ptr<Backend> MakeNativeBackend(const std::string& order = "");

// In the order of a reference's build (OrderFor).
std::unique_ptr<Backend> MakeNativeBackendFor(const BackendInfo& reference);

// Whether the native engine made a capture in the order of the reference's build.
bool Follows(const BackendInfo& native, const BackendInfo& reference);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_NATIVE_BACKEND_H_
