// bitnet-parity ladder: one model, one prompt, two engines.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/command_line.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/cli/receipts.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/judge/rungs.h"
#include "parity_tests/locate/noise.h"
#include "parity_tests/report/ci_report.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/report.h"
#include "reference/capture/trace_selection.h"
#include "reference/engines/registry.h"

namespace parity {
namespace {

struct LadderCommand {
  PromptOptions prompt;
  std::string candidate = "native", reference = "llama.cpp";
  std::string rung{RungName(kLastRung)}, schedule = "batch", format = "text";
  int positions = 0, max_tokens = 8;
  bool dump_ids = false, dump_ref_ids = false, verbose = false, noise = false, no_explanation = false,
       accept_known_faults = false;
  std::string keep, trace = "none", candidate_model, baseline, receipt;
  bool dump_raw = false;
  ProfileChoice profile;
  ShownOptions shown;
};

// What is traced is kept, and nowhere but in --keep. A directory that cannot take it is named before an engine runs.
void CheckKeep(const LadderCommand& command, const Request& request) {
  const bool traces = command.trace != "none";
  if (traces) TraceSelection check(command.trace);
  if (traces && command.keep.empty()) throw std::runtime_error("--trace: needs --keep DIR, where the tensors go");
  if (command.dump_raw && !traces) {
    throw std::runtime_error("--dump-raw: needs --trace core, full or a selection, and --keep DIR");
  }
  if (command.keep.empty()) {
    if (std::getenv("BITNET_TRACE_DIR") != nullptr) {
      Note(
          "note: BITNET_TRACE_DIR is read by generate alone; here --keep DIR --trace full keeps both engines' tensors");
    }
    return;
  }
  CheckDirectory("--keep", command.keep);
  for (const Schedule schedule : {Schedule::kBatch, Schedule::kTokenByToken}) {
    for (const char* side : {"candidate", "reference"}) {
      CheckHoldsNoOther("--keep", fmt::format("{}/{}/{}", command.keep, ScheduleName(schedule), side), request);
    }
  }
}

// A list of token ids to print, and what it is.
using IdList = std::pair<std::string, std::vector<int32_t>>;

struct LadderClimb : Climbed {
  std::vector<IdList> ids;  // what --dump-ids and --dump-ref-ids ask for
};

void AddNoise(const LadderCommand& command, const Request& request, Verdict& verdict) {
  Progress progress;
  const std::unique_ptr<Backend> reference = MakeEngine(command.reference);
  const NoiseFloor floor =
      MeasureNoise(*reference, request,
                   {.threads = 0, .progress = [&](const std::string& what) { progress.Show("noise: " + what); }});
  for (std::string& text : NoiseNotes(floor, verdict)) verdict.notes.push_back(std::move(text));
}

LadderClimb ClimbLadder(const LadderCommand& command, Comparison& comparison, const Request& request) {
  LadderClimb climb{ClimbOnce(comparison, request,
                              {.profile = command.profile,
                               .expected = comparison.baseline ? "exact" : "strict",
                               .last = RungFromName(command.rung),
                               .explain = !command.no_explanation,
                               .required = command.shown.Required(),
                               .accept_known_faults = command.accept_known_faults}),
                    {}};
  if (!climb.captures) return climb;
  const Capture &candidate = climb.captures->candidate, &reference = climb.captures->reference;
  if (!command.keep.empty()) {
    const std::string directory = fmt::format("{}/{}", command.keep, ScheduleName(request.schedule));
    WriteCapture(candidate, directory + "/candidate");
    WriteCapture(reference, directory + "/reference");
  }
  if (command.noise && climb.verdict.rung(Rung::kShapes).status == Status::kPass) {
    AddNoise(command, request, climb.verdict);
  }
  const auto keep_ids = [&climb](const std::string& side, const Capture& capture) {
    climb.ids.emplace_back(side + " prompt ids", capture.tokens);
    climb.ids.emplace_back(side + " generated ids", capture.generated);
  };
  if (command.dump_ids) keep_ids("candidate", candidate);
  if (command.dump_ref_ids) keep_ids("reference", reference);
  return climb;
}

int WorstExitCode(const std::vector<LadderClimb>& climbs) {
  int exit_code = 0;
  for (const LadderClimb& climbed : climbs) exit_code = std::max(exit_code, ExitCode(climbed.verdict));
  return exit_code;
}

std::string PrintHtml(const std::vector<LadderClimb>& climbs) {
  std::vector<HtmlClimb> pages;
  for (const LadderClimb& climb : climbs) {
    pages.push_back(HtmlClimbOf(climb));
    pages.back().ids = climb.ids;
  }
  return HtmlReport(pages);
}

std::string PrintText(const LadderCommand& command, const LadderClimb& climbed, bool color) {
  const std::optional<Explanation>& why = climbed.explanation;
  const bool named = why && !why->diagnosis.causes.empty();
  std::string out;
  if (command.format == "markdown") {
    out = MarkdownReport(climbed.verdict, !named) + (why ? ExplanationMarkdown(*why) : "");
  } else {
    out = TextReport(climbed.verdict, {.color = color, .verbose = command.verbose, .usual_causes = !named});
    if (why) out += "\n" + ExplanationText(*why, color);
  }
  for (const auto& [what, ids] : climbed.ids)
    out += fmt::format("\n{} ({}): [{}]\n", what, ids.size(), fmt::join(ids, ", "));
  return out;
}

std::string PrintJson(const std::vector<LadderClimb>& climbs) {
  nlohmann::json reports = nlohmann::json::array();
  for (const LadderClimb& climbed : climbs) {
    nlohmann::json report = ClimbJson(climbed);
    for (const auto& [what, ids] : climbed.ids) report["ids"][what] = ids;
    reports.push_back(std::move(report));
  }
  return DumpJson(reports.size() == 1 ? reports[0] : reports);
}

// github, sarif
std::string PrintForCi(const LadderCommand& command, const std::vector<LadderClimb>& climbs) {
  std::vector<CiResult> results;
  for (const LadderClimb& climbed : climbs) {
    const std::vector<CiResult> own = CiResults(climbed.verdict, climbed.explanation ? &*climbed.explanation : nullptr,
                                                PrintText(command, climbed, false));
    results.insert(results.end(), own.begin(), own.end());
  }
  if (command.format == "github") return GithubReport(results);
  return DumpJson(SarifReport(results, ProgramVersion(), WorstExitCode(climbs)));
}

std::string Print(const LadderCommand& command, const std::vector<LadderClimb>& climbs) {
  const std::string& format = command.format;
  if (format == "json") return PrintJson(climbs);
  if (format == "html") return PrintHtml(climbs);
  if (format == "github" || format == "sarif") return PrintForCi(command, climbs);
  std::string out = format == "csv" ? CsvHeader() : "";
  for (const LadderClimb& climbed : climbs) {
    if (format == "csv") {
      out += CsvRows(climbed.verdict);
    } else if (format == "jsonl") {
      out += JsonLines(climbed.verdict);
    } else {
      out += (out.empty() ? "" : "\n") + PrintText(command, climbed, ColorWanted());
    }
  }
  return out;
}

// llama.cpp and its forks.
bool HasRunner(const std::string& spec) {
  const std::span<const EngineRow> engines = ReferenceEngines();
  return std::any_of(engines.begin(), engines.end(),
                     [&spec](const EngineRow& row) { return row.name == spec && !row.runner.program.empty(); });
}

int Run(const LadderCommand& command) {
  command.prompt.run.ApplyTimeout();
  const bool against_itself = !command.baseline.empty();
  command.profile.Load("strict");  // a mistake in a threshold is said before an engine runs
  command.shown.Required();
  Request request = command.prompt.MakeRequest();
  request.positions = command.positions;
  request.max_tokens = command.max_tokens;
  request.trace = command.trace;
  request.raw_tensors = command.dump_raw;
  if (HasRunner(command.candidate) || (!against_itself && HasRunner(command.reference))) {
    GiveIdsWithoutVocabulary(request);
  }

  CheckKeep(command, request);

  Comparison comparison(command.candidate, against_itself ? command.baseline : command.reference, "",
                        command.shown.engine);
  comparison.baseline = against_itself;
  comparison.cut_padded_head = command.shown.cut_padded_head;
  if (!command.candidate_model.empty()) {
    Progress progress;
    comparison.progress = [&progress](const std::string& what) { progress.Show(what); };
    comparison.UseCandidateModel(command.candidate_model, request.model);
  }
  std::vector<LadderClimb> climbs;
  for (const Schedule schedule : SchedulesOf(command.schedule)) {
    request.schedule = schedule;
    if (const std::optional<RungResult> problem = comparison.Probe()) {
      LadderClimb& refused = climbs.emplace_back();
      refused.verdict = Refuse(Status::kFail, problem->message, request, command.profile.Load("strict"));
      refused.verdict.rungs.front().explains_itself = true;  // it names the remedy
    } else {
      climbs.push_back(ClimbLadder(command, comparison, request));
    }
  }
  if (!against_itself && command.candidate == command.reference && command.candidate_model.empty()) {
    for (LadderClimb& climbed : climbs) {
      climbed.verdict.notes.push_back(fmt::format(
          "both sides are {}: this tells only whether it answers twice alike; name another engine by --candidate or "
          "--reference",
          command.candidate));
    }
  }
  if (!command.receipt.empty()) {
    std::vector<nlohmann::json> runs;
    for (const LadderClimb& climbed : climbs) {
      runs.push_back(RunOfReceipt(climbed.verdict, climbed.captures ? &*climbed.captures : nullptr));
    }
    WriteReceipt(command.receipt, "ladder", std::move(runs));
  }
  fmt::print("{}", Print(command, climbs));
  return WorstExitCode(climbs);
}

}  // namespace

void AddLadderCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<LadderCommand>();
  Options options(app, "ladder", "Compare two engines on one model and one prompt, stage by stage");
  options.Alias("crossval-per-token");
  command->prompt.AddTo(options);
  AddCandidateOption(options, command->candidate);
  AddReferenceOption(options, command->reference);
  options.Add("--baseline", command->baseline,
              "the candidate's previous build, in place of a reference: profile exact, and the first operation that "
              "changed",
              {.excludes = "--reference"});
  options.Add("--candidate-model", command->candidate_model,
              "the candidate's own file of the model; without it both engines read --model");
  options.Add("--stage", command->rung, "stop after this stage", {.words = RungNames()});
  options.Add("--positions", command->positions, "compare the first N prompt positions; 0: all",
              {.at_least = 0, .show_default = false});
  options.Add("--max-tokens", command->max_tokens, "greedy tokens to generate", {.at_least = 0});
  AddScheduleOption(options, command->schedule, /*both=*/true);
  AddFormatOption(options, command->format, {"text", "json", "markdown", "html", "github", "sarif", "csv", "jsonl"});
  options.Flag("--dump-ids", command->dump_ids, "print the candidate's token ids");
  options.Flag("--dump-ref-ids,--dump-cpp-ids", command->dump_ref_ids, "print the reference's token ids");
  options.Flag("--noise", command->noise, "measure the reference's noise floor too, and set the limits beside it");
  options.Flag("--no-explanation", command->no_explanation,
               "the verdict alone: engines are not run again to find where and why they part");
  AddKnownFaultsOption(options, command->accept_known_faults);
  options.Flag("--verbose", command->verbose, "every metric at every position with its token, and the sizes");
  options.Add("--keep", command->keep, "directory for both captures; --reference recorded:DIR reads them again");
  options.Add("--trace", command->trace, "with --keep: none, core, full or a selection, of both engines");
  options.Flag("--dump-raw", command->dump_raw, "with --keep: traced tensors as .npy too");
  AddReceiptOption(options, command->receipt);
  AddProfileOptions(options, command->profile);
  command->shown.AddTo(options);
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
