// `parity-smoke MODEL`: does a model do at all what the reference does? The ladder on the built-in prompts, and both
// texts.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/color.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/said_report.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

struct SmokeCommand {
  PromptOptions prompt;
  std::string candidate = "native", reference = "llama.cpp", prompts_file;
  std::vector<std::string> only_prompts = {"sum", "hello", "count"};
  int max_tokens = 8;
};

std::string Describe(const Verdict& verdict) {
  const bool color = ColorWanted();
  std::string out = fmt::format("{}  {}", Quote(verdict.request.prompt),
                                Paint(Headline(verdict), verdict.parity() ? Color::kGreen : Color::kRed, color));
  if (const WorstRows& worst = Figures(verdict); worst.rows() > 0) {
    out += fmt::format(", least cosine {} over {} positions",
                       FormatMetric(Metric::kCosine, worst.value(Metric::kCosine)), worst.rows());
  }
  out += "\n";
  if (const auto failed = verdict.failed_rung()) out += fmt::format("  {}\n", verdict.rung(*failed).message);
  return out + SaidText(SaidSidesOf(verdict), color) + "\n";
}

int Run(const SmokeCommand& command) {
  command.prompt.run.ApplyTimeout();
  Comparison comparison(command.candidate, command.reference);
  const std::vector<Prompt> prompts = ChoosePrompts(command.prompts_file, command.only_prompts);
  command.prompt.MakeRequest(prompts.front());  // a model that is not there is said before an engine is
  if (const std::optional<RungResult> problem = comparison.Probe()) throw std::runtime_error(problem->message);
  int exit_code = 0;
  size_t passed = 0;
  for (const Prompt& prompt : prompts) {
    Request request = command.prompt.MakeRequest(prompt);
    request.max_tokens = command.max_tokens;
    const Climbed climbed = ClimbOnce(comparison, request, {.profile = {}});
    exit_code = std::max(exit_code, ExitCode(climbed.verdict));
    passed += climbed.verdict.parity() ? 1 : 0;
    fmt::print("{}", Describe(climbed.verdict));
  }
  fmt::print("{} of {} prompts pass. `bitnet-parity ladder` says more of one, `sweep` keeps everything\n", passed,
             prompts.size());
  return exit_code;
}

}  // namespace

void AddSmokeCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<SmokeCommand>();
  Options options(app, "parity-smoke", "A quick look at a model: built-in prompts, both texts, where they part");
  options.Add("model,--model", command->prompt.model, "GGUF file", {.required = true});
  options.Add("--tokenizer", command->prompt.tokenizer, "tokenizer.json; without it the vocabulary in the GGUF file");
  AddCandidateOption(options, command->candidate);
  AddReferenceOption(options, command->reference);
  AddSettingsOption(options, "--prompts", command->prompts_file, "file of prompts");
  options.Add("--prompt", command->only_prompts, "only these prompts, by their id");
  options.Add("--max-tokens", command->max_tokens, "greedy tokens to generate", {.at_least = 0});
  command->prompt.run.AddTo(options);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
