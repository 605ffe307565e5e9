// Replay, bisection, explanation and noise floor, for people and for programs.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_INSIGHT_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_INSIGHT_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/noise.h"

namespace parity {

// A replay and what it was of.
struct ReplayReport {
  BackendInfo reference;
  ModelInfo model;
  std::string schedule;
  std::string order;           // of our operations
  bool order_is_known = true;  // that of the reference's build; then every operation must be exact
  std::vector<ReplayResult> results;
};

// An operation fails: it is guilty, or not exact although the reference's order is known, or was not traced.
bool ReplayFails(const ReplayReport& report, const ReplayResult& result);

// A line for each operation over all layers; the layers of those that are not exact.
std::string ReplayText(const ReplayReport& report, bool color);
nlohmann::json ReplayJson(const ReplayReport& report);  // schema "bitnet-parity/replay/1"

std::string BisectionText(const Bisection& bisection, bool color);
nlohmann::json BisectionJson(const Bisection& bisection);  // schema "bitnet-parity/bisect/1"

// Where the engines part, and the causes; what follows the ladder's verdict.
std::vector<std::string> WhereLines(const Explanation& explanation);  // without a heading
std::string ExplanationText(const Explanation& explanation, bool color);
std::string CausesText(const Diagnosis& diagnosis, bool color);
nlohmann::json CausesJson(const Diagnosis& diagnosis);
std::string ExplanationMarkdown(const Explanation& explanation);
nlohmann::json ExplanationJson(const Explanation& explanation);  // position, layer, stage, causes, bisection

std::string NoiseText(const NoiseFloor& floor);
nlohmann::json NoiseJson(const NoiseFloor& floor);  // schema "bitnet-parity/noise/1"

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_INSIGHT_REPORT_H_
