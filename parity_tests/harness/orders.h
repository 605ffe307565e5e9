// Which order of operations (engine/kernels/order.h) gives whose bits.
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_ORDERS_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_ORDERS_H_

#include "engine/kernels/order.h"
#include "engine/model/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "reference/capture/capture.h"

namespace parity {

// That of the model's usual reference, in its AVX-512 build: bitnet.cpp for I2_S weights, llama.cpp for all others.
const bitnet::ArithmeticOrder& UsualOrder(const bitnet::Model& model);

// The engine whose order it is reads some names of pre-tokenizers in its own way.
bitnet::TokenizerDialect DialectOf(const bitnet::ArithmeticOrder& order);

// That of the build which made a capture (OrderOf in reference/engines/registry.h), or the usual one where none is
// known for it.
const bitnet::ArithmeticOrder& OrderFor(const BackendInfo& reference, const bitnet::Model& model);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_ORDERS_H_
