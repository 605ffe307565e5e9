// What matrix and sweep share: many cases, each in a process and a folder of its own, some of them on other machines.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_RUN_CASES_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_RUN_CASES_H_

#include <string>
#include <vector>

#include "parity_tests/cli/options.h"
#include "parity_tests/harness/cases.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/report/run_report.h"

namespace parity {

// Which cases, where, and for how long: --case, --shard, --list-cases, --resume, --scenario-timeout,
// --receipt, --accept-known-faults.
struct CasesOptions {
  std::vector<std::string> only;  // ids; empty: all
  std::string shard;              // "2/3"; empty: all
  std::string list;               // "jsonl", "github"; empty: cases run
  bool resume = false;
  std::string receipt;      // file of the receipt of this run
  int timeout_seconds = 0;  // of one case; 0: CROSSVAL_TIMEOUT_SECS, or 180
  bool accept_known_faults = false;

  void AddTo(Options& options);
};

// Cases of one command, and what it does with them.
struct CasesRun {
  std::string command = {};  // "sweep"
  std::string candidate = {};
  ProfileChoice profile = {};
  std::string store = {};      // of captures that are shared; empty: every run is live
  std::string out = {};        // folder of the results; empty: they are not kept
  bool explain = false;        // where and why the engines part
  bool keep_captures = false;  // in `out`
  EngineOptions engine = {};
  bool cut_padded_head = false;
  std::vector<Rung> required = {};  // stages that must be judged
  bool candidate_only = false;      // what to do where the reference is not installed: run the candidate, or throw
  std::vector<RunCase> cases = {};
};

// The cases that --case and --shard choose. Throws on an id that is none of them.
std::vector<RunCase> ChosenCases(const std::vector<RunCase>& cases, const CasesOptions& options);

// A line of JSON for each case, or ("github") the matrix of a GitHub workflow: fromJSON(...).include.
std::string ListOfCases(const std::vector<RunCase>& cases, const std::string& format);

// Runs the chosen cases and returns what came of them. What is known to be wrong before the first one throws, and
// leaves no folder. The summaries in `out` are true after each case.
RunReport RunCases(CasesRun run, const CasesOptions& options);

// summary.md, summary.json, summary.html and junit.xml of what is in a folder.
class RunFolder;
void WriteSummaries(RunFolder& folder);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_RUN_CASES_H_
