// What CI systems read: GitHub's workflow commands, SARIF, and rows of figures as CSV or JSON lines (docs/ci.md).
//
//   std::vector<CiResult> results = {CiResultOf(verdict, explanation)};
//   fmt::print("{}", GithubReport(results));
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_CI_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_CI_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/trace_diff.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

enum class CiLevel { kNone, kNote, kWarning, kError };  // kNone: all is well

struct CiResult {
  CiLevel level = CiLevel::kNone;
  std::string
      rule;  // "stage/positions", "cause/rope_base", "trace/q_proj": the same thing has the same rule in each run
  std::string title;    // "DIVERGENCE at positions"
  std::string message;  // sentences, a line each
  std::string file;     // of the model
  std::string place;    // "t4/blk0/q_proj"; "" where it is not known
  std::string report;   // the text report that it is of, for logs
};

// The verdict, then what is known of the cause. `report`: the text.
std::vector<CiResult> CiResults(const Verdict& verdict, const Explanation* explanation, const std::string& report);
std::vector<CiResult> CiResults(const TraceDiff& diff, const std::string& report);

// Workflow commands that annotate a run, and the reports, folded. A line of a report that looks like a command is none.
std::string GithubReport(std::span<const CiResult> results);

// SARIF 2.1.0. `version`: of this program.
nlohmann::json SarifReport(std::span<const CiResult> results, std::string_view version, int exit_code);

// A row for each position of each stage, with a header; text as RFC 4180 quotes it.
std::string CsvHeader();
std::string CsvRows(const Verdict& verdict);
std::string TraceCsv(const TraceDiff& diff);

// One object a line: of each position, each stage, and last the verdict.
std::string JsonLines(const Verdict& verdict);
std::string TraceJsonLines(const TraceDiff& diff);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_CI_REPORT_H_
