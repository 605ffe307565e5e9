#include "parity_tests/cli/run_cases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/console.h"
#include "parity_tests/cli/receipts.h"
#include "parity_tests/harness/isolate.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/run_folder.h"
#include "parity_tests/report/case_report.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/report.h"
#include "reference/capture/hash.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/trace_selection.h"
#include "reference/capture/whole_file.h"
#include "reference/engines/machine.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

// What a case came to before the search for a cause began.
constexpr const char* kUnexplained = "unexplained.json";

// `text` with one name for the temporary folders of a case, so that two runs give the same bytes.
std::string Steady(std::string text) {
  const char* scratch = std::getenv("TMPDIR");
  if (scratch == nullptr || *scratch == '\0') return text;
  const std::string random = fmt::format("{}/bitnet-parity-", scratch);
  constexpr size_t kRandom = 6;  // characters that mkdtemp chooses
  for (size_t at = text.find(random); at != std::string::npos; at = text.find(random, at)) {
    text.replace(at, std::min(random.size() + kRandom, text.size() - at), "TMPDIR");
  }
  return text;
}

// A case's part of a receipt, with times: the one file of a case that differs from run to run, beside the captures.
constexpr const char* kReceipt = "receipt.json";

// True for an engine of the registry that may not be installed; what a user named by a path or a command is there, or
// it is a mistake.
bool MayBeAbsent(const std::string& spec) {
  const auto rows = Engines();
  return !IsRequired(spec) && std::any_of(rows.begin(), rows.end(), [&spec](const EngineRow& row) {
    return row.name == spec && !row.runner.program.empty();
  });
}

// Runs cases that are chosen and checked.
class CaseRunner {
 public:
  CaseRunner(const CasesRun& run, const CasesOptions& options, RunFolder& folder)
      : run_(run),
        accept_known_faults_(options.accept_known_faults),
        folder_(folder),
        limit_(options.timeout_seconds > 0 ? std::chrono::seconds(options.timeout_seconds) : TimeLimit()) {}

  // Throws what is wrong with an engine. True where the candidate runs alone.
  bool Prepare(const RunCase& c) {
    Engine& engine = EngineOf(c);
    if (engine.comparison != nullptr) return !engine.absent.empty();
    engine.comparison = std::make_unique<Comparison>(run_.candidate, c.reference_spec, run_.store, run_.engine);
    engine.comparison->cut_padded_head = run_.cut_padded_head;
    Comparison& comparison = *engine.comparison;
    if (const std::optional<RungResult> problem = comparison.Probe()) {
      const bool reference = !comparison.reference().Probe().available;
      if (!reference || !run_.candidate_only || !MayBeAbsent(c.reference_spec)) {
        throw std::runtime_error(problem->message);
      }
      engine.absent = problem->message;
    }
    const auto hash = [this](const std::string& path) { return Hash(path); };
    engine.identity = comparison.candidate().Identity(hash);
    if (engine.absent.empty()) engine.identity += "\n" + comparison.reference().Identity(hash);
    engine.identity = HashText(engine.identity);
    return !engine.absent.empty();
  }

  // Why the candidate runs alone; empty where it does not.
  const std::string& Absence(const RunCase& c) { return EngineOf(c).absent; }

  bool IsDone(const RunCase& c) { return folder_.Find(c.planned, EngineOf(c).identity).has_value(); }

  void Run(const RunCase& c, const Say& said) {
    const std::string directory = folder_.CaseDirectory(c.planned.names.id);
    fs::remove_all(directory);
    fs::create_directories(directory);
    Preload(c);
    const Isolated end = RunIsolated(
        limit_, [&](const Say& say) { Climb(c, say); }, said);
    if (folder_.Find(c.planned)) return;
    if (fs::exists(directory + "/" + kUnexplained)) {
      CaseResult result = ReadCaseResult(directory + "/" + kUnexplained);
      result.notes.push_back(fmt::format("the search for where and why {}", end.Describe()));
      Publish(result);
      return;
    }
    Climbed climbed;
    climbed.verdict = Refuse(Status::kFail, end.ok() ? "ended without a result" : "the case " + end.Describe(),
                             c.request, run_.profile.Load(c.profile));
    Keep(c, climbed, /*whole=*/true);
  }

