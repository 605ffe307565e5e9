// bitnet-parity compare A B C...: any number of engines or captures, each beside each.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/diagnose/explain.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/harness/own_model.h"
#include "parity_tests/judge/side_by_side.h"
#include "parity_tests/report/side_by_side_report.h"

namespace parity {
namespace {

struct CompareCommand {
  PromptOptions prompt;
  ProfileChoice profile;
  ShownOptions shown;
  std::vector<std::string> engines;
  std::string schedule = "batch", format = "text";
  int max_tokens = 8;
  bool no_explanation = false;
};

// An engine, and what it answered last.
struct Side {
  std::string spec;
  std::unique_ptr<Backend> engine;
  std::optional<Capture> capture = {};
  std::string problem = {};
};

// A folder is the captures in it.
std::string SpecOf(const std::string& word) {
  const bool folder = word.find(':') == std::string::npos && std::filesystem::is_directory(word);
  return folder ? "recorded:" + word : word;
}

std::vector<Side> MakeSides(const CompareCommand& command) {
  if (command.engines.size() < 2) {
    throw std::runtime_error(
        fmt::format("ENGINES: found one ({}), expected two and more: {}", command.engines[0], EngineHelp()));
  }
  std::vector<Side> sides;
  for (const std::string& word : command.engines) {
    sides.push_back({.spec = SpecOf(word), .engine = MakeEngine(SpecOf(word), command.shown.engine)});
    const ProbeResult probe = sides.back().engine->Probe();
    if (!probe.available) {
      throw std::runtime_error(fmt::format("{} is not available: {}{}", word, probe.problem,
                                           probe.remedy.empty() ? "" : "\nremedy: " + probe.remedy));
    }
  }
  return sides;
}

void Answers(Side& side, const Request& request, Progress& progress) {
  progress.Show(fmt::format("running {} ...", side.spec));
  Request asked = request;
  if (!side.engine->live()) {  // it shows what was recorded
    asked.trace = "none";
    asked.raw_tensors = false;
  }
  try {
    side.capture = side.engine->Run(asked);
  } catch (const std::exception& error) {
    side.problem = error.what();
  }
}

// "native" follows the order of the first of the others whose build has one that is known for this model.
void RunAll(std::vector<Side>& sides, const Request& request, const EngineOptions& options, Progress& progress) {
  const auto is_native = [](const Side& side) { return side.spec == "native"; };
  const auto follows = [&request](const BackendInfo& backend) {
    if (OrderOf(backend).empty()) return false;
    try {
      return KnownOrder(backend, LoadModel(SourceOf(request))->model) != nullptr;
    } catch (const std::runtime_error&) {
      return false;  // a model that "native" cannot run either, and says so
    }
  };
  BackendInfo followed;
  for (Side& side : sides) {
    if (is_native(side)) continue;
    Answers(side, request, progress);
    if (side.capture && !follows(followed)) followed = side.capture->backend;
  }
  for (Side& side : sides) {
    if (!is_native(side)) continue;
    side.engine = MakeCandidateFor(side.spec, followed, options);
    Answers(side, request, progress);
  }
}

// Once more where two engines part, with the tensors themselves.
void MeasureDistances(std::vector<Side>& sides, const Request& request, SideBySide& all, Progress& progress) {
  Request raw = request;
  raw.trace = FirstTensors(all);
  raw.raw_tensors = true;
  if (raw.trace.empty()) return;
  std::vector<Capture> kept(sides.size());
  std::vector<const Capture*> captures(sides.size());
  for (size_t i = 0; i < sides.size(); ++i) {
    if (!sides[i].capture) continue;
    if (sides[i].engine->live()) {
      progress.Show(fmt::format("where they part: {} ...", sides[i].spec));
      try {
        kept[i] = sides[i].engine->Run(raw);
      } catch (const std::exception&) {
        continue;  // it answered once; the distance alone is not known
      }
    } else {
      kept[i] = *sides[i].capture;
    }
    captures[i] = &kept[i];
  }
  AddDistances(captures, all);
}

// Why each engine that is over a limit beside the one with which most agree parts from it.
void ExplainThose(std::vector<Side>& sides, const Request& request, SideBySide& all, Progress& progress) {
  const size_t reference = MostAgreedWith(all);
  for (size_t i = 0; i < sides.size(); ++i) {
    const PairBeside* pair = i == reference ? nullptr : all.pair(i, reference);
    if (pair == nullptr || !pair->over) continue;
    EngineBeside& engine = all.engines[i];
    const Captures captures{*sides[i].capture, *sides[reference].capture};
    const HeldModel held = HoldModel(request, captures.reference.backend);
    const Verdict verdict =
        Climb(captures.candidate, captures.reference, {.profile = all.profile, .piece_of = PieceLookup(request)});
    const auto show = [&](const std::string& what) {
      progress.Show(fmt::format("{} beside {}: {}", sides[i].spec, sides[reference].spec, what));
    };
    try {
      engine.why =
          Explain(*sides[i].engine, *sides[reference].engine, request, captures, verdict, held.own, {.progress = show});
      engine.explained_beside = reference;
    } catch (const std::exception& error) {
      engine.not_explained = error.what();
    }
  }
}

int Run(const CompareCommand& command) {
  command.prompt.run.ApplyTimeout();
  Profile profile = command.profile.Load("strict");
  Request request = command.prompt.MakeRequest();
  request.max_tokens = command.max_tokens;
  request.schedule = SchedulesOf(command.schedule).front();
  std::vector<Side> sides = MakeSides(command);
  for (const Side& side : sides) request.ignore_eos = request.ignore_eos && !side.engine->stops_at_end();
  Progress progress;
  Request traced = request;
  traced.trace = "full";
  RunAll(sides, traced, command.shown.engine, progress);
  std::vector<Answer> answers;
  for (const Side& side : sides) {
    const bool text_alone = side.capture && side.capture->shown.text && !ShowsFigures(*side.capture);
    if (text_alone && command.profile.name.empty() && command.profile.file.empty()) {
      profile = command.profile.Load("cosine");  // as `ladder` judges it
    }
    answers.push_back({side.spec, side.capture ? &*side.capture : nullptr, side.problem});
  }
  SideBySide all = CompareAll(answers, {.profile = profile, .piece_of = PieceLookup(request)});
  all.request = request;
  MeasureDistances(sides, request, all, progress);
  if (!command.no_explanation) ExplainThose(sides, request, all, progress);
  progress.Show("");
  fmt::print("{}", command.format == "json"   ? DumpJson(SideBySideJson(all))
                   : command.format == "html" ? SideBySideHtml(all)
                                              : SideBySideText(all, ColorWanted()));
  return all.exit_code();
}

}  // namespace

void AddCompareCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<CompareCommand>();
  Options options(app, "compare", "Any number of engines or captures on one prompt: who agrees, and who stands alone");
  options.Files("engines", command->engines, "engines (" + EngineHelp() + ") or folders of captures, two and more");
  command->prompt.AddTo(options);
  options.Add("--max-tokens", command->max_tokens, "greedy tokens to generate", {.at_least = 0});
  AddScheduleOption(options, command->schedule);
  AddFormatOption(options, command->format, {"text", "json", "html"});
  options.Flag("--no-explanation", command->no_explanation, "the table alone: why they part is not looked for");
  AddProfileOptions(options, command->profile);
  command->shown.AddTo(options);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
