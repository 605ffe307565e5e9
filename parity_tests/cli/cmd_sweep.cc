// bitnet-parity sweep: the ladder on a few prompts of one model, with everything kept for reading afterwards.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/matrix.h"
#include "parity_tests/judge/settings.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/report.h"
#include "parity_tests/report/summary.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

struct SweepCommand {
  PromptOptions prompt;
  std::string candidate = "native", reference = "llama.cpp", out = "parity-sweep", schedule = "both", trace = "core";
  std::string prompts_file;  // empty: the built-in prompts
  std::vector<std::string> only_prompts = {"sum", "hello", "count"};
  int max_tokens = 4;
  bool dump_raw = false;
  ClimbOptions climb = {.profile = {}, .explain = true};
  ShownOptions shown;
};

Request RequestFor(const SweepCommand& command, const Prompt& scenario, Schedule schedule) {
  Request request = command.prompt.MakeRequest(scenario);
  request.max_tokens = command.max_tokens;
  request.schedule = schedule;
  request.trace = command.trace;
  request.raw_tensors = command.dump_raw;
  return request;
}

void Write(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (!out) throw std::runtime_error(fmt::format("{}: cannot write", file));
}

// The files of one climb.
void Keep(const Climbed& climbed, const std::string& directory) {
  fs::create_directories(directory);
  if (climbed.captures) {
    WriteCapture(climbed.captures->candidate, directory + "/candidate");
    WriteCapture(climbed.captures->reference, directory + "/reference");
  }
  const std::optional<Explanation>& why = climbed.explanation;
  Write(directory + "/report.txt",
        TextReport(climbed.verdict, {.verbose = true}) + (why ? "\n" + ExplanationText(*why, /*color=*/false) : ""));
  Write(directory + "/verdict.json", DumpJson(ClimbJson(climbed)));
  const HtmlClimb page = HtmlClimbOf(climbed);
  Write(directory + "/report.html", HtmlReport({&page, 1}));
}

// Where the reference is missing, what the candidate says is kept all the same.
Climbed CandidateAlone(const SweepCommand& command, const Request& request, const std::string& problem,
                       const std::string& directory) {
  Climbed climbed;
  std::string message = problem;
  try {
    fs::create_directories(directory);
    WriteCapture(MakeEngine(command.candidate, command.shown.engine)->Run(request), directory + "/candidate");
    message += "\nthe candidate alone was run; its capture is kept";
  } catch (const std::exception& error) {
    message += fmt::format("\nthe candidate alone: {}", error.what());
  }
  climbed.verdict = Refuse(Status::kFail, message, request, command.climb.profile.Load("strict"));
  return climbed;
}

int Run(const SweepCommand& command) {
  command.prompt.run.ApplyTimeout();
  command.climb.profile.Load("strict");  // a mistake in a threshold is said before an engine runs
  command.shown.Required();
  const std::vector<Prompt> scenarios = ChoosePrompts(command.prompts_file, command.only_prompts);
  const std::vector<Schedule> schedules = SchedulesOf(command.schedule);
  // What stands in the way of the first climb, or of keeping it, is said before an engine runs.
  RequestFor(command, scenarios.front(), schedules.front());
  std::error_code error;
  if (fs::create_directories(command.out, error); error) {
    throw std::runtime_error(fmt::format("--out: {}: cannot be made: {}; name a directory that can be written to",
                                         command.out, error.message()));
  }

  Comparison comparison(command.candidate, command.reference, "", command.shown.engine);
  comparison.cut_padded_head = command.shown.cut_padded_head;
  ClimbOptions climb = command.climb;
  climb.required = command.shown.Required();
  const std::optional<RungResult> problem = comparison.Probe();
  Summary summary;
  for (const Prompt& scenario : scenarios) {
    for (const Schedule schedule : schedules) {
      const Request request = RequestFor(command, scenario, schedule);
      const std::string directory = fmt::format("{}/{}.{}", command.out, scenario.id, ScheduleName(schedule));
      const Climbed climbed = problem ? CandidateAlone(command, request, problem->message, directory)
                                      : ClimbOnce(comparison, request, climb);
      Keep(climbed, directory);
      summary.Add({comparison.reference().name(), fs::path(request.model).filename().string(),
                   std::string(ScheduleName(schedule))},
                  scenario.id, climbed.verdict);
    }
  }
  Write(command.out + "/summary.md", summary.Markdown());
  Write(command.out + "/summary.json", DumpJson(summary.Json()));
  fmt::print(
      "{}\n{}: summary.md, summary.json; of each prompt and schedule report.txt, report.html, verdict.json and "
      "both captures\n",
      summary.Text(), command.out);
  return summary.ExitCode();
}

}  // namespace

void AddSweepCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<SweepCommand>();
  Options options(app, "sweep", "Climb the ladder on a few prompts of one model, and keep everything");
  options.Add("--model", command->prompt.model, "GGUF file", {.required = true});
  options.Add("--tokenizer", command->prompt.tokenizer, "tokenizer.json; without it the vocabulary in the GGUF file");
  AddCandidateOption(options, command->candidate);
  AddReferenceOption(options, command->reference);
  options.Add("--out", command->out, "directory for reports and captures");
  AddSettingsOption(options, "--prompts", command->prompts_file, "file of prompts");
  options.Add("--prompt", command->only_prompts, "only these prompts, by their id");
  AddScheduleOption(options, command->schedule, /*both=*/true);
  options.Add("--max-tokens", command->max_tokens, "greedy tokens to generate", {.at_least = 0});
  options.Add("--trace", command->trace, "what is traced of both engines: none, core, full or a selection");
  options.Flag("--dump-raw", command->dump_raw, "traced tensors as .npy too");
  command->prompt.run.AddTo(options);
  AddProfileOptions(options, command->climb.profile);
  command->shown.AddTo(options);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
