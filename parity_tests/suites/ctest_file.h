// The suites' tests as CTest sees them.
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_CTEST_FILE_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_CTEST_FILE_H_

#include <functional>
#include <string>

#include "parity_tests/harness/matrix.h"

namespace parity {

// `text` as a label: one short line, without what would end a CMake list or an argument.
std::string LabelText(std::string text);

// A file of add_test() and set_tests_properties() calls for every stage of every case, each running `program` with a
// --gtest_filter. Each stage is a fixture that the next one requires, so that a stage that fails stops those above it.
// Labels: ladder, the stage, the reference, the model's format, the schedule; and where `skip_reason` (of a reference
// and a model) is not empty, that too: CTest's summary lists labels, so that it shows why tests were skipped.
std::string CtestFile(const ParityMatrix& matrix, const std::string& program,
                      const std::function<std::string(const std::string&, const MatrixModel&)>& skip_reason);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_CTEST_FILE_H_
