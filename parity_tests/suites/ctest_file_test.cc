#include "parity_tests/suites/ctest_file.h"
#include "parity_tests/judge/rungs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

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

TEST(CtestFile, EachStageRequiresTheOneBelow) {
  ParityMatrix matrix = Load();
  matrix.cases = {Find(matrix, "llama_cpp.kjv_bitnet_tq2_0.hello.batch"),
                  Find(matrix, "llama_cpp.kjv_bitnet_tq2_0.sum.token")};
  const std::string text = CtestFile(
      LadderTests(matrix, [](const std::string&, const MatrixModel&) { return std::string(); }), "/bin/suites");
  EXPECT_THAT(text, HasSubstr("add_test([==[Preflight.llama_cpp.kjv_bitnet_tq2_0]==] [==[/bin/suites]==] "
                              "[==[--gtest_filter=Preflight.Passes/llama_cpp__kjv_bitnet_tq2_0]==])\n"));
  EXPECT_THAT(text, HasSubstr("LABELS [==[ladder;first-logit;llama.cpp;tq2_0;batch]==]"));
  EXPECT_THAT(text, HasSubstr("FIXTURES_SETUP [==[FirstLogit.llama_cpp.kjv_bitnet_tq2_0.hello.batch]==] "
                              "FIXTURES_REQUIRED [==[Shapes.llama_cpp.kjv_bitnet_tq2_0.hello.batch]==])"));
  EXPECT_THAT(text, HasSubstr("FIXTURES_SETUP [==[Tokens.llama_cpp.kjv_bitnet_tq2_0.sum.token]==] "
                              "FIXTURES_REQUIRED [==[Preflight.llama_cpp.kjv_bitnet_tq2_0]==])"));
  EXPECT_THAT(text, Not(HasSubstr("skipped:")));
  size_t tests = 0;
  for (size_t at = text.find("add_test("); at != std::string::npos; at = text.find("add_test(", at + 1)) ++tests;
  EXPECT_EQ(tests, 1u + 2u * (Rungs().size() - 1));
}

TEST(CtestFile, AReasonToSkipIsALabel) {
  ParityMatrix matrix = Load();
  matrix.cases = {Find(matrix, "llama_cpp.kjv_bitnet_tq2_0.hello.batch")};
  const auto reason = [](const std::string& reference, const MatrixModel&) { return reference + " is; [not] here"; };
  const std::string text = CtestFile(LadderTests(matrix, reason), "/bin/suites");
  EXPECT_THAT(text, HasSubstr("LABELS [==[ladder;decode;llama.cpp;tq2_0;batch;skipped: llama.cpp is   not  here]==]"));
}

}  // namespace
}  // namespace parity
