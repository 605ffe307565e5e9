// bitnet-parity diagnose: the ladder, and where it stops the causes that the candidate's own tensors prove.
#include <fmt/format.h>

#include <memory>

#include "engine/model/model.h"
#include "parity_tests/candidate/native_backend.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/compare/diagnosis.h"
#include "parity_tests/report/report.h"

namespace parity {
namespace {

struct DiagnoseCommand {
  PromptOptions prompt;
  ProfileOptions profile;
  std::string candidate, reference = "llama.cpp", schedule = "batch", format = "text";
  int max_tokens = 1;
};

std::unique_ptr<Backend> Available(std::unique_ptr<Backend> backend) {
  const ProbeResult probe = backend->Probe();
  if (probe.available) return backend;
  throw std::runtime_error(fmt::format("{} is not available: {}; {}", backend->name(), probe.problem, probe.remedy));
}

int Run(const DiagnoseCommand& command) {
  command.prompt.run.ApplyTimeout();
  Request request = command.prompt.MakeRequest();
  request.max_tokens = command.max_tokens;
  request.schedule = command.schedule == "batch" ? Schedule::kBatch : Schedule::kTokenByToken;
  request.trace = "full";
  request.raw_tensors = true;
  const std::unique_ptr<Backend> reference = Available(MakeAnyBackend(command.reference));
  Progress progress;
  progress.Show("running the reference");
  const Capture r = reference->Run(request);
  const std::unique_ptr<Backend> candidate = Available(MakeCandidateFor(command.candidate, r.backend));
  progress.Show("running the candidate");
  const Capture c = candidate->Run(request);
  progress.Show("running the candidate again");
  // A recorded capture answers only what it was asked, and always the same.
  const Capture again = command.candidate.starts_with("recorded:") ? c : candidate->Run(request);
  progress.Show("");
  LadderOptions options;
  options.profile = command.profile.Load("strict");
  const Verdict verdict = Climb(c, r, options);
  const bitnet::Model model = bitnet::Model::Load(request.model);
  const std::string order = OrderOf(r.backend);
  const Diagnosis diagnosis = Diagnose({.verdict = &verdict,
                                        .candidate = &c,
                                        .reference = &r,
                                        .candidate_again = &again,
                                        .model = &model,
                                        .order = order.empty() ? nullptr : &bitnet::FindOrder(order)});
  if (command.format == "json") {
    nlohmann::json json = JsonReport(verdict);
    json["diagnosis"] = DiagnosisJson(diagnosis);
    fmt::print("{}", DumpJson(json));
  } else {
    fmt::print("{}", TextReport(verdict, {.color = ColorWanted()}));
    if (!verdict.parity() || !diagnosis.causes.empty()) fmt::print("\n{}", DescribeDiagnosis(diagnosis));
  }
  return verdict.parity() && !diagnosis.causes.empty() ? 1 : ExitCode(verdict);
}

}  // namespace

void AddDiagnoseCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<DiagnoseCommand>();
  CLI::App* sub =
      app.add_subcommand("diagnose", "The ladder, and what is wrong where it stops: causes with their proof");
  command->prompt.AddTo(*sub);
  command->profile.AddTo(*sub);
  sub->add_option("--candidate", command->candidate, "engine under test: exec:COMMAND, recorded:DIR, native, ...")
      ->required();
  sub->add_option("--reference", command->reference, "llama.cpp, bitnet.cpp, exec:COMMAND, recorded:DIR, native")
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
