// bitnet-parity whatbug: which mistake makes an engine print this text, or compute these logits.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/search_report.h"
#include "parity_tests/search/search.h"
#include "reference/capture/npy.h"

namespace parity {
namespace {

struct WhatbugCommand {
  PromptOptions prompt;
  std::optional<std::string> got;
  std::string got_file, logits, candidate, order, format = "text";
  int budget = 0, max_tokens = 24;
  ShownOptions shown;
  bool verbose = false;
};

std::string ReadAll(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("--got-file: {}: cannot be read", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

Matrix ReadLogits(const std::string& path) {
  NpyArray array = ReadNpy(path);
  if (array.shape.size() == 1) array.shape.insert(array.shape.begin(), 1);
  if (array.shape.size() != 2) {
    throw std::runtime_error(
        fmt::format("{}: found an array of {} dimensions, expected [positions, n_vocab]", path, array.shape.size()));
  }
  return {.rows = array.shape[0], .cols = array.shape[1], .data = std::move(array.data)};
}

// What is known of the candidate: its text, or rows of logits.
struct Evidence {
  std::string text = {};
  std::optional<Matrix> logits = {};
  std::vector<int64_t> positions = {};  // of their rows; empty: the first ones
};

// Runs the candidate. Its logits are looked at before its text.
Evidence AskCandidate(const WhatbugCommand& command, Request request, int64_t n_tokens, int64_t n_vocab) {
  command.prompt.run.ApplyTimeout();
  const std::unique_ptr<Backend> engine = MakeEngine(command.candidate, command.shown.engine);
  if (const ProbeResult probe = engine->Probe(); !probe.available) {
    throw std::runtime_error(fmt::format("{} is not available: {}", engine->name(), probe.problem));
  }
  request.max_tokens = command.max_tokens;
  request.ignore_eos = !engine->stops_at_end();
  Capture capture = engine->Run(request);
  for (const std::string& note : capture.notes) fmt::print(stderr, "note: {}\n", note);
  if (command.shown.cut_padded_head) CutHead(n_vocab, &capture);
  if (capture.shown.logits && capture.logits.rows > 0) {
    std::vector<int64_t> positions = RowPositions(capture, n_tokens);
    return {.logits = std::move(capture.logits), .positions = std::move(positions)};
  }
  return {.text = GeneratedText(capture)};
}

Evidence Given(const WhatbugCommand& command, const Request& request, int64_t n_tokens, int64_t n_vocab) {
  if (!command.candidate.empty()) return AskCandidate(command, request, n_tokens, n_vocab);
  if (!command.logits.empty()) return {.logits = ReadLogits(command.logits)};
  return {.text = command.got ? *command.got : ReadAll(command.got_file)};
}

int Run(const WhatbugCommand& command) {
  const int given = (command.got ? 1 : 0) + (command.got_file.empty() ? 0 : 1) + (command.logits.empty() ? 0 : 1) +
                    (command.candidate.empty() ? 0 : 1);
  if (given != 1) {
    throw std::runtime_error(
        fmt::format("found {} of --got, --got-file, --logits and --candidate, expected one: what the engine printed, "
                    "its logits, or the engine",
                    given));
  }
  const Request request = command.prompt.MakeRequest();
  const std::shared_ptr<const LoadedModel> loaded = LoadModel(SourceOf(request));
  const bitnet::ArithmeticOrder& order =
      command.order.empty() ? UsualOrder(loaded->model) : bitnet::FindOrder(command.order);
  const std::shared_ptr<const bitnet::Tokenizer> tokenizer = LoadTokenizer(request, DialectOf(order));
  const std::vector<int32_t> ids = request.token_ids
                                       ? *request.token_ids
                                       : tokenizer->Encode(request.text, {.add_special = request.add_special,
                                                                          .parse_special = request.parse_special});
  const Evidence evidence = Given(command, request, static_cast<int64_t>(ids.size()),
                                  static_cast<int64_t>(loaded->model.hyperparameters.n_vocab));
  if (tokenizer == nullptr && !evidence.logits) {
    throw std::runtime_error(
        fmt::format("{}: has no vocabulary that spells the text; give --tokenizer", request.model));
  }
  Progress progress;
  Search search({.model = &loaded->model,
                 .order = &order,
                 .tokens = {.request = request,
                            .right = ids,
                            .tokenizer = request.token_ids ? nullptr : tokenizer.get(),
                            .file = &loaded->model.file},
                 .threads = static_cast<size_t>(request.threads),
                 .budget_seconds = static_cast<double>(command.budget),
                 .progress = [&progress](const std::string& what) { progress.Show(what); }});
  const SearchResult result = evidence.logits ? search.ByLogits(*evidence.logits, evidence.positions)
                                              : search.ByText(evidence.text, *tokenizer);
  progress.Show("");
  fmt::print("{}", command.format == "json" ? DumpJson(SearchJson(result))
                                            : SearchText(result, ColorWanted(), command.verbose));
  const bool healthy = result.from_text ? result.healthy.prints_the_text() : result.healthy.every_bit;
  return healthy ? 0 : 1;
}

}  // namespace

void AddWhatbugCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<WhatbugCommand>();
  Options options(app, "whatbug", "Which mistake makes an engine print this text, or compute these logits");
  command->prompt.AddTo(options);
  options.Add("--got", command->got, "what the engine printed after the prompt, greedily");
  options.Add("--got-file", command->got_file, "a file with it; -: standard input");
  options.Add("--logits", command->logits, "its logits in place of text: .npy, float32 [positions, n_vocab]");
  options.Add("--candidate", command->candidate, "the engine itself, in place of these: " + EngineHelp(Which::kAll));
  options.Add("--max-tokens", command->max_tokens, "greedy tokens that --candidate is asked for", {.at_least = 1});
  command->shown.AddTo(options);
  options.Add("--order", command->order, "order of operations of the model's reference; without it the usual one");
  options.Add("--budget", command->budget, "seconds to search; 0: until all is tried", {.at_least = 0});
  options.Flag("--verbose", command->verbose, "print what cannot be told from the best, too");
  AddFormatOption(options, command->format, {"text", "json"});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
