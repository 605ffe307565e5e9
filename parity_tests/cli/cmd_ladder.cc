// bitnet-parity ladder: one model, one prompt, two engines.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "parity_tests/candidate/native_backend.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/compare/noise.h"
#include "parity_tests/report/insight_report.h"
#include "parity_tests/report/report.h"
#include "parity_tests/suites/pair.h"

namespace parity {
namespace {

struct LadderCommand {
  PromptOptions prompt;
  std::string candidate = "native", reference = "llama.cpp";
  std::string stage = "decode", schedule = "batch", format = "text";
  int positions = 0, max_tokens = 8;
  bool dump_ids = false, dump_ref_ids = false, verbose = false, noise = false, no_explanation = false;
  std::string keep, trace = "none";
  bool dump_raw = false;
  ProfileOptions profile;
};

// One climb and what it was climbed with.
struct Climbed {
  Verdict verdict;
  std::optional<Explanation> explanation;                         // where a stage fails or a bit differs
  std::vector<std::pair<std::string, std::vector<int32_t>>> ids;  // what --dump-ids and --dump-ref-ids ask for
  std::optional<Captures> captures;                               // for HTML alone
};

Request MakeRequest(const LadderCommand& command) {
  Request request = command.prompt.MakeRequest();
  request.positions = command.positions;
  request.max_tokens = command.max_tokens;
  request.trace = command.trace;
  request.raw_tensors = command.dump_raw;
  return request;
}

Verdict Refuse(const std::string& message, const Request& request, const Profile& profile) {
  StageResult preflight;
  preflight.status = Status::kFail;
  preflight.message = message;
  return NotClimbed(std::move(preflight), request, profile);
}

// Where and why, if a stage failed; where the first bit differs, if none did.
std::optional<Explanation> ExplainClimb(Pair& pair, const Request& request, const Captures& captures,
                                        const Verdict& verdict) {
  const bool identical = Figures(verdict).rows() == 0 || Figures(verdict).identical_share() == 1;
  const std::optional<Stage> failed = verdict.failed_stage();
  if (failed == Stage::kPreflight || (!failed && identical)) return std::nullopt;
  Progress progress;
  return Explain(pair.candidate(), pair.reference(), request, captures,
                 {.profile = failed ? verdict.profile : ExactProfile(),
                  .first_bit = !failed,
                  .progress = [&progress](const std::string& what) { progress.Show(what); }});
}

Climbed ClimbOnce(const LadderCommand& command, Pair& pair, const Request& request) {
  Captures captures;
  Climbed climbed;
  try {
    Progress progress;
    pair.progress = [&progress](const std::string& engine) { progress.Show(fmt::format("running {} ...", engine)); };
    captures = pair.Run(request);
    pair.progress = nullptr;
  } catch (const std::exception& error) {
    pair.progress = nullptr;
    climbed.verdict = Refuse(error.what(), request, command.profile.Load("strict"));
    return climbed;
  }
  if (!command.keep.empty()) {
    const std::string directory = fmt::format("{}/{}", command.keep, ScheduleName(request.schedule));
    WriteCapture(captures.candidate, directory + "/candidate");
    WriteCapture(captures.reference, directory + "/reference");
  }
  LadderOptions options;
  std::string note;
  options.profile = command.profile.Load(pair.FairProfile(captures.reference.backend, "strict", "cosine", &note));
  options.last = StageFromName(command.stage);
  options.piece_of = PieceLookup(request);
  climbed.verdict = Climb(captures.candidate, captures.reference, options);
  if (!note.empty() && command.profile.name.empty()) climbed.verdict.notes.push_back(note);
  if (!request.token_ids && request.prompt.empty()) {
    climbed.verdict.notes.push_back("the prompt is empty: nothing but the template and BOS was compared");
  }
  if (!command.no_explanation) {
    climbed.explanation = ExplainClimb(pair, request, captures, climbed.verdict);
  }
  if (command.noise && climbed.verdict.stage(Stage::kShapes).status == Status::kPass) {
    Progress progress;
    const std::unique_ptr<Backend> reference = MakeAnyBackend(command.reference);
    const NoiseFloor floor =
        MeasureNoise(*reference, request,
                     {.threads = 0, .progress = [&](const std::string& what) { progress.Show("noise: " + what); }});
    for (std::string& text : NoiseNotes(floor, climbed.verdict)) climbed.verdict.notes.push_back(std::move(text));
  }
  const auto keep_ids = [&climbed](bool wanted, const std::string& side, const Capture& capture) {
    if (!wanted) return;
    climbed.ids.emplace_back(side + " prompt ids", capture.tokens);
    climbed.ids.emplace_back(side + " generated ids", capture.generated);
  };
  keep_ids(command.dump_ids, "candidate", captures.candidate);
  keep_ids(command.dump_ref_ids, "reference", captures.reference);
  if (command.format == "html") climbed.captures = std::move(captures);
  return climbed;
}

std::string PrintHtml(const std::vector<Climbed>& climbs) {
  std::vector<HtmlClimb> pages;
  for (const Climbed& climbed : climbs) {
    pages.push_back({.verdict = &climbed.verdict,
                     .explanation = climbed.explanation ? &*climbed.explanation : nullptr,
                     .captures = climbed.captures ? &*climbed.captures : nullptr,
                     .piece_of = climbed.captures ? PieceLookup(climbed.verdict.request) : nullptr,
                     .ids = climbed.ids});
  }
  return HtmlReport(pages);
}

std::string Print(const LadderCommand& command, const std::vector<Climbed>& climbs) {
  if (command.format == "json") {
    nlohmann::json reports = nlohmann::json::array();
    for (const Climbed& climbed : climbs) {
      nlohmann::json report = JsonReport(climbed.verdict);
      if (climbed.explanation) report["explanation"] = ExplanationJson(*climbed.explanation);
      for (const auto& [what, ids] : climbed.ids) report["ids"][what] = ids;
      reports.push_back(std::move(report));
    }
    return DumpJson(reports.size() == 1 ? reports[0] : reports);
  }
  if (command.format == "html") return PrintHtml(climbs);
  std::string out;
  for (const Climbed& climbed : climbs) {
    if (!out.empty()) out += "\n";
    const std::optional<Explanation>& why = climbed.explanation;
    const bool named = why && !why->diagnosis.causes.empty();
    if (command.format == "markdown") {
      out += MarkdownReport(climbed.verdict, !named) + (why ? ExplanationMarkdown(*why) : "");
    } else {
      out += TextReport(climbed.verdict, {.color = ColorWanted(), .verbose = command.verbose, .usual_causes = !named});
      if (why) out += "\n" + ExplanationText(*why, ColorWanted());
    }
    for (const auto& [what, ids] : climbed.ids)
      out += fmt::format("\n{} ({}): [{}]\n", what, ids.size(), fmt::join(ids, ", "));
  }
  return out;
}

int Run(const LadderCommand& command) {
  command.prompt.run.ApplyTimeout();
  command.profile.Load("strict");  // a mistake in a threshold is said before an engine runs
  Request request = MakeRequest(command);
  std::vector<Schedule> schedules;
  if (command.schedule != "token") schedules.push_back(Schedule::kBatch);
  if (command.schedule != "batch") schedules.push_back(Schedule::kTokenByToken);

  Pair pair(command.candidate, command.reference);
  std::vector<Climbed> climbs;
  for (const Schedule schedule : schedules) {
    request.schedule = schedule;
    if (std::optional<StageResult> problem = pair.Probe()) {
      climbs.push_back({NotClimbed(std::move(*problem), request, command.profile.Load("strict")), {}, {}, {}});
    } else {
      climbs.push_back(ClimbOnce(command, pair, request));
    }
  }
  fmt::print("{}", Print(command, climbs));
  int exit_code = 0;
  for (const Climbed& climbed : climbs) exit_code = std::max(exit_code, ExitCode(climbed.verdict));
  return exit_code;
}

}  // namespace

void AddLadderCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<LadderCommand>();
  CLI::App* sub = app.add_subcommand("ladder", "Compare two engines on one model and one prompt, stage by stage");
  command->prompt.AddTo(*sub);
  sub->add_option("--candidate", command->candidate,
                  "engine under test: native, native:ORDER, exec:COMMAND, recorded:DIR")
      ->capture_default_str();
  sub->add_option("--reference", command->reference, "llama.cpp, bitnet.cpp, exec:COMMAND, recorded:DIR, native")
      ->capture_default_str();
  sub->add_option("--stage", command->stage, "stop after this stage")
      ->check(CLI::IsMember({"preflight", "tokens", "shapes", "first-logit", "positions", "decode"}))
      ->capture_default_str();
  sub->add_option("--positions", command->positions, "compare the first N prompt positions; 0: all")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--max-tokens", command->max_tokens, "greedy tokens to generate")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->add_option("--schedule", command->schedule, "the prompt as one batch, a token at a time, or both")
      ->check(CLI::IsMember({"batch", "token", "both"}))
      ->capture_default_str();
  sub->add_option("--format", command->format, "text, json, markdown or html")
      ->check(CLI::IsMember({"text", "json", "markdown", "html"}))
      ->capture_default_str();
  sub->add_flag("--dump-ids", command->dump_ids, "print the candidate's token ids");
  sub->add_flag("--dump-ref-ids,--dump-cpp-ids", command->dump_ref_ids, "print the reference's token ids");
  sub->add_flag("--noise", command->noise, "measure the reference's noise floor too, and set the limits beside it");
  sub->add_flag("--no-explanation", command->no_explanation,
                "the verdict alone: engines are not run again to find where and why they part");
  sub->add_flag("--verbose", command->verbose, "print every metric at every position");
  sub->add_option("--keep", command->keep, "directory for both captures; --reference recorded:DIR reads them again");
  sub->add_option("--trace", command->trace, "with --keep: none, core, full or a selection, of both engines")
      ->capture_default_str();
  sub->add_flag("--dump-raw", command->dump_raw, "with --keep: traced tensors as .npy too");
  command->profile.AddTo(*sub);
  sub->callback([command, &exit_code] { exit_code = Run(*command); });
}

}  // namespace parity
