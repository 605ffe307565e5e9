// Every fault, in the first, a middle and the last layer: the stage where the ladder stops, the position, layer and
// operation that is named, and the first cause.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "parity_tests/candidate/native_backend.h"
#include "parity_tests/faults/fault_cases.h"

namespace parity {
namespace {

constexpr const char* kModels = PARITY_BINARY_DIR "/fixtures/models";
constexpr const char* kThresholds = PARITY_SOURCE_DIR "/fixtures/thresholds.json";

class Fault : public testing::TestWithParam<FaultCase> {};

TEST_P(Fault, IsFound) {
  const FaultCase& c = GetParam();
  const FaultFinding found = FindFault(c, kModels, kThresholds);
  EXPECT_TRUE(found.StageRight(c)) << "the ladder stops at " << found.ladder_stage << ", expected " << c.ladder_stage;
  EXPECT_TRUE(found.LocationRight(c)) << "expected position " << c.location.position << ", layer " << c.location.layer
                                      << ", " << c.location.stage;
  EXPECT_TRUE(found.CauseRight(c)) << "expected " << c.fault.id;
  if (HasFailure()) fmt::print("{}", DescribeDiagnosis(found.diagnosis));
}

INSTANTIATE_TEST_SUITE_P(All, Fault, testing::ValuesIn(AllFaultCases()),
                         [](const auto& info) { return info.param.Name(); });

TEST(FaultList, EveryFaultHasACase) {
  std::set<std::string> cases;
  for (const FaultCase& c : AllFaultCases()) cases.insert(c.fault.id);
  for (const auto& fault : AllFaults()) EXPECT_TRUE(cases.contains(std::string(fault.id))) << fault.id;
}

TEST(Playbook, HasALineOnEveryCause) {
  std::ifstream file(PARITY_SOURCE_DIR "/docs/playbook.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const KnownCause& cause : KnownCauses()) {
    EXPECT_NE(text.str().find(fmt::format("| `{}` |", cause.id)), std::string::npos) << cause.id;
  }
}

TEST(NoFault, IsFound) {
  for (const char* model :
       {"kjv-bitnet.tq2_0", "kjv-bitnet-b1.58.tq2_0", "kjv-bitnet.i2_s", "kjv-bitnet.tq1_0", "kjv-bitnet.f16"}) {
    for (const char* prompt : {"In the beginning", "2+2="}) {
      Request request;
      request.model = fmt::format("{}/{}.gguf", kModels, model);
      request.prompt = request.text = prompt;
      request.max_tokens = 2;
      const Capture reference = MakeNativeBackend()->Run(request), candidate = MakeFaultyBackend()->Run(request);
      LadderOptions options;
      options.profile = LoadProfile(kThresholds, "exact");
      const Verdict verdict = Climb(candidate, reference, options);
      EXPECT_TRUE(verdict.parity()) << model << " " << prompt;
      EXPECT_TRUE(
          Diagnose(
              {.verdict = &verdict, .candidate = &candidate, .reference = &reference, .candidate_again = &reference})
              .causes.empty());
    }
  }
}

}  // namespace
}  // namespace parity
