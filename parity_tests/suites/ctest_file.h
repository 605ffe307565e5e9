// The suites' tests as CTest sees them.
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_CTEST_FILE_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_CTEST_FILE_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/verdict.h"
#include "parity_tests/harness/matrix.h"

namespace parity {

struct CtestTest {
  std::string name;    // "FirstLogit.llama_cpp.kjv_bitnet_tq2_0.hello.batch"
  std::string filter;  // GoogleTest's: "FirstLogit.Passes/llama_cpp__kjv_bitnet_tq2_0__hello__batch"
  std::string labels;  // separated by semicolons
  // Why it will be skipped, or empty: a label too, so that CTest's summary says it.
  std::string skipped = {};
  // True: `skipped` is all that can be said (the engine is not there), so CTest says it and runs nothing.
  bool absent = false;
  // True: asks the engine whether it is there, whatever it answered to others in this run.
  bool probes = false;
  // The test, if any, that must pass first, or this one is not run.
  std::string below = {};
  int timeout_seconds = 600;
};

// A file of add_test() and set_tests_properties() calls, each running `program` with the test's filter. `answers` is
// the folder of PARITY_RUNNER_ANSWERS.
std::string CtestFile(const std::vector<CtestTest>& tests, const std::string& program, const std::string& answers);

// A name of the matrix as the parameter's name of a GoogleTest, which has letters, digits and _ only.
std::string ParameterName(const std::string& name);

// Every stage of every case, each on top of the one below. Labels: ladder, the stage, the reference, the model's
// format, the schedule. `absence`: why a reference is not there, empty where it is.
std::vector<CtestTest> LadderTests(const ParityMatrix& matrix,
                                   const std::function<std::string(const std::string&)>& absence);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_CTEST_FILE_H_
