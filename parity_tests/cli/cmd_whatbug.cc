// bitnet-parity whatbug: which mistake makes an engine print this text, or compute these logits.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/cli/shell_word.h"
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
  std::vector<std::string> got;
  std::string got_file, logits, candidate, confirm, order, format = "text";
  int budget = 0, max_tokens = 24;
  ShownOptions shown;
  bool verbose = false;
  std::function<std::string()>
      other_options;  // those that say nothing of prompts, texts and logits, as they were given
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

// What is known of the candidate: what it printed after each prompt, or rows of logits of the first, or both.
struct Evidence {
  std::vector<std::string> texts = {};
  std::optional<Matrix> logits = {};
  std::vector<int64_t> positions = {};  // of their rows; empty: the first ones
};

// A prompt as the search takes it.
struct Asked {
  Request request;
  std::vector<int32_t> ids;
};

// Everything that the command needs of the model.
class Whatbug {
 public:
  explicit Whatbug(const WhatbugCommand& command) : command_(command) {
    Request first = command.prompt.prompts.empty() ? command.prompt.MakeRequest()
                                                   : command.prompt.MakeRequestOf(command.prompt.prompts.front());
    loaded_ = LoadModel(SourceOf(first));
    order_ = &OrderNamed(command.order, loaded_->model);
    tokenizer_ = LoadTokenizer(first, DialectOf(*order_));
    AddPrompt(std::move(first), prompts_);
    for (size_t i = 1; i < command.prompt.prompts.size(); ++i) {
      AddPrompt(command.prompt.MakeRequestOf(command.prompt.prompts[i]), prompts_);
    }
  }

  int Run() {
    const Evidence evidence = Given();
    if (tokenizer_ == nullptr && (!evidence.texts.empty() || !command_.confirm.empty())) {
      throw std::runtime_error(
          fmt::format("{}: has no vocabulary that spells the text; give --tokenizer", prompts_[0].request.model));
    }
    Progress progress;
    Search search({.model = &loaded_->model,
                   .order = order_,
                   .tokens = SiteOf(prompts_[0]),
                   .threads = static_cast<size_t>(prompts_[0].request.threads),
                   .budget_seconds = static_cast<double>(command_.budget),
                   .progress = [&progress](const std::string& what) { progress.Show(what); },
                   .further = FurtherPrompts()});
    SearchResult result = Find(search, evidence);
    if (result.separating) result.separating->command = CommandFor(*result.separating, evidence);
    if (!command_.confirm.empty() && result.certainty) result.confirmation = Confirm(search);
    progress.Show("");
    fmt::print("{}", command_.format == "json" ? DumpJson(SearchJson(result))
                                               : SearchText(result, ColorWanted(), command_.verbose));
    const bool healthy = result.from_text ? result.healthy.prints_the_text() : result.healthy.every_bit;
    return healthy ? 0 : 1;
  }

 private:
  void AddPrompt(Request request, std::deque<Asked>& to) const {
    std::vector<int32_t> ids = request.token_ids
                                   ? *request.token_ids
                                   : tokenizer_->Encode(request.text, {.add_special = request.add_special,
                                                                       .parse_special = request.parse_special});
    to.push_back({std::move(request), std::move(ids)});
  }
  TokenSite SiteOf(const Asked& asked) const {
    return {.request = asked.request,
            .right = asked.ids,
            .tokenizer = asked.request.token_ids ? nullptr : tokenizer_.get(),
            .file = &loaded_->model.file};
  }

  Evidence Given() {
    Evidence evidence;
    if (!command_.candidate.empty()) return AskCandidate();
    if (!command_.logits.empty()) evidence.logits = ReadLogits(command_.logits);
    evidence.texts = command_.got;
    if (!command_.got_file.empty()) evidence.texts.push_back(ReadAll(command_.got_file));
    if (!evidence.texts.empty() && evidence.texts.size() != prompts_.size()) {
      throw std::runtime_error(
          fmt::format("--got: found {} texts for {} prompts, expected one for each, in their order",
                      evidence.texts.size(), prompts_.size()));
    }
    return evidence;
  }

