// bitnet-parity bisect: the shortest failing prefix, the position, the layer, the operation.
#include <fmt/format.h>

#include <memory>

#include "parity_tests/candidate/native_backend.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/report/insight_report.h"

namespace parity {
namespace {

struct BisectCommand {
  PromptOptions prompt;
  ProfileOptions profile;
  std::string candidate = "native", reference = "llama.cpp", schedule = "batch", format = "text";
  int max_tokens = 8;
};

std::unique_ptr<Backend> Available(std::unique_ptr<Backend> backend) {
  const ProbeResult probe = backend->Probe();
  if (probe.available) return backend;
  throw std::runtime_error(fmt::format("{} is not available: {}; {}", backend->name(), probe.problem, probe.remedy));
}

int Run(const BisectCommand& command) {
  command.prompt.run.ApplyTimeout();
  Request request = command.prompt.MakeRequest();
  request.max_tokens = command.max_tokens;
  request.schedule = command.schedule == "batch" ? Schedule::kBatch : Schedule::kTokenByToken;
  const std::unique_ptr<Backend> reference = Available(MakeAnyBackend(command.reference));
  Progress progress;
  std::unique_ptr<Backend> candidate;
  int captures = 0;
  if (command.candidate == "native") {
    // Our engine follows the order of the reference's build, which the reference's own capture names.
    progress.Show("asking the reference for its build");
    Request probe = request;
    probe.max_tokens = 0;
    ++captures;
    candidate = MakeCandidateFor(command.candidate, reference->Run(probe).backend);
  } else {
    candidate = MakeAnyBackend(command.candidate);
  }
  candidate = Available(std::move(candidate));
  BisectOptions options;
  options.profile = command.profile.Load("strict");
  options.progress = [&progress](const std::string& what) { progress.Show(what); };
  Bisection bisection = Bisect(*candidate, *reference, request, options);
  bisection.captures += captures;
  progress.Show("");
  fmt::print("{}",
             command.format == "json" ? DumpJson(BisectionJson(bisection)) : BisectionText(bisection, ColorWanted()));
  return bisection.verdict == BisectVerdict::kNoDivergence ? 0 : 1;
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
