// Activations rounded to int8 by another rule than the weights' format asks for.
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_QUANTIZE_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_QUANTIZE_H_

#include "parity_tests/oracle/arithmetic.h"

namespace parity {

// x: [n, cols]. `rule`: kWholeBatch or kTruncating; all else is as the kind's definition says.
Int8Rows QuantizeWrongly(bitnet::ActivationKind kind, const Values& x, size_t cols, Quantizing rule);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_QUANTIZE_H_
