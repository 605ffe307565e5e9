// Prints the table of all faults; with a number N, makes N comparisons of sound engines over random prompts instead.
//
//   fault_table                fault | stage | position, layer, operation | first cause | right?
//   fault_table llama.cpp      the same against that reference
//   fault_table --write-pages  the same, and the generated sections of docs/faults.md and docs/playbook.md
//   fault_table 1000           false alarms among 1,000; against llama.cpp too, where it is
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/mistakes/pages.h"
#include "parity_tests/suites/fault_cases.h"

namespace parity {
namespace {

constexpr const char* kModels = PARITY_BINARY_DIR "/fixtures/models";
constexpr const char* kThresholds = PARITY_SOURCE_DIR "/fixtures/thresholds.json";

// The end of a line of the table: "yes", or what of it is wrong.
std::string Judgement(const FaultCase& c, const FaultFinding& f) {
  std::string wrong;
  if (!f.RungRight(c)) wrong += " stage";
  if (!f.PlaceRight(c)) wrong += " place";
  if (!f.CauseRight(c)) wrong += " cause";
  return wrong.empty() ? "yes" : "no:" + wrong;
}

std::string Line(const FaultCase& c, const FaultFinding& f) {
  const Place at = f.explanation.location();
  const std::vector<Cause>& causes = f.explanation.diagnosis.causes;
  const std::string cause =
      causes.empty() ? "none" : fmt::format("{} ({})", causes[0].id, CertaintyName(causes[0].certainty));
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", c.fault.mistake, c.model, f.failed_rung,
                     at.position, at.layer >= 0 ? std::to_string(at.layer) : "", PointText(at.point), cause,
                     Judgement(c, f));
}

void WriteSection(const std::string& page, std::string_view section, const std::string& body) {
  const std::string path = fmt::format("{}/docs/{}", PARITY_SOURCE_DIR, page);
  std::stringstream old;
  old << std::ifstream(path).rdbuf();
  const std::string text = WithSection(old.str(), section, body);
  std::ofstream(path) << text;
}

int PrintTable(const std::string& reference, bool write_pages) {
  int right = 0, n = 0, skipped = 0;
  std::string table =
      "| fault | model | stage | position | layer | operation | first cause | right |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
  fmt::print("{}", table);
  for (const FaultCase& c : AllFaultCases()) {
    try {
      const FaultFinding found = FindFault(c, kModels, kThresholds, reference);
      const std::string line = Line(c, found);
      fmt::print("{}", line);
      std::fflush(stdout);
      table += line;
      right += Judgement(c, found) == "yes";
      ++n;
    } catch (const ModelNotSupported&) {
      ++skipped;
    }
  }
  fmt::print("\n{} of {} right; {} skipped: {} does not run the model\n", right, n, skipped, reference);
  if (write_pages) {
    WriteSection("faults.md", "faults", table);
    WriteSection("playbook.md", "mistakes", PlaybookTable());
  }
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
  if (n > 0) return parity::CompareSoundEngines(n);
  const bool write_pages = argument == "--write-pages";
  return parity::PrintTable(write_pages ? "native" : argument, write_pages);
}
