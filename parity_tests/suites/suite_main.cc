#include "parity_tests/suites/suite_main.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <stdexcept>
#include <string_view>

#include "parity_tests/harness/cases.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

void WriteCtest(const std::vector<CtestTest>& tests, const std::string& file) {
  const std::string temporary = fmt::format("{}.{}", file, getpid());
  std::ofstream out(temporary);
  // What an engine said of itself in another run may not be true any more.
  const std::string answers = PARITY_BINARY_DIR "/runner_answers";
  fs::remove_all(answers);
  out << CtestFile(tests, fs::canonical("/proc/self/exe").string(), answers);
  out.close();
  if (!out) throw std::runtime_error(fmt::format("{}: cannot be written", temporary));
  fs::rename(temporary, file);
}

int Run(int argc, char** argv, const std::function<std::vector<CtestTest>()>& tests) {
  if (argc == 3 && std::string_view(argv[1]) == "--write-ctest") {
    WriteCtest(tests(), argv[2]);
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1)
    throw std::runtime_error(
        fmt::format("unknown argument {}; known are --write-ctest FILE and "
                    "GoogleTest's",
                    argv[1]));
  const int result = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    throw std::runtime_error("no test is selected; see --gtest_list_tests, and GTEST_* in the environment");
  }
  return result;
}

}  // namespace

const ParityMatrix& ShippedMatrix() {
  static const ParityMatrix matrix = [] {
    ParityMatrix loaded = LoadMatrix(PARITY_SOURCE_DIR "/fixtures/parity_matrix.json",
                                     PARITY_SOURCE_DIR "/fixtures/prompts.json", PARITY_BINARY_DIR "/fixtures/models");
    if (const char* own = std::getenv("CROSSVAL_GGUF"); own != nullptr && *own != '\0') {
      AddModel(loaded, "crossval_gguf", own);
    }
    const char* shard = std::getenv("PARITY_SHARD");
    if (shard != nullptr && *shard != '\0') KeepShard(loaded, ParseShard(shard, "PARITY_SHARD"));
    return loaded;
  }();
  return matrix;
}

void PrintTo(const Case& c, std::ostream* out) { *out << CaseName(ShippedMatrix(), c); }

std::string SharedCaptures() { return PARITY_BINARY_DIR "/captures"; }

int SuiteMain(int argc, char** argv, const std::function<std::vector<CtestTest>()>& tests) {
  try {
    return Run(argc, argv, tests);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", fs::path(argv[0]).filename().string(), error.what());
    return 2;
  }
}

}  // namespace parity
