// bitnet-parity matrix: the ladder over every shipped model, prompt and schedule, as one table.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/harness/matrix.h"
#include "parity_tests/harness/pair.h"
#include "parity_tests/report/summary.h"

namespace parity {
namespace {

struct MatrixCommand {
  std::string candidate = "native", format = "text";
  std::string matrix_file = PARITY_SOURCE_DIR "/fixtures/parity_matrix.json";
  std::string prompts_file = PARITY_SOURCE_DIR "/fixtures/prompts.json";
  std::string models = PARITY_BINARY_DIR "/fixtures/models";
  std::string captures;
  std::vector<std::string> references, only_models, only_prompts;
  RunOptions run;
  ProfileOptions profile;
};

bool Selected(const std::vector<std::string>& only, const std::string& name) {
  return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
}

// The verdict of one case. What an engine could not do is a verdict too: it fails, or is skipped where the matrix
// foresees it.
Verdict ClimbCase(const MatrixCommand& command, const ParityMatrix& matrix, const Case& c, Pair& pair) {
  Request request = MakeRequest(matrix, c);
  request.seed = command.run.seed;
  request.cpu_variant = command.run.cpu_variant;
  if (command.run.threads > 0) request.threads = command.run.threads;
  const MatrixModel& model = matrix.models[c.model];
  const auto refuse = [&](Status status, const std::string& message) {
    RungResult preflight;
    preflight.status = status;
    preflight.message = message;
    return NotClimbed(std::move(preflight), request, command.profile.Load(matrix.profile));
  };
  try {
    const Captures captures = pair.Run(request);
    LadderOptions options;
    std::string note;
    options.profile = command.profile.Load(
        pair.FairProfile(captures.reference.backend, matrix.profile, matrix.profile_elsewhere, &note));
    options.piece_of = PieceLookup(request);
    Verdict verdict = Climb(captures.candidate, captures.reference, options);
    if (!note.empty() && command.profile.name.empty()) verdict.notes.push_back(note);
    return verdict;
  } catch (const ModelNotSupported& error) {
    const auto foreseen = model.not_supported_by.find(c.reference);
    if (foreseen != model.not_supported_by.end()) return refuse(Status::kSkip, foreseen->second);
    return refuse(Status::kFail, error.what());
  } catch (const std::exception& error) {
    return refuse(Status::kFail, error.what());
  }
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
    throw std::runtime_error(fmt::format("{}: no case of that reference, model and prompt", command.matrix_file));
  }
  Summary summary;
  Progress progress;
  std::map<std::string, std::unique_ptr<Pair>> pairs;
  for (size_t i = 0; i < matrix.cases.size(); ++i) {
    const Case& c = matrix.cases[i];
    std::unique_ptr<Pair>& pair = pairs[c.reference];
    if (pair == nullptr) {
      pair = std::make_unique<Pair>(command.candidate, ReferenceSpec(matrix, c.reference), command.captures);
      if (const std::optional<RungResult> problem = pair->Probe()) throw std::runtime_error(problem->message);
    }
    progress.Show(fmt::format("[{}/{}] {}", i + 1, matrix.cases.size(), CaseName(matrix, c)));
    summary.Add({c.reference, matrix.models[c.model].id, std::string(ScheduleName(c.schedule))},
                matrix.prompts[c.prompt].id, ClimbCase(command, matrix, c, *pair));
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
  CLI::App* sub = app.add_subcommand("matrix", "Climb the ladder over every shipped model, prompt and schedule");
  sub->add_option("--reference", command->references, "only these references")->expected(1)->take_all();
  sub->add_option("--candidate", command->candidate, "engine under test")->capture_default_str();
  sub->add_option("--model", command->only_models, "only these models, by their id in the matrix")
      ->expected(1)
      ->take_all();
  sub->add_option("--prompt", command->only_prompts, "only these prompts, by their id")->expected(1)->take_all();
  sub->add_option("--models", command->models, "directory of the models")->capture_default_str();
  sub->add_option("--matrix", command->matrix_file, "file of models, schedules and references")->capture_default_str();
  sub->add_option("--prompts", command->prompts_file, "file of prompts")->capture_default_str();
  sub->add_option("--captures", command->captures,
                  "directory in which captures are kept and found again; without it every run is live");
  sub->add_option("--format", command->format, "text, json or markdown")
      ->check(CLI::IsMember({"text", "json", "markdown"}))
      ->capture_default_str();
  command->run.AddTo(*sub);
  command->profile.AddTo(*sub);
  sub->callback([command, &exit_code] { exit_code = Run(*command); });
}

}  // namespace parity
