// Every fault, in the first, a middle and the last layer: the stage where the ladder stops, the position, layer and
// operation that is named, and the first cause.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "parity_tests/diagnose/diagnosis.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/mistakes/mistake.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/suites/fault_cases.h"

namespace parity {
namespace {

constexpr const char* kModels = PARITY_BINARY_DIR "/fixtures/models";
constexpr const char* kThresholds = PARITY_SOURCE_DIR "/fixtures/thresholds.json";

class Fault : public testing::TestWithParam<FaultCase> {};

TEST_P(Fault, IsFound) {
  const FaultCase& c = GetParam();
  const FaultFinding found = FindFault(c, kModels, kThresholds);
  EXPECT_TRUE(found.RungRight(c)) << "the ladder stops at " << found.failed_rung << ", expected " << c.failed_rung;
  EXPECT_TRUE(found.PlaceRight(c)) << "expected position " << c.location.position << ", layer " << c.location.layer
                                   << ", " << PointName(c.location.point);
  EXPECT_TRUE(found.CauseRight(c)) << "expected " << c.fault.mistake;
  if (HasFailure()) fmt::print("{}", ExplanationText(found.explanation, false));
}

INSTANTIATE_TEST_SUITE_P(All, Fault, testing::ValuesIn(AllFaultCases()),
                         [](const auto& info) { return info.param.Name(); });

// The same against a live llama.cpp: what it leaves behind is enough to name the mistake.
TEST(LiveFault, IsFoundAgainstLlamaCpp) {
  if (!MakeEngine("llama.cpp")->Probe().available) {
    if (IsRequired("llama.cpp")) FAIL() << "llama.cpp is not here, and PARITY_REQUIRE asks for it";
    GTEST_SKIP() << "llama.cpp is not here";
  }
  const std::set<std::string> names = {"bos_twice_kjv_bitnet_tq2_0",
                                       "weights_codes_swapped_layer0_kjv_bitnet_tq2_0",
                                       "norm_epsilon_layer3_kjv_bitnet_tq2_0",
                                       "rope_layout_layer3_kjv_bitnet_tq2_0",
                                       "kv_wrong_cell_layer5_kjv_bitnet_tq2_0",
                                       "softmax_scale_layer5_kjv_bitnet_tq2_0"};
  size_t found = 0;
  for (const FaultCase& c : AllFaultCases()) {
    if (!names.contains(c.Name())) continue;
    ++found;
    const FaultFinding f = FindFault(c, kModels, kThresholds, "llama.cpp");
    EXPECT_TRUE(f.RungRight(c) && f.PlaceRight(c) && f.CauseRight(c))
        << c.Name() << ", the ladder stops at " << f.failed_rung << "\n"
        << ExplanationText(f.explanation, false);
  }
  EXPECT_EQ(found, names.size());
}

// What builds for ARM are reported to do, held against what llama.cpp said on ARM, on whatever machine this is.
TEST(RecordedOnArm, ReportedFaultsAreNamed) {
  const std::string reference = "recorded:" PARITY_SOURCE_DIR "/fixtures/recorded_arm/armv8.2_1.tq2_0.batch";
  size_t found = 0;
  for (const FaultCase& c : AllFaultCases()) {
    const bool reported = c.fault.mistake == "weights_block_order" || c.fault.mistake == "weights_code_offset";
    if (!reported || c.model != "kjv-bitnet.tq2_0") continue;
    ++found;
    const FaultFinding f = FindFault(c, kModels, kThresholds, reference);
    EXPECT_TRUE(f.RungRight(c) && f.PlaceRight(c) && f.CauseRight(c))
        << c.Name() << ", the ladder stops at " << f.failed_rung << "\n"
        << ExplanationText(f.explanation, false);
  }
  EXPECT_EQ(found, 6u);
}

// `fault_table --write-pages` writes the page.
TEST(Pages, FaultsHasALineForEachCase) {
  std::ifstream file(PARITY_SOURCE_DIR "/docs/faults.md");
  std::stringstream text;
  text << file.rdbuf();
  size_t at = 0;
  for (const FaultCase& c : AllFaultCases()) {
    at = text.str().find(fmt::format("| {} | {} | {} |", c.fault.mistake, c.model, c.failed_rung), at);
    ASSERT_NE(at, std::string::npos) << c.Name();
    ++at;
  }
}

TEST(NoFault, IsFound) {
  const auto reference = MakeNativeBackend(), candidate = MakeOracleBackend();
  for (const char* model :
       {"kjv-bitnet.tq2_0", "kjv-bitnet-b1.58.tq2_0", "kjv-bitnet.i2_s", "kjv-bitnet.tq1_0", "kjv-bitnet.f16"}) {
    for (const char* prompt : {"In the beginning", "2+2="}) {
      Request request;
      request.model = fmt::format("{}/{}.gguf", kModels, model);
      request.prompt = request.text = prompt;
      request.max_tokens = 2;
      const Captures captures = {.candidate = candidate->Run(request), .reference = reference->Run(request)};
      const Verdict verdict =
          Climb(captures.candidate, captures.reference, {.profile = ExactProfile(), .piece_of = {}});
      EXPECT_TRUE(verdict.parity()) << model << " " << prompt;
      EXPECT_TRUE(Diagnose({.verdict = &verdict, .captures = &captures, .candidate_again = &captures.candidate})
                      .causes.empty());
    }
  }
}

}  // namespace
}  // namespace parity
