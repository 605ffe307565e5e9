#include "parity_tests/cli/climb.h"

#include <nlohmann/json.hpp>

#include "parity_tests/cli/common.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/json_report.h"

namespace parity {

Climbed ClimbOnce(Comparison& comparison, const Request& request, const ClimbOptions& options) {
  Progress progress;
  comparison.progress = [&progress](const std::string& what) { progress.Show(what); };
  Climbed climbed = comparison.Climb(request, options);
  comparison.progress = nullptr;
  if (climbed.captures && !request.token_ids && request.prompt.empty()) {
    climbed.verdict.notes.push_back("the prompt is empty: nothing but the template and BOS was compared");
  }
  return climbed;
}

HtmlClimb HtmlClimbOf(const Climbed& climbed) {
  return {.verdict = &climbed.verdict,
          .explanation = climbed.explanation ? &*climbed.explanation : nullptr,
          .captures = climbed.captures ? &*climbed.captures : nullptr,
          .piece_of = climbed.captures ? PieceLookup(climbed.verdict.request) : nullptr};
}

nlohmann::json ClimbJson(const Climbed& climbed) {
  nlohmann::json json = JsonReport(climbed.verdict);
  if (climbed.explanation) json["explanation"] = ExplanationJson(*climbed.explanation);
  return json;
}

}  // namespace parity
