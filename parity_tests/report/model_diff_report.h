// Two model files.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_MODEL_DIFF_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_MODEL_DIFF_REPORT_H_

#include <string>

#include "parity_tests/findings/model_diff.h"

namespace parity {

// Tensors of one kind that differ in the same way are one line over all layers.
std::string ModelDiffText(const ModelDiff& diff, bool color);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_MODEL_DIFF_REPORT_H_
