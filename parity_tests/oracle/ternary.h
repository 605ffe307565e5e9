// Ternary weights read otherwise than they are written, whatever format holds them (bitnet::Format::is_ternary).
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_

#include <cstdint>
#include <functional>

#include "parity_tests/oracle/parameters.h"

namespace parity {

// Every code c as map(c).
void ReadWithCodes(ProductParameters& p, const std::function<uint8_t(uint8_t)>& map);
// Consecutive weights from the consecutive codes of each byte.
void ReadLinearly(ProductParameters& p);
// Weight i of a block where weight from(i) stands.
void ReadInOrder(ProductParameters& p, const std::function<size_t(size_t i)>& from);
// Every scale as 1.
void ReadWithoutScale(ProductParameters& p);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_
