// Activations rounded to int8 by another rule than the weights' format asks for.
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_QUANTIZE_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_QUANTIZE_H_

#include "parity_tests/oracle/arithmetic.h"

namespace parity {

// x: [n, cols]. What `rule` leaves open is as the kind's definition says. The scales that it returns are those of the
// kind's groups, or of the rule's blocks where those are smaller.
Int8Rows QuantizeWrongly(bitnet::ActivationKind kind, const Values& x, size_t cols, const Quantizing& rule);

// What the int8 values stand for. n: how many.
Values Dequantized(bitnet::ActivationKind kind, const Int8Rows& rows, size_t n);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_QUANTIZE_H_
