// Ternary weights as codes 0, 1, 2 and scales, whatever format holds them: to read them by definition, and to change
// them.
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/kernels/matmul.h"
#include "parity_tests/oracle/parameters.h"

namespace parity {

bool IsTernary(bitnet::TensorType type);

struct TernaryRow {
  std::vector<uint8_t> codes;  // [cols]
  std::vector<float> scales;   // TQ1_0, TQ2_0: of each block, [cols/256]; I2_S: empty, its scale is the matrix's
};
void UnpackRow(const bitnet::WeightMatrix& w, size_t row, TernaryRow* out);

// The matrix with every code c replaced by map(c).
ProductParameters WithCodes(const bitnet::WeightMatrix& w, const std::function<uint8_t(uint8_t)>& map);
// The matrix as a reader sees it who takes consecutive weights from the consecutive codes of each byte.
ProductParameters ReadLinearly(const bitnet::WeightMatrix& w);
// The matrix with every scale 1.
ProductParameters WithoutScale(const bitnet::WeightMatrix& w);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_TERNARY_H_
