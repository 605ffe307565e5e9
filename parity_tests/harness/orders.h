// Which order of operations (engine/kernels/order.h) gives whose bits.
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_ORDERS_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_ORDERS_H_

#include <string>

#include "engine/kernels/order.h"
#include "engine/model/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "reference/capture/capture.h"

namespace parity {

// That of the model's usual reference, in its AVX-512 build: bitnet.cpp for I2_S weights, llama.cpp for all others.
const bitnet::ArithmeticOrder& UsualOrder(const bitnet::Model& model);

// The engine whose order it is reads some names of pre-tokenizers in its own way.
bitnet::TokenizerDialect DialectOf(const bitnet::ArithmeticOrder& order);
// That of the build which made a capture, also where its order does not know a format of the model.
bitnet::TokenizerDialect DialectFor(const BackendInfo& reference, const bitnet::Model& model);

// That of the build which made a capture (OrderOf in reference/engines/registry.h); nullptr where none is known for it,
// or for a format that the model multiplies with.
const bitnet::ArithmeticOrder* KnownOrder(const BackendInfo& reference, const bitnet::Model& model);

// The same, or the usual one where none is known.
const bitnet::ArithmeticOrder& OrderFor(const BackendInfo& reference, const bitnet::Model& model);

// By its name; empty: the usual one. Throws std::runtime_error where it does not know a format that the model
// multiplies with, and names a tensor.
const bitnet::ArithmeticOrder& OrderNamed(const std::string& name, const bitnet::Model& model);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_ORDERS_H_