  std::string Hash(const std::string& path) {
    std::string& hash = hashes_[path];
    if (hash.empty()) hash = HashFile(path);
    return hash;
  }

 private:
  struct Engine {
    std::unique_ptr<Comparison> comparison;
    std::string absent;
    std::string identity;
  };
  Engine& EngineOf(const RunCase& c) { return engines_[c.reference_spec]; }

  // What the processes of all cases share: the model, read and hashed.
  void Preload(const RunCase& c) const {
    if (!run_.candidate.starts_with("native")) return;
    try {
      LoadModel(SourceOf(c.request));
    } catch (const std::exception&) {
      // The case says what is wrong with it.
    }
  }

  // In the case's own process.
  void Climb(const RunCase& c, const Say& say) {
    const Engine& engine = EngineOf(c);
    Comparison& comparison = *engine.comparison;
    if (!engine.absent.empty()) {
      say(fmt::format("running {} alone", run_.candidate));
      return KeepCandidate(c, comparison.candidate().Run(c.request));
    }
    comparison.progress = say;
    Climbed climbed = comparison.Climb(c.request, {.profile = run_.profile,
                                                   .expected = c.profile,
                                                   .elsewhere = c.profile_elsewhere,
                                                   .required = run_.required,
                                                   .accept_known_faults = accept_known_faults_});
    if (climbed.not_supported && !c.not_supported.empty()) {
      climbed = {};
      climbed.verdict = Refuse(Status::kSkip, c.not_supported, c.request, run_.profile.Load(c.profile));
    } else if (climbed.captures && !c.request.token_ids && c.request.prompt.empty()) {
      climbed.verdict.notes.push_back("the prompt is empty: nothing but the template and BOS was compared");
    }
    if (run_.explain && climbed.captures) {
      Keep(c, climbed, /*whole=*/false);
      comparison.AddExplanation(c.request, climbed);
    }
    Keep(c, climbed, /*whole=*/true);
  }

  void KeepCandidate(const RunCase& c, const Capture& candidate) {
    const std::string directory = folder_.CaseDirectory(c.planned.names.id);
    if (run_.keep_captures) WriteCapture(candidate, directory + "/candidate");
    Verdict alone = Refuse(Status::kSkip, EngineOf(c).absent, c.request, run_.profile.Load(c.profile));
    alone.candidate = candidate.backend;
    alone.model = candidate.model;
    const Captures captures = {candidate, {}};
    WriteWhole(directory + "/" + kReceipt, Steady(DumpJson(RunOfReceipt(alone, &captures))));
    CaseResult result = CandidateOnly(c.planned.names, candidate, run_.profile.Load(c.profile));
    Complete(c, result);
    KeepTexts(result, CaseText(result));
    Publish(result);
  }

  // The files of one climb. Not `whole`: the search for where and why is still to come.
  void Keep(const RunCase& c, const Climbed& climbed, bool whole) {
    const std::string directory = folder_.CaseDirectory(c.planned.names.id);
    const std::optional<Explanation>& why = climbed.explanation;
    CaseResult result = MakeCaseResult(c.planned.names, climbed.verdict,
                                       climbed.captures ? &*climbed.captures : nullptr, why ? &*why : nullptr);
    Complete(c, result);
    if (run_.keep_captures && climbed.captures && !fs::exists(directory + "/candidate")) {
      WriteCapture(climbed.captures->candidate, directory + "/candidate");
      WriteCapture(climbed.captures->reference, directory + "/reference");
    }
    KeepTexts(result, CaseText(result) + "\n" + TextReport(climbed.verdict, {.verbose = true}) +
                          (why ? "\n" + ExplanationText(*why, /*color=*/false) : ""));
    WriteWhole(directory + "/verdict.json", Steady(DumpJson(ClimbJson(climbed))));
    const HtmlClimb page = HtmlClimbOf(climbed);
    WriteWhole(directory + "/report.html", Steady(HtmlReport({&page, 1})));
    WriteWhole(directory + "/" + kReceipt,
               Steady(DumpJson(RunOfReceipt(climbed.verdict, climbed.captures ? &*climbed.captures : nullptr))));
    if (!whole) return WriteWhole(directory + "/" + kUnexplained, DumpJson(ToJson(result)));
    Publish(result);
  }

