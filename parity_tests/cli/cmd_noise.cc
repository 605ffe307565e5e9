// bitnet-parity noise: a reference against itself.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/locate/noise.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/noise_report.h"

namespace parity {
namespace {

struct NoiseCommand {
  PromptOptions prompt;
  std::string reference = "llama.cpp", format = "text";
};

int Run(const NoiseCommand& command) {
  command.prompt.run.ApplyTimeout();
  const std::unique_ptr<Backend> reference = MakeEngine(command.reference);
  if (const ProbeResult probe = reference->Probe(); !probe.available) {
    throw std::runtime_error(
        fmt::format("{} is not available: {}; {}", reference->name(), probe.problem, probe.remedy));
  }
  Progress progress;
  NoiseOptions options;
  options.threads = command.prompt.run.threads;
  options.progress = [&progress](const std::string& what) { progress.Show(what); };
  const NoiseFloor floor = MeasureNoise(*reference, command.prompt.MakeRequest(), options);
  progress.Show("");
  fmt::print("{}", command.format == "json" ? DumpJson(NoiseJson(floor)) : NoiseText(floor));
  return 0;
}

}  // namespace

void AddNoiseCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<NoiseCommand>();
  Options options(app, "noise", "How far a reference is from itself: schedules, threads, batches");
  command->prompt.AddTo(options);
  AddReferenceOption(options, command->reference, Which::kLive);
  AddFormatOption(options, command->format, {"text", "json"});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
