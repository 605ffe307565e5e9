// bitnet-parity matrix: the ladder over every shipped model, prompt and schedule, as one table.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/run_cases.h"
#include "parity_tests/harness/matrix.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/settings.h"
#include "reference/capture/suggest.h"

namespace parity {
namespace {

struct MatrixCommand {
  std::string candidate = "native", format = "text";
  std::string matrix_file, prompts_file, models;  // empty: what is built in and shipped
  std::string captures;
  std::vector<std::string> references, only_models, only_prompts;
  std::string out, trace = "none";
  bool explain = false;
  CasesOptions cases;
  RunOptions run;
  ProfileChoice profile;
};

bool Selected(const std::vector<std::string>& only, const std::string& name) {
  return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
}

// A name that is not in the matrix is a mistake, not a smaller selection.
void CheckNames(const char* option, const std::vector<std::string>& asked, const std::set<std::string>& known,
                const std::string& file) {
  const std::vector<std::string> names(known.begin(), known.end());
  for (const std::string& name : asked) {
    if (known.contains(name)) continue;
    throw std::runtime_error(fmt::format("{}: {}: found '{}', expected one of {}{}", file, option, name,
                                         fmt::join(names, ", "), DidYouMean(name, names)));
  }
}

void CheckSelection(const MatrixCommand& command, const ParityMatrix& matrix) {
  std::set<std::string> references, models, prompts;
  for (const Case& c : matrix.cases) {
    references.insert(c.reference);
    models.insert(matrix.models[c.model].id);
    prompts.insert(matrix.prompts[c.prompt].id);
  }
  const std::string file = SettingsName(command.matrix_file, "parity_matrix.json");
  CheckNames("--reference", command.references, references, file);
  CheckNames("--model", command.only_models, models, file);
  CheckNames("--prompt", command.only_prompts, prompts, file);
}

RunCase MakeCase(const MatrixCommand& command, const ParityMatrix& matrix, const Case& c) {
  const MatrixModel& model = matrix.models[c.model];
  RunCase made;
  made.request = MakeRequest(matrix, c);
  made.request.seed = command.run.seed;
  made.request.cpu_variant = command.run.cpu_variant;
  made.request.override_kv = command.run.override_kv;
  made.request.i2s_layout = command.run.i2s_layout;
  made.request.trace = command.trace;
  if (command.run.threads > 0) made.request.threads = command.run.threads;
  made.reference_spec = ReferenceSpec(matrix, c.reference);
  made.profile = matrix.profile;
  made.profile_elsewhere = matrix.profile_elsewhere;
  if (const auto reason = model.not_supported_by.find(c.reference); reason != model.not_supported_by.end()) {
    made.not_supported = reason->second;
  }
  made.planned.names = {.id = CaseName(matrix, c),
                        .reference = c.reference,
                        .model = model.id,
                        .prompt = matrix.prompts[c.prompt].id,
                        .schedule = std::string(ScheduleName(c.schedule))};
  return made;
}

std::string Print(const RunReport& report, const std::string& format) {
  if (format == "json") return DumpJson(RunJson(report));
  if (format == "markdown") return report.summary().Markdown();
  if (format == "html") return RunHtml(report);
  return format == "junit" ? RunJunit(report) : RunText(report);
}

int Run(const MatrixCommand& command) {
  command.run.ApplyTimeout();
  ParityMatrix matrix = LoadMatrix(command.matrix_file, command.prompts_file, command.models);
  if (!command.captures.empty()) CheckDirectory("--captures", command.captures);
  command.profile.Load(matrix.profile);  // a mistake in a threshold is said before an engine runs
  CheckSelection(command, matrix);
  std::vector<RunCase> cases;
  for (const Case& c : matrix.cases) {
    if (Selected(command.references, c.reference) && Selected(command.only_models, matrix.models[c.model].id) &&
        Selected(command.only_prompts, matrix.prompts[c.prompt].id)) {
      cases.push_back(MakeCase(command, matrix, c));
    }
  }
  if (cases.empty()) {
    throw std::runtime_error(
        fmt::format("{}: no case has that reference, model and prompt together; --list-cases "
                    "shows those that there are",
                    SettingsName(command.matrix_file, "parity_matrix.json")));
  }
  if (!command.cases.list.empty()) {
    fmt::print("{}", ListOfCases(ChosenCases(cases, command.cases), command.cases.list));
    return 0;
  }
  const RunReport report = RunCases({.command = "matrix",
                                     .candidate = command.candidate,
                                     .profile = command.profile,
                                     .store = command.captures,
                                     .out = command.out,
                                     .explain = command.explain,
                                     .cases = std::move(cases)},
                                    command.cases);
  fmt::print("{}", Print(report, command.format));
  return report.exit_code();
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
  options.Add("--out", command->out, "directory for the reports of every case, the summary, and --resume",
              {.show_default = false});
  options.Add("--trace", command->trace,
              "what is traced of both engines, for the pictures: none, core, full or a selection");
  options.Flag("--explain", command->explain, "find where and why the engines part in every case that fails");
  AddFormatOption(options, command->format, {"text", "json", "markdown", "html", "junit"});
  command->cases.AddTo(options);
  command->run.AddTo(options);
  AddProfileOptions(options, command->profile);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
