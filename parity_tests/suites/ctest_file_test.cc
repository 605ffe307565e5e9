#include "parity_tests/suites/ctest_file.h"
#include "parity_tests/judge/rungs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kFixtures = PARITY_SOURCE_DIR "/fixtures";

ParityMatrix Load() { return LoadMatrix(kFixtures + "/parity_matrix.json", kFixtures + "/prompts.json", "models"); }

const Case& Find(const ParityMatrix& matrix, const std::string& name) {
  for (const Case& c : matrix.cases) {
    if (CaseName(matrix, c) == name) return c;
  }
  throw std::runtime_error("no case " + name);
}

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

size_t Count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(CtestFile, EachStageRequiresTheOneBelow) {
  ParityMatrix matrix = Load();
  matrix.cases = {Find(matrix, "llama_cpp.kjv_bitnet_tq2_0.hello.batch"),
                  Find(matrix, "llama_cpp.kjv_bitnet_tq2_0.sum.token")};
  const std::string text =
      CtestFile(LadderTests(matrix, [](const std::string&) { return std::string(); }), "/bin/suites", "/answers");
  EXPECT_THAT(text, HasSubstr("add_test([==[Preflight.llama_cpp.kjv_bitnet_tq2_0]==] [==[/bin/suites]==] "
                              "[==[--gtest_filter=Preflight.Passes/llama_cpp__kjv_bitnet_tq2_0]==])\n"));
  EXPECT_THAT(text, HasSubstr("LABELS [==[ladder;first-logit;llama.cpp;tq2_0;batch]==]"));
  EXPECT_THAT(text, HasSubstr("FIXTURES_SETUP [==[FirstLogit.llama_cpp.kjv_bitnet_tq2_0.hello.batch]==] "
                              "FIXTURES_REQUIRED [==[Shapes.llama_cpp.kjv_bitnet_tq2_0.hello.batch]==])"));
  EXPECT_THAT(text, HasSubstr("FIXTURES_SETUP [==[Tokens.llama_cpp.kjv_bitnet_tq2_0.sum.token]==] "
                              "FIXTURES_REQUIRED [==[Preflight.llama_cpp.kjv_bitnet_tq2_0]==])"));
  EXPECT_THAT(text, Not(HasSubstr("skipped:")));
  EXPECT_EQ(Count(text, "add_test("), 1 + 2 * (Rungs().size() - 1));
  // Preflight asks the engine itself.
  EXPECT_EQ(Count(text, "PARITY_RUNNER_ANSWERS=/answers"), 2 * (Rungs().size() - 1));
}

TEST(CtestFile, AReasonToSkipIsALabel) {
  ParityMatrix matrix = Load();
  matrix.cases = {Find(matrix, "llama_cpp.kjv_bitnet_tq2_0.hello.batch")};
  const auto reason = [](const std::string& reference) { return reference + " is; [not] here"; };
  const std::string text = CtestFile(LadderTests(matrix, reason), "/bin/suites", "/answers");
  EXPECT_THAT(text, HasSubstr("LABELS [==[ladder;decode;llama.cpp;tq2_0;batch;skipped: llama.cpp is   not  here]==]"));
  EXPECT_THAT(text, HasSubstr("add_test([==[Decode.llama_cpp.kjv_bitnet_tq2_0.hello.batch]==] echo "
                              "[==[[  SKIPPED ] llama.cpp is   not  here]==])\n"));
  EXPECT_THAT(text, Not(HasSubstr("/bin/suites")));
}

TEST(CtestFile, AModelThatAnEngineDoesNotKnowIsRunAllTheSame) {
  ParityMatrix matrix = Load();
  matrix.cases = {Find(matrix, "llama_cpp.kjv_bitnet_tq2_0.hello.batch")};
  matrix.models[matrix.cases[0].model].not_supported_by["llama.cpp"] = "too new";
  const std::string text =
      CtestFile(LadderTests(matrix, [](const std::string&) { return std::string(); }), "/bin/suites", "/answers");
  EXPECT_THAT(text, HasSubstr("LABELS [==[ladder;decode;llama.cpp;tq2_0;batch;skipped: too new]==]"));
  EXPECT_EQ(Count(text, "/bin/suites"), Rungs().size());
}

// What CDash shows of a test: ctest takes it out of the test's output.
TEST(CtestFile, FiguresAreMeasurementsOfTheTest) {
  const TemporaryDirectory root;
  std::ofstream(root.path() + "/CTestTestfile.cmake")
      << "add_test(positions [==[" LADDER_SUITES
         "]==] [==[--gtest_filter=Positions.Passes/recorded__kjv_bitnet_tq2_0__hello__batch]==])\n";
  std::ofstream(root.path() + "/DartConfiguration.tcl")
      << "BuildDirectory: " << root.path() << "\nSourceDirectory: " << root.path() << "\nSite: here\nBuildName: test\n";
  const ProcessResult run =
      RunProcess({"ctest", "--test-dir", root.path(), "-D", "ExperimentalTest"}, std::chrono::seconds(60));
  ASSERT_EQ(run.exit_code, 0) << run.output << run.last_words;
  std::string xml;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root.path() + "/Testing")) {
    if (entry.path().filename() == "Test.xml") xml = ReadText(entry.path());
  }
  EXPECT_THAT(
      xml, testing::ContainsRegex("<NamedMeasurement type=\"numeric/double\" name=\"cosine\">[^<]*<Value>1</Value>"));
  EXPECT_THAT(xml, HasSubstr("name=\"max_ulp\""));
}

TEST(CtestFile, AShardOfTheSuitesIsAShareOfTheirTests) {
  const auto tests_of = [](const char* shard) {
    setenv("PARITY_SHARD", shard, 1);
    const ProcessResult listed = RunProcess({LADDER_SUITES, "--gtest_list_tests"}, std::chrono::seconds(60));
    unsetenv("PARITY_SHARD");
    return Count(listed.output, "Passes/");
  };
  const size_t all = tests_of(""), first = tests_of("1/2"), second = tests_of("2/2");
  EXPECT_GT(first, 0u);
  EXPECT_GT(second, 0u);
  EXPECT_GE(first + second, all);  // preflight stands in both where a model is cut
  EXPECT_LE(first + second, all + 2u);
  EXPECT_EQ(tests_of("3/2"), 0u);
}

}  // namespace
}  // namespace parity
