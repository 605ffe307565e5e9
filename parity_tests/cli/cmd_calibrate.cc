// bitnet-parity calibrate: limits for an engine, from runs of it that are known to be good.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/matrix.h"
#include "parity_tests/judge/thresholds.h"
#include "parity_tests/report/json_report.h"

namespace parity {
namespace {

struct CalibrateCommand {
  PromptOptions prompt;
  std::string candidate = "native", reference = "llama.cpp", schedule = "both", output, prompts_file;
  std::string name = "calibrated";
  std::vector<std::string> only_prompts;
  std::optional<double> factor;  // nothing: 2
  int max_tokens = 8;
};

// Of the worst that was seen: a limit that good runs keep.
double Factor(const CalibrateCommand& command) { return command.factor.value_or(2); }

constexpr Rung kRungs[] = {Rung::kFirstLogit, Rung::kPositions, Rung::kDecode};
constexpr Metric kCalibrated[] = {Metric::kMse, Metric::kMaxAbs, Metric::kKl, Metric::kCosine};

struct Measured {
  std::map<Rung, WorstRows> worst;
  int climbs = 0;
};

// One prompt and schedule. Throws where the engine is not good: other tokens, another shape, NaN.
void Measure(const CalibrateCommand& command, const Request& request, const std::string& what, Measured& measured) {
  Comparison comparison(command.candidate, command.reference);
  if (const std::optional<RungResult> problem = comparison.Probe()) throw std::runtime_error(problem->message);
  Progress progress;
  comparison.progress = [&](const std::string& step) { progress.Show(fmt::format("{}: {}", what, step)); };
  const Captures captures = comparison.Run(request);
  const Verdict verdict = Climb(captures.candidate, captures.reference, {.profile = OpenProfile(), .piece_of = {}});
  if (const std::optional<Rung> failed = verdict.failed_rung()) {
    throw std::runtime_error(fmt::format("{}: {} fails at {}, which no limit mends: {}", what, command.candidate,
                                         RungName(*failed), verdict.rung(*failed).message));
  }
  for (const Rung rung : kRungs) measured.worst[rung].Add(verdict.rung(rung).worst);
  ++measured.climbs;
}

// `factor` times as far from equal.
double LimitFor(Metric metric, double worst, double factor) {
  return HigherIsBetter(metric) ? std::max(1 - (1 - worst) * factor, -1.0) : worst * factor;
}

nlohmann::json ProfileJson(const CalibrateCommand& command, const Measured& measured) {
  nlohmann::json profile = {
      {"comment", fmt::format("{} against {}: {:g} times the worst of {} runs of {}", command.candidate,
                              command.reference, Factor(command), measured.climbs, command.prompt.model)}};
  double furthest = 0;
  for (const auto& [rung, worst] : measured.worst) {
    if (worst.rows() == 0) continue;
    for (const Metric metric : kCalibrated) {
      profile[std::string(RungName(rung))][std::string(MetricName(metric))] =
          LimitFor(metric, worst.value(metric), Factor(command));
    }
    furthest = std::max(furthest, worst.value(Metric::kMaxAbs));
  }
  // Two logits that are each off by so much may change places.
  profile[std::string(RungName(Rung::kDecode))]["tie"] = 2 * furthest * Factor(command);
  return {{"schema", "bitnet-parity/thresholds/1"},
          {"default", command.name},
          {"profiles", {{command.name, std::move(profile)}}}};
}

int Run(const CalibrateCommand& command) {
  command.prompt.run.ApplyTimeout();
  // Before the runs, which take their time.
  std::ofstream out(command.output, std::ios::binary);
  if (!out) throw std::runtime_error(fmt::format("--output: {}: cannot write", command.output));
  Measured measured;
  for (const Prompt& prompt : ChoosePrompts(command.prompts_file, command.only_prompts)) {
    Request request = command.prompt.MakeRequest(prompt);
    request.max_tokens = command.max_tokens;
    for (const Schedule schedule : SchedulesOf(command.schedule)) {
      request.schedule = schedule;
      Measure(command, request, fmt::format("prompt {}, {}", prompt.id, ScheduleName(schedule)), measured);
    }
  }
  out << ProfileJson(command, measured).dump(2) << "\n";
  out.close();
  if (!out) throw std::runtime_error(fmt::format("--output: {}: cannot write", command.output));
  fmt::print("{}: profile {} from {} runs. Judge by it with --thresholds {} --profile {}\n", command.output,
             command.name, measured.climbs, command.output, command.name);
  return 0;
}

}  // namespace

void AddCalibrateCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<CalibrateCommand>();
  Options options(app, "calibrate", "Limits for an engine, from runs of it that are known to be good");
  options.Add("--model", command->prompt.model, "GGUF file", {.required = true});
  options.Add("--tokenizer", command->prompt.tokenizer, "tokenizer.json; without it the vocabulary in the GGUF file");
  AddCandidateOption(options, command->candidate);
  AddReferenceOption(options, command->reference);
  AddScheduleOption(options, command->schedule, /*both=*/true);
  AddSettingsOption(options, "--prompts", command->prompts_file, "file of prompts");
  options.Add("--prompt", command->only_prompts, "only these prompts, by their id; without it all");
  options.Add("--output", command->output, "file of thresholds to write", {.required = true});
  options.Add("--name", command->name, "of the profile");
  options.Add("--factor", command->factor, "limits are so many times the worst that was seen; 2 without it");
  options.Add("--max-tokens", command->max_tokens, "greedy tokens to generate", {.at_least = 0});
  command->prompt.run.AddTo(options);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