  void KeepTexts(const CaseResult& result, const std::string& report) const {
    const std::string directory = folder_.CaseDirectory(result.names.id);
    WriteWhole(directory + "/report.txt", Steady(report));
    for (const auto& [name, side] :
         {std::pair("/candidate.txt", &result.candidate), {"/reference.txt", &result.reference}}) {
      if (!side->backend.name.empty()) WriteWhole(directory + name, side->Text());
    }
  }

  // What the result depends on beside the verdict.
  void Complete(const RunCase& c, CaseResult& result) {
    result.content = c.planned.content;
    result.engines = EngineOf(c).identity;
    if (result.model_blake3.empty()) result.model_blake3 = c.planned.model_blake3;
    result.message = Steady(result.message);
    for (std::vector<std::string>* lines : {&result.notes, &result.where, &result.causes}) {
      for (std::string& line : *lines) line = Steady(line);
    }
    result.cpu = ThisMachine().cpu;
    result.libc = ThisMachine().libc;
  }

  void Publish(const CaseResult& result) const {
    folder_.Publish(result);
    fs::remove(folder_.CaseDirectory(result.names.id) + "/" + kUnexplained);
  }

  const CasesRun& run_;
  bool accept_known_faults_;
  RunFolder& folder_;
  std::chrono::seconds limit_;
  std::map<std::string, Engine> engines_;      // by the reference's spec
  std::map<std::string, std::string> hashes_;  // of files
};

// What judges, for the plan: two runs with other limits are not one.
std::string LimitsOf(const ProfileChoice& choice) {
  std::string text = fmt::format("{}", fmt::join(choice.thresholds, ","));
  if (choice.cos_tol) text += fmt::format(" cosine {}", *choice.cos_tol);
  if (!choice.file.empty()) text += " file " + HashFile(choice.file);
  return fmt::format("{}{}{}", choice.name.empty() ? "default" : choice.name, text.empty() ? "" : " ", text);
}

RunPlan PlanOf(const CasesRun& run, bool accept_known_faults) {
  RunPlan plan = {.command = run.command, .candidate = run.candidate, .limits = LimitsOf(run.profile)};
  if (accept_known_faults) plan.limits += " beside known faults";
  for (const Rung rung : run.required) plan.limits += fmt::format(" requires {}", RungName(rung));
  for (const RunCase& c : run.cases) plan.cases.push_back(c.planned);
  return plan;
}

void CheckRequests(const std::vector<RunCase>& cases) {
  std::set<std::string> models, ids;
  for (const RunCase& c : cases) {
    const std::string& id = c.planned.names.id;
    if (id.find('/') != std::string::npos || id.starts_with('.') || id.starts_with("summary.") || id == "run.json") {
      throw std::runtime_error(
          fmt::format("case '{}': found an id that cannot be the name of its folder; rename the prompt", id));
    }
    if (!ids.insert(id).second) {
      throw std::runtime_error(fmt::format("case '{}': found two of that name; rename a prompt or a model", id));
    }
    TraceSelection selection(c.request.trace);
    if (models.insert(c.request.model).second) OpenModel(SourceOf(c.request));
  }
}

}  // namespace

void CasesOptions::AddTo(Options& options) {
  options.Add("--case", only, "only these cases, by their id (--list-cases)");
  options.Add("--shard", shard, "only the i-th of n shares of the cases, as 2/3; the cases of one model stay together");
  options.Add("--list-cases", list, "print the cases and run none: jsonl, or github for the matrix of a workflow",
              {.words = {"jsonl", "github"}, .without_value = "jsonl"});
  options.Flag("--resume", resume, "run only the cases that --out holds no result of, from the same files and engines");
  options.Add("--scenario-timeout", timeout_seconds,
              "seconds that one case may take, all runs of both engines together (180)",
              {.range = {{1, 86400}}, .show_default = false});
  AddReceiptOption(options, receipt);
  AddKnownFaultsOption(options, accept_known_faults);
}

std::vector<RunCase> ChosenCases(const std::vector<RunCase>& cases, const CasesOptions& options) {
  std::vector<RunCase> chosen = options.shard.empty() ? cases : ShareOf(cases, ParseShard(options.shard));
  if (options.only.empty()) return chosen;
  for (const std::string& id : options.only) {
    if (std::none_of(cases.begin(), cases.end(), [&id](const RunCase& c) { return c.planned.names.id == id; })) {
      throw std::runtime_error(fmt::format("--case: '{}' is no case of this run; --list-cases prints them", id));
    }
  }
  std::erase_if(chosen, [&](const RunCase& c) {
    return std::find(options.only.begin(), options.only.end(), c.planned.names.id) == options.only.end();
  });
  return chosen;
}

