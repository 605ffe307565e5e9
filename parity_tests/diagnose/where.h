// Which cells of an operation are wrong, in words.
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_WHERE_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_WHERE_H_

#include <string>
#include <vector>

#include "parity_tests/locate/traced_operation.h"

namespace parity {

// "from position 8 on", "at position 3 alone", "while decoding alone", "in head 3", "elements 240 to 255"; empty: all
// of them.
std::string WhichCells(const Fit& fit, const std::vector<Batch>& batches, size_t n_prompt);

// "in layer 3", "in layers 0 to 2", "in all 30 layers".
std::string WhichLayers(const std::vector<int>& layers, size_t n_layer);

// "0, 3 and 7", "2 to 9".
std::string Ranges(const std::vector<int>& numbers);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_WHERE_H_
