// bitnet-parity bisect: the shortest failing prefix, the position, the layer, the operation, the cause.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/diagnose/explain.h"
#include "parity_tests/harness/own_model.h"
#include "parity_tests/harness/pair.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/bisection_report.h"
#include "parity_tests/report/explanation_report.h"

namespace parity {
namespace {

struct BisectCommand {
  PromptOptions prompt;
  ProfileOptions profile;
  std::string candidate = "native", reference = "llama.cpp", schedule = "batch", format = "text";
  int max_tokens = 8;
};

int Run(const BisectCommand& command) {
  command.prompt.run.ApplyTimeout();
  const Profile profile = command.profile.Load("strict");
  Request request = command.prompt.MakeRequest();
  request.max_tokens = command.max_tokens;
  request.schedule = command.schedule == "batch" ? Schedule::kBatch : Schedule::kTokenByToken;
  Pair pair(command.candidate, command.reference);
  if (const std::optional<RungResult> problem = pair.Probe()) throw std::runtime_error(problem->message);
  Progress progress;
  const auto show = [&progress](const std::string& what) { progress.Show(what); };
  pair.progress = show;
  const Captures captures = pair.Run(request);
  const Verdict verdict = Climb(captures.candidate, captures.reference, {.profile = profile, .piece_of = {}});
  const HeldModel held = HoldModel(request.model, captures.reference.backend);
  const Explanation explanation =
      Explain(pair.candidate(), pair.reference(), request, captures, verdict, held.own, {.progress = show});
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
  CLI::App* sub = app.add_subcommand("bisect", "Where the ladder fails: prefix, position, layer, operation");
  command->prompt.AddTo(*sub);
  command->profile.AddTo(*sub);
  sub->add_option("--candidate", command->candidate, "engine under test: native, native:ORDER, exec:COMMAND")
      ->capture_default_str();
  sub->add_option("--reference", command->reference, "llama.cpp, bitnet.cpp, exec:COMMAND, native")
      ->capture_default_str();
  sub->add_option("--max-tokens", command->max_tokens, "greedy tokens to generate")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->add_option("--schedule", command->schedule, "the prompt as one batch or a token at a time")
      ->check(CLI::IsMember({"batch", "token"}))
      ->capture_default_str();
  sub->add_option("--format", command->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  sub->callback([command, &exit_code] { exit_code = Run(*command); });
}

}  // namespace parity