std::string ListOfCases(const std::vector<RunCase>& cases, const std::string& format) {
  std::string lines;
  nlohmann::json include = nlohmann::json::array();
  for (const RunCase& c : cases) {
    const CaseNames& n = c.planned.names;
    const nlohmann::json entry = {{"id", n.id},         {"reference", n.reference}, {"model", n.model},
                                  {"prompt", n.prompt}, {"schedule", n.schedule},   {"weight", WeightOf(c)}};
    lines += entry.dump() + "\n";
    include.push_back(entry);
  }
  return format == "github" ? nlohmann::json{{"include", include}}.dump() + "\n" : lines;
}

void WriteSummaries(RunFolder& folder) {
  // Who finishes a case while this writes may have written before: then it is written again.
  for (size_t before = 0, first = 1; first || before != folder.Results().size(); first = 0) {
    const RunReport report = {folder.plan(), folder.Results()};
    before = report.results.size();
    const std::string& directory = folder.directory();
    WriteWhole(directory + "/summary.md", RunMarkdown(report));
    WriteWhole(directory + "/summary.json", DumpJson(RunJson(report)));
    WriteWhole(directory + "/summary.html", RunHtml(report));
    WriteWhole(directory + "/junit.xml", RunJunit(report));
  }
}

RunReport RunCases(CasesRun run, const CasesOptions& options) {
  std::map<std::string, std::string> hashes;
  const auto hash = [&hashes](const std::string& path) {
    std::string& known = hashes[path];
    if (known.empty()) known = HashFile(path);
    return known;
  };
  CheckRequests(run.cases);
  for (RunCase& c : run.cases) {
    AddContent(c, hash);
    c.planned.content = HashText(fmt::format("{} {} {}", c.planned.content, c.profile, c.profile_elsewhere));
  }
  const std::vector<RunCase> chosen = ChosenCases(run.cases, options);
  if (options.resume && run.out.empty()) throw std::runtime_error("--resume: needs --out, the folder to go on in");

  std::optional<TemporaryDirectory> scratch;
  if (run.out.empty()) scratch.emplace();
  RunFolder folder(scratch ? scratch->path() : run.out, PlanOf(run, options.accept_known_faults));
  CaseRunner runner(run, options, folder);
  std::string absence;
  for (const RunCase& c : chosen) {
    if (runner.Prepare(c)) absence = runner.Absence(c);
  }
  std::vector<PlannedCase> planned;
  for (const RunCase& c : chosen) planned.push_back(c.planned);
  folder.Open(options.resume, planned);
  if (!absence.empty()) Note(fmt::format("candidate only, nothing is compared: {}", absence));
  if (chosen.empty()) Note(fmt::format("--shard: {} has no case of {}", options.shard, run.cases.size()));

  Progress progress;
  size_t done = 0;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const std::string name = fmt::format("[{}/{}] {}", i + 1, chosen.size(), chosen[i].planned.names.id);
    progress.Show(name);
    if (options.resume && runner.IsDone(chosen[i])) {
      ++done;
      continue;
    }
    runner.Run(chosen[i], [&](const std::string& what) { progress.Show(name + ": " + what); });
    if (!run.out.empty()) WriteSummaries(folder);
  }
  progress.Show("");
  if (!run.out.empty()) WriteSummaries(folder);
  if (done > 0) Note(fmt::format("{} of {} cases were done before", done, chosen.size()));
  RunReport report = {folder.plan(), {}};
  report.plan.cases = planned;
  std::vector<nlohmann::json> receipts;
  for (const RunCase& c : chosen) {
    if (std::optional<CaseResult> result = folder.Find(c.planned)) report.results.push_back(std::move(*result));
    receipts.push_back(ReadJsonFile(folder.CaseDirectory(c.planned.names.id) + "/" + kReceipt));
  }
  WriteReceipt(options.receipt, run.command, std::move(receipts));
  return report;
}

}  // namespace parity
