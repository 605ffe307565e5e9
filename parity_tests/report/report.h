// A verdict, written for people: text, Markdown, HTML. json_report.h writes it for programs.
//
//   fmt::print("{}", TextReport(verdict, {.color = isatty(1) == 1}));
//
// The verdict comes first, then the first rung that failed with its position, token, metrics and both sides' top-5,
// then what usually causes that and what to do next.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_REPORT_H_

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

struct TextOptions {
  bool color = false;    // ANSI colours
  bool verbose = false;  // every metric at every position
  // What usually causes the failure, and the next step. Not needed if an explanation names the cause.
  bool usual_causes = true;
};

std::string TextReport(const Verdict& verdict, const TextOptions& options);

// One rung alone, as the test suites print it. `candidate`, `reference`: what the report calls the two sides.
std::string RungReport(const RungResult& result, const std::string& candidate, const std::string& reference);

std::string MarkdownReport(const Verdict& verdict, bool usual_causes = true);

// A climb as the HTML page shows it. Null: there is none; without captures the page has no logits and no token texts.
struct HtmlClimb {
  const Verdict* verdict = nullptr;
  const Explanation* explanation = nullptr;
  const Captures* captures = nullptr;
  std::function<std::string(int32_t)> piece_of = {};                   // as in LadderOptions
  std::vector<std::pair<std::string, std::vector<int32_t>>> ids = {};  // lists to print, each with its name
};

// One page for all climbs: no script, nothing loaded from elsewhere, well-formed as XML too. Of each climb the stages,
// where and why it fails, a heatmap of the distances at every position, and both sides' largest logits.
std::string HtmlReport(std::span<const HtmlClimb> climbs);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_REPORT_H_