  // The candidate's answer to a prompt.
  Capture Ask(Request request) {
    if (engine_ == nullptr) {
      command_.prompt.run.ApplyTimeout();
      engine_ = MakeEngine(command_.candidate, command_.shown.engine);
      if (const ProbeResult probe = engine_->Probe(); !probe.available) {
        throw std::runtime_error(fmt::format("{} is not available: {}", engine_->name(), probe.problem));
      }
    }
    request.max_tokens = command_.max_tokens;
    request.ignore_eos = !engine_->stops_at_end();
    Capture capture = engine_->Run(request);
    for (const std::string& note : capture.notes) fmt::print(stderr, "note: {}\n", note);
    return capture;
  }

  // Logits are looked at before text, and then only the first prompt's.
  Evidence AskCandidate() {
    Evidence evidence;
    for (const Asked& asked : prompts_) {
      Capture capture = Ask(asked.request);
      if (command_.shown.cut_padded_head)
        CutHead(static_cast<int64_t>(loaded_->model.hyperparameters.n_vocab), &capture);
      if (capture.shown.logits && capture.logits.rows > 0) {
        std::vector<int64_t> positions = RowPositions(capture, static_cast<int64_t>(asked.ids.size()));
        return {.logits = std::move(capture.logits), .positions = std::move(positions)};
      }
      evidence.texts.push_back(GeneratedText(capture));
    }
    return evidence;
  }

  SearchResult Find(Search& search, const Evidence& evidence) const {
    if (evidence.texts.empty()) return search.ByLogits(*evidence.logits, evidence.positions);
    if (evidence.logits) {
      return search.ByTextAndLogits(evidence.texts.front(), *tokenizer_, *evidence.logits, evidence.positions);
    }
    std::vector<Told> told;
    for (size_t i = 0; i < evidence.texts.size(); ++i) told.push_back({SiteOf(prompts_[i]), evidence.texts[i]});
    return search.ByTexts(told, *tokenizer_);
  }

  // Prompts that may tell mistakes apart: the built-in ones, and a few ids that no text spells.
  std::vector<TokenSite> FurtherPrompts() {
    constexpr size_t kIds = 8, kMostTokens = 64;
    if (tokenizer_ == nullptr || prompts_[0].ids.empty()) return {};
    for (const Prompt& prompt : LoadPrompts("")) {
      Request request = command_.prompt.MakeRequestOf(prompt.text);
      const bool used = std::any_of(prompts_.begin(), prompts_.end(),
                                    [&request](const Asked& asked) { return asked.request.text == request.text; });
      if (!used) AddPrompt(std::move(request), further_);
    }
    const int32_t n_vocab = tokenizer_->n_vocab();
    for (size_t i = 1; i <= kIds; ++i) {
      Request request = prompts_[0].request;
      const auto id = static_cast<int32_t>(static_cast<size_t>(n_vocab) * i / (kIds + 1));
      request.token_ids = {prompts_[0].ids.front(), id, (id * 7 + 3) % n_vocab};
      request.prompt.clear();
      AddPrompt(std::move(request), further_);
    }
    std::vector<TokenSite> sites;
    for (const Asked& asked : further_) {
      if (asked.ids.size() <= kMostTokens) sites.push_back(SiteOf(asked));
    }
    return sites;
  }

  // The command that asks for the text that is missing, or has the candidate print it.
  std::string CommandFor(const SeparatingPrompt& s, const Evidence& evidence) const {
    const bool has_candidate = !command_.candidate.empty();
    const std::string missing = has_candidate ? "" : " --got 'WHAT IT PRINTS THERE'";
    std::string command = "bitnet-parity whatbug" + command_.other_options();
    if (!s.token_ids.empty()) return command + fmt::format(" --token-ids {}{}", fmt::join(s.token_ids, ","), missing);
    for (size_t i = 0; i < prompts_.size(); ++i) {
      if (prompts_[i].request.token_ids) continue;
      command += fmt::format(" --prompt {}", ShellWord(prompts_[i].request.prompt));
      if (!has_candidate && i < evidence.texts.size())
        command += fmt::format(" --got {}", ShellWord(evidence.texts[i]));
    }
    return command + fmt::format(" --prompt {}{}", ShellWord(s.prompt), missing);
  }

