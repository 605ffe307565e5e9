// All cases of a matrix or a sweep, written down. The same plan and results give the same bytes.
//
//   RunReport report{plan, results};        // results of cases that are not run yet are missing
//   WriteFile("summary.md", RunMarkdown(report));
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_RUN_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_RUN_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "parity_tests/findings/case_result.h"
#include "parity_tests/report/summary.h"

namespace parity {

struct RunReport {
  RunPlan plan = {};
  std::vector<CaseResult> results = {};  // in the plan's order

  Summary summary() const;
  int exit_code() const;  // of the summary; 0 where no case is planned
};

std::string RunText(const RunReport& report);
std::string RunMarkdown(const RunReport& report);
nlohmann::json RunJson(const RunReport& report);  // schema "bitnet-parity/summary/1", with a line for each case
// JUnit: a suite for each reference and model. Metrics are properties, reports are attachments.
std::string RunJunit(const RunReport& report);
// One page: no script, nothing loaded from elsewhere, well-formed as XML too.
std::string RunHtml(const RunReport& report);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_RUN_REPORT_H_
