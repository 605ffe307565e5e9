// Prints the table of all faults; with a number N, makes N comparisons of sound engines over random prompts instead.
//
//   fault_table                fault | stage | position, layer, operation | first cause | right?
//   fault_table llama.cpp      the same against that reference
//   fault_table 1000           false alarms among 1,000; against llama.cpp too, where it is
#include <fmt/format.h>

#include <cstdlib>
#include <random>

#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/suites/fault_cases.h"

namespace parity {
namespace {

constexpr const char* kModels = PARITY_BINARY_DIR "/fixtures/models";
constexpr const char* kThresholds = PARITY_SOURCE_DIR "/fixtures/thresholds.json";

// A line of the table; false where something in it is wrong.
bool PrintLine(const FaultCase& c, const FaultFinding& f) {
  const Place at = f.explanation.location();
  const std::vector<Cause>& causes = f.explanation.diagnosis.causes;
  std::string mistakes;
  if (!f.RungRight(c)) mistakes += " stage";
  if (!f.PlaceRight(c)) mistakes += " place";
  if (!f.CauseRight(c)) mistakes += " cause";
  const std::string cause =
      causes.empty() ? "none" : fmt::format("{} ({})", causes[0].id, CertaintyName(causes[0].certainty));
  fmt::print("| {} | {} | {} | {} | {} | {} | {} | {} |\n", c.fault.mistake, c.model, f.failed_rung, at.position,
             at.layer >= 0 ? std::to_string(at.layer) : "", PointText(at.point), cause,
             mistakes.empty() ? "yes" : "no:" + mistakes);
  std::fflush(stdout);
  return mistakes.empty();
}

int PrintTable(const std::string& reference) {
  int right = 0, n = 0, skipped = 0;
  fmt::print(
      "| fault | model | stage | position | layer | operation | first cause | right |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const FaultCase& c : AllFaultCases()) {
    try {
      right += PrintLine(c, FindFault(c, kModels, kThresholds, reference));
      ++n;
    } catch (const ModelNotSupported&) {
      ++skipped;
    }
  }
  fmt::print("\n{} of {} right; {} skipped: {} does not run the model\n", right, n, skipped, reference);
  return right == n ? 0 : 1;
}

int CompareSoundEngines(int n) {
  std::mt19937 random(20);
  const auto native = MakeNativeBackend(), scalar = MakeOracleBackend(), llama = MakeEngine("llama.cpp");
  const bool live = llama->Probe().available;
  LadderOptions options;
  options.profile = LoadProfile(kThresholds, "strict");
  int alarms = 0, against_llama = 0;
  for (int i = 0; i < n; ++i) {
    Request request;
    request.model = fmt::format("{}/{}.gguf", kModels, i % 2 == 0 ? "kjv-bitnet.tq2_0" : "kjv-bitnet-b1.58.tq2_0");
    request.token_ids.emplace(1 + random() % 6);
    for (int32_t& id : *request.token_ids) id = static_cast<int32_t>(random() % 2048);
    request.max_tokens = 1;
    request.threads = 1;
    request.schedule = random() % 2 == 0 ? Schedule::kBatch : Schedule::kTokenByToken;
    const bool with_llama = live && i % 50 == 0;
    Backend& reference = with_llama ? *llama : *scalar;
    against_llama += with_llama;
    const Capture r = reference.Run(request);
    const Capture c = with_llama ? MakeCandidateFor("native", r.backend)->Run(request) : native->Run(request);
    const Verdict verdict = Climb(c, r, options);
    if (verdict.parity()) continue;
    ++alarms;
    fmt::print("alarm: {}\n", ToJson(request).dump());
  }
  fmt::print("{} false alarms in {} comparisons, {} of them with llama.cpp\n", alarms, n, against_llama);
  return alarms == 0 ? 0 : 1;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  const std::string argument = argc > 1 ? argv[1] : "native";
  const int n = std::atoi(argument.c_str());
  return n > 0 ? parity::CompareSoundEngines(n) : parity::PrintTable(argument);
}
