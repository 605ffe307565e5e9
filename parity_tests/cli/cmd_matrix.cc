// bitnet-parity matrix: the ladder over every shipped model, prompt and schedule, as one table.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/matrix.h"
#include "parity_tests/judge/settings.h"
#include "parity_tests/report/summary.h"

namespace parity {
namespace {

struct MatrixCommand {
  std::string candidate = "native", format = "text";
  std::string matrix_file, prompts_file, models;  // empty: what is built in and shipped
  std::string captures;
  std::vector<std::string> references, only_models, only_prompts;
  RunOptions run;
  ProfileChoice profile;
};

bool Selected(const std::vector<std::string>& only, const std::string& name) {
  return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
}

// The verdict of one case. What an engine could not do is a verdict too: it fails, or is skipped where the matrix
// foresees it.
Verdict ClimbCase(const MatrixCommand& command, const ParityMatrix& matrix, const Case& c, Comparison& comparison) {
  Request request = MakeRequest(matrix, c);
  request.seed = command.run.seed;
  request.cpu_variant = command.run.cpu_variant;
  request.override_kv = command.run.override_kv;
  request.i2s_layout = command.run.i2s_layout;
  if (command.run.threads > 0) request.threads = command.run.threads;
  Climbed climbed = comparison.Climb(
      request, {.profile = command.profile, .expected = matrix.profile, .elsewhere = matrix.profile_elsewhere});
  const auto& foreseen = matrix.models[c.model].not_supported_by;
  const auto reason = foreseen.find(c.reference);
  if (!climbed.not_supported || reason == foreseen.end()) return std::move(climbed.verdict);
  return Refuse(Status::kSkip, reason->second, request, climbed.verdict.profile);
}

int Run(const MatrixCommand& command) {
  command.run.ApplyTimeout();
  ParityMatrix matrix = LoadMatrix(command.matrix_file, command.prompts_file, command.models);
  command.profile.Load(matrix.profile);  // a mistake in a threshold is said before an engine runs
  std::erase_if(matrix.cases, [&](const Case& c) {
    return !Selected(command.references, c.reference) || !Selected(command.only_models, matrix.models[c.model].id) ||
           !Selected(command.only_prompts, matrix.prompts[c.prompt].id);
  });
  if (matrix.cases.empty()) {
    throw std::runtime_error(fmt::format("{}: no case of that reference, model and prompt",
                                         SettingsName(command.matrix_file, "parity_matrix.json")));
  }
  Summary summary;
  Progress progress;
  std::map<std::string, std::unique_ptr<Comparison>> comparisons;
  for (size_t i = 0; i < matrix.cases.size(); ++i) {
    const Case& c = matrix.cases[i];
    std::unique_ptr<Comparison>& comparison = comparisons[c.reference];
    if (comparison == nullptr) {
      comparison =
          std::make_unique<Comparison>(command.candidate, ReferenceSpec(matrix, c.reference), command.captures);
      if (const std::optional<RungResult> problem = comparison->Probe()) throw std::runtime_error(problem->message);
    }
    progress.Show(fmt::format("[{}/{}] {}", i + 1, matrix.cases.size(), CaseName(matrix, c)));
    summary.Add({c.reference, matrix.models[c.model].id, std::string(ScheduleName(c.schedule))},
                matrix.prompts[c.prompt].id, ClimbCase(command, matrix, c, *comparison));
  }
  progress.Show("");
  fmt::print("{}", command.format == "json"       ? DumpJson(summary.Json())
                   : command.format == "markdown" ? summary.Markdown()
                                                  : summary.Text());
  return summary.ExitCode();
}

}  // namespace

void AddMatrixCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<MatrixCommand>();
  Options options(app, "matrix", "Climb the ladder over every shipped model, prompt and schedule");
  options.Add("--reference", command->references, "only these references");
  AddCandidateOption(options, command->candidate);
  options.Add("--model", command->only_models, "only these models, by their id in the matrix");
  options.Add("--prompt", command->only_prompts, "only these prompts, by their id");
  options.Add("--models", command->models, "directory of the models; without it that of the shipped ones");
  AddSettingsOption(options, "--matrix", command->matrix_file, "file of models, schedules and references");
  AddSettingsOption(options, "--prompts", command->prompts_file, "file of prompts");
  options.Add("--captures", command->captures,
              "directory in which captures are kept and found again; without it every run is live");
  AddFormatOption(options, command->format, {"text", "json", "markdown"});
  command->run.AddTo(options);
  AddProfileOptions(options, command->profile);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
