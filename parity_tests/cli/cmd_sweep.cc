// bitnet-parity sweep: the ladder on a few prompts of one model, with everything kept for reading afterwards.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/cli/run_cases.h"
#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

// Of the engines, where nobody says otherwise: shares that ran on machines with more cores than this are one run.
constexpr int kMostThreads = 4;

struct SweepCommand {
  PromptOptions prompt;
  std::string candidate = "native", reference = "llama.cpp", out = "parity-sweep", schedule = "both", trace = "core";
  std::string prompts_file;  // empty: the built-in prompts
  std::vector<std::string> only_prompts;
  int max_tokens = -1;  // -1: each prompt's own
  bool dump_raw = false;
  ProfileChoice profile;
  CasesOptions cases;
  ShownOptions shown;
};

// The prompts that are asked for; without any all of the user's file, or the three scenarios of the built-in one.
std::vector<Prompt> Scenarios(const SweepCommand& command) {
  std::vector<std::string> ids = command.only_prompts;
  if (ids.empty() && command.prompts_file.empty()) ids = {"sum", "hello", "count"};
  return ChoosePrompts(command.prompts_file, ids);
}

std::vector<RunCase> CasesOf(const SweepCommand& command) {
  std::vector<RunCase> cases;
  for (const Prompt& scenario : Scenarios(command)) {
    for (const Schedule schedule : SchedulesOf(command.schedule)) {
      RunCase& c = cases.emplace_back();
      c.request = command.prompt.MakeRequest(scenario);
      c.request.max_tokens = command.max_tokens >= 0 ? command.max_tokens : scenario.max_tokens.value_or(kMaxTokens);
      c.request.schedule = schedule;
      c.request.trace = command.trace;
      c.request.raw_tensors = command.dump_raw;
      if (command.prompt.run.threads == 0 && !command.prompt.run.deterministic) {
        c.request.threads = std::min(kMostThreads, command.prompt.run.Threads(command.prompt.model));
      }
      c.reference_spec = command.reference;
      c.profile = "strict";
      c.profile_elsewhere = "cosine";
      const std::string name(ScheduleName(schedule));
      c.planned.names = {.id = scenario.id + "." + name,
                         .reference = command.reference,
                         .model = std::filesystem::path(c.request.model).filename().string(),
                         .prompt = scenario.id,
                         .schedule = name};
    }
  }
  return cases;
}

int Run(const SweepCommand& command) {
  command.prompt.run.ApplyTimeout();
  command.profile.Load("strict");  // a mistake in a threshold is said before an engine runs
  command.shown.Required();
  std::vector<RunCase> cases = CasesOf(command);
  if (!command.cases.list.empty()) {
    fmt::print("{}", ListOfCases(ChosenCases(cases, command.cases), command.cases.list));
    return 0;
  }
  const RunReport report = RunCases({.command = "sweep",
                                     .candidate = command.candidate,
                                     .profile = command.profile,
                                     .out = command.out,
                                     .explain = true,
                                     .keep_captures = true,
                                     .engine = command.shown.engine,
                                     .cut_padded_head = command.shown.cut_padded_head,
                                     .required = command.shown.Required(),
                                     .candidate_only = true,
                                     .cases = std::move(cases)},
                                    command.cases);
  fmt::print(
      "{}\n{}: summary.md, summary.html, summary.json, junit.xml; a folder of reports, texts and captures for each "
      "prompt and schedule\n",
      RunText(report), command.out);
  return report.exit_code();
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
  AddSettingsOption(options, "--prompts", command->prompts_file, "file of prompts, with max_tokens of each");
  options.Add("--prompt", command->only_prompts,
              "only these prompts, by their id; without it and --prompts: sum, hello "
              "and count, with 1, 2 and 4 tokens");
  AddScheduleOption(options, command->schedule, /*both=*/true);
  options.Add("--max-tokens", command->max_tokens, "greedy tokens to generate; without it each prompt's own, or 4",
              {.at_least = 0, .show_default = false});
  options.Add("--trace", command->trace, "what is traced of both engines: none, core, full or a selection");
  options.Flag("--dump-raw", command->dump_raw, "traced tensors as .npy too");
  command->cases.AddTo(options);
  command->prompt.run.AddTo(options);
  AddProfileOptions(options, command->profile);
  command->shown.AddTo(options);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
