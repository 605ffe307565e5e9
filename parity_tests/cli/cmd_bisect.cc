// bitnet-parity bisect: the shortest failing prefix, the position, the layer, the operation, the cause.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/report/bisection_report.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/json_report.h"

namespace parity {
namespace {

struct BisectCommand {
  PromptOptions prompt;
  ProfileChoice profile;
  std::string candidate = "native", reference = "llama.cpp", schedule = "batch", format = "text";
  int max_tokens = 8;
};

int Run(const BisectCommand& command) {
  command.prompt.run.ApplyTimeout();
  const Profile profile = command.profile.Load("strict");
  Request request = command.prompt.MakeRequest();
  request.max_tokens = command.max_tokens;
  request.schedule = SchedulesOf(command.schedule).front();
  Comparison comparison(command.candidate, command.reference);
  if (const std::optional<RungResult> problem = comparison.Probe()) throw std::runtime_error(problem->message);
  Progress progress;
  comparison.progress = [&progress](const std::string& what) { progress.Show(what); };
  const Captures captures = comparison.Run(request);
  const Verdict verdict = Climb(captures.candidate, captures.reference, {.profile = profile, .piece_of = {}});
  const Explanation explanation = comparison.Explain(request, captures, verdict);
  progress.Show("");
  if (!explanation.bisection) throw std::runtime_error(explanation.not_bisected);
  const Bisection& found = *explanation.bisection;
  const bool diverges = found.verdict != BisectVerdict::kNoDivergence;
  if (command.format == "json") {
    nlohmann::json json = BisectionJson(found);
    json["causes"] = CausesJson(explanation.diagnosis);
    fmt::print("{}", DumpJson(json));
  } else {
    fmt::print("{}{}", BisectionText(found, ColorWanted()),
               diverges ? CausesText(explanation.diagnosis, ColorWanted()) : "");
  }
  return diverges ? 1 : 0;
}

}  // namespace

void AddBisectCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<BisectCommand>();
  Options options(app, "bisect", "Where the ladder fails: prefix, position, layer, operation");
  command->prompt.AddTo(options);
  AddProfileOptions(options, command->profile);
  AddCandidateOption(options, command->candidate, Which::kLive);
  AddReferenceOption(options, command->reference, Which::kLive);
  options.Add("--max-tokens", command->max_tokens, "greedy tokens to generate", {.at_least = 0});
  AddScheduleOption(options, command->schedule);
  AddFormatOption(options, command->format, {"text", "json"});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