  Confirmation Confirm(const Search& search) {
    std::deque<Asked> asked;
    AddPrompt(command_.prompt.MakeRequestOf(command_.confirm), asked);
    Confirmation c = search.Predict(SiteOf(asked.front()), static_cast<size_t>(command_.max_tokens), *tokenizer_);
    if (command_.candidate.empty()) return c;
    c.said = GeneratedText(Ask(asked.front().request));
    c.as_predicted = CommonBytes(*c.said, c.predicted);
    c.as_healthy = CommonBytes(*c.said, c.healthy);
    return c;
  }
  static size_t CommonBytes(std::string_view a, std::string_view b) {
    for (std::string_view* text : {&a, &b})
      text->remove_prefix(std::min(text->find_first_not_of(" \t\r\n"), text->size()));
    return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
  }

  const WhatbugCommand& command_;
  std::shared_ptr<const LoadedModel> loaded_;
  const bitnet::ArithmeticOrder* order_ = nullptr;
  std::shared_ptr<const bitnet::Tokenizer> tokenizer_;
  std::deque<Asked> prompts_, further_;
  std::unique_ptr<Backend> engine_;
};

int Run(const WhatbugCommand& command) {
  const bool text = !command.got.empty() || !command.got_file.empty(), logits = !command.logits.empty();
  if (!command.got.empty() && !command.got_file.empty())
    throw std::runtime_error("found --got and --got-file, expected one of them");
  if (command.candidate.empty() ? !text && !logits : text || logits) {
    throw std::runtime_error(fmt::format(
        "found {} of --got, --got-file, --logits and --candidate, expected the text that the engine printed, its "
        "logits, both, or the engine",
        command.candidate.empty() ? "none" : "--candidate beside one"));
  }
  if (logits && command.prompt.prompts.size() > 1)
    throw std::runtime_error("--logits: found beside several prompts, expected one, whose logits they are");
  if (!command.prompt.token_ids.empty() && !command.prompt.prompts.empty())
    throw std::runtime_error("found --prompt and --token-ids, expected one of them");
  return Whatbug(command).Run();
}

}  // namespace

void AddWhatbugCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<WhatbugCommand>();
  Options options(app, "whatbug", "Which mistake makes an engine print this text, or compute these logits");
  command->prompt.several = true;
  command->prompt.AddTo(options);
  options.Add("--got", command->got, "what the engine printed after the prompt, greedily; one for each prompt");
  options.Add("--got-file", command->got_file, "a file with it; -: standard input");
  options.Add("--logits", command->logits,
              "its logits, in place of text or beside it: .npy, float32 [positions, n_vocab]");
  options.Add("--candidate", command->candidate, "the engine itself, in place of these: " + EngineHelp(Which::kAll));
  options.Add("--max-tokens", command->max_tokens, "greedy tokens that --candidate is asked for", {.at_least = 1});
  options.Add("--confirm", command->confirm,
              "a further prompt: what an engine with the mistake found prints there, beside what --candidate does");
  command->shown.AddTo(options);
  options.Add("--order", command->order, "order of operations of the model's reference; without it the usual one");
  options.Add("--budget", command->budget, "seconds to search; 0: until all is tried", {.at_least = 0});
  options.Flag("--verbose", command->verbose, "print what cannot be told from the best, too");
  AddFormatOption(options, command->format, {"text", "json"});
  command->other_options =
      options.GivenWithout({"--prompt", "--token-ids", "--got", "--got-file", "--logits", "--confirm", "--format"});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
