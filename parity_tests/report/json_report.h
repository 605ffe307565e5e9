// Findings as JSON, for programs. A number that JSON does not have is a string: "inf", "-inf" or "nan". Bytes in token
// texts that are not UTF-8 become U+FFFD if the object is dumped with error_handler_t::replace.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_JSON_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_JSON_REPORT_H_

#include <nlohmann/json_fwd.hpp>

#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/model_diff.h"
#include "parity_tests/findings/noise.h"
#include "parity_tests/findings/search.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

nlohmann::json JsonReport(const Verdict& verdict);               // schema "bitnet-parity/verdict/1"
nlohmann::json ExplanationJson(const Explanation& explanation);  // position, layer, stage, causes, bisection
nlohmann::json CausesJson(const Diagnosis& diagnosis);
nlohmann::json BisectionJson(const Bisection& bisection);  // schema "bitnet-parity/bisect/1"
nlohmann::json ReplayJson(const ReplayRun& run);           // schema "bitnet-parity/replay/1"
nlohmann::json ModelDiffJson(const ModelDiff& diff);       // schema "bitnet-parity/model-diff/1"
nlohmann::json NoiseJson(const NoiseFloor& floor);         // schema "bitnet-parity/noise/1"
nlohmann::json SearchJson(const SearchResult& result);     // schema "bitnet-parity/search/1"
// Schema "bitnet-parity/trace-diff/1"; `tensors`: all of them, in the order of the computation.
nlohmann::json TraceDiffJson(const TraceDiff& diff);

// A number, or one of these strings.
nlohmann::json JsonNumber(double value);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_JSON_REPORT_H_
