// What the programs of suites share: the shipped matrix, and main.
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_MAIN_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_MAIN_H_

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "parity_tests/harness/matrix.h"
#include "parity_tests/suites/ctest_file.h"

namespace parity {

// fixtures/parity_matrix.json over the models of this build, and a model of the user's where CROSSVAL_GGUF names one;
// with PARITY_SHARD=i/n that share of its cases. Throws as LoadMatrix does.
const ParityMatrix& ShippedMatrix();

// For GoogleTest's messages: the case's name.
void PrintTo(const Case& c, std::ostream* out);

// Where captures are shared between the tests of this build.
std::string SharedCaptures();

// GoogleTest's main, and `--write-ctest FILE`, which writes what CTest includes. Exit code 2 where no test is selected
// by the filter: a misspelt name must not pass.
int SuiteMain(int argc, char** argv, const std::function<std::vector<CtestTest>()>& tests);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_MAIN_H_
