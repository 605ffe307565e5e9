// Ternary weights changed, whatever format holds them (bitnet::Format::is_ternary).
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_

#include <cstdint>
#include <functional>

#include "engine/kernels/matmul.h"
#include "parity_tests/oracle/parameters.h"

namespace parity {

// The matrix with every code c replaced by map(c).
ProductParameters WithCodes(const bitnet::WeightMatrix& w, const std::function<uint8_t(uint8_t)>& map);
// The matrix as a reader sees it who takes consecutive weights from the consecutive codes of each byte.
ProductParameters ReadLinearly(const bitnet::WeightMatrix& w);
// The matrix as a reader sees it who takes weight i of a block where weight from(i) stands.
ProductParameters WithOrder(const bitnet::WeightMatrix& w, const std::function<size_t(size_t i)>& from);
// The matrix with every scale 1.
ProductParameters WithoutScale(const bitnet::WeightMatrix& w);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_
