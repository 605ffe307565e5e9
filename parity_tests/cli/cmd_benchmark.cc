// bitnet-parity benchmark: how fast two engines are, measured by turns, so that what slows the machine slows both.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/cli/receipts.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

struct BenchmarkCommand {
  PromptOptions prompt;
  std::string candidate = "native", reference = "llama.cpp", receipt;
  int rounds = 5, max_tokens = 32;
  ProfileChoice profile;
};

struct Rates {
  std::vector<double> prompt, decode;  // tokens a second, one for each round
};

void Add(const Capture& capture, Rates& rates) {
  const auto add = [](size_t tokens, double ms, std::vector<double>& to) {
    if (tokens > 0 && ms > 0) to.push_back(1e3 * static_cast<double>(tokens) / ms);
  };
  add(capture.tokens.size(), capture.timings.prompt_ms, rates.prompt);
  // The first generated token comes from the prompt's logits.
  add(capture.generated.empty() ? 0 : capture.generated.size() - 1, capture.timings.decode_ms, rates.decode);
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::string Line(const std::string& engine, const Rates& rates) {
  const auto figures = [](const std::vector<double>& values) {
    if (values.empty()) return std::string("-");
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    return fmt::format("{:.1f} ({:.1f} to {:.1f})", Median(values), *least, *most);
  };
  return fmt::format("{:<28} {:>32} {:>32}\n", engine, figures(rates.prompt), figures(rates.decode));
}

int Run(const BenchmarkCommand& command) {
  command.prompt.run.ApplyTimeout();
  command.profile.Load("strict");
  PromptOptions prompt = command.prompt;
  if (!prompt.prompt && prompt.token_ids.empty())
    prompt.prompt = "In the beginning God created the heaven and the earth.";
  Request request = prompt.MakeRequest();
  request.max_tokens = command.max_tokens;
  Comparison comparison(command.candidate, command.reference);
  if (const std::optional<RungResult> problem = comparison.Probe()) throw std::runtime_error(problem->message);
  Rates candidate, reference;
  std::vector<nlohmann::json> runs;
  int exit_code = 0;
  std::string verdict;
  for (int round = 0; round < command.rounds; ++round) {
    const Climbed climbed = ClimbOnce(comparison, request, {.profile = command.profile});
    if (!climbed.captures) throw std::runtime_error(climbed.verdict.rung(Rung::kPreflight).message);
    Add(climbed.captures->candidate, candidate);
    Add(climbed.captures->reference, reference);
    runs.push_back(RunOfReceipt(climbed.verdict, &*climbed.captures));
    exit_code = std::max(exit_code, ExitCode(climbed.verdict));
    verdict = runs.back()["verdict"];
  }
  WriteReceipt(command.receipt, "benchmark", std::move(runs));
  fmt::print("{:<28} {:>32} {:>32}\n{}{}", "tokens a second", "prompt", "generated",
             Line("candidate " + command.candidate, candidate), Line("reference " + command.reference, reference));
  if (Median(reference.prompt) > 0 && Median(reference.decode) > 0) {
    fmt::print("{:<28} {:>32.2f} {:>32.2f}\n", "candidate over reference",
               Median(candidate.prompt) / Median(reference.prompt),
               Median(candidate.decode) / Median(reference.decode));
  }
  fmt::print("median (least to most) of {} rounds by turns, {} threads, logits of every position; {}\n", command.rounds,
             request.threads, verdict);
  return exit_code;
}

}  // namespace

void AddBenchmarkCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<BenchmarkCommand>();
  Options options(app, "benchmark",
                  "Measure two engines by turns on one model and prompt, and compare what they compute");
  command->prompt.AddTo(options);
  AddCandidateOption(options, command->candidate, Which::kLive);
  AddReferenceOption(options, command->reference, Which::kLive);
  options.Add("--rounds", command->rounds, "runs of each engine", {.range = {{1, 1000}}});
  options.Add("--max-tokens,--tokens", command->max_tokens, "greedy tokens to generate", {.at_least = 0});
  AddReceiptOption(options, command->receipt);
  AddProfileOptions(options, command->profile);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
