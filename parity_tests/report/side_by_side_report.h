// Any number of engines, each beside each.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_SIDE_BY_SIDE_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_SIDE_BY_SIDE_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "parity_tests/findings/side_by_side.h"

namespace parity {

// "all 3 agree in every bit", "C stands alone; A and B agree in every bit", ...
std::string SideBySideHeadline(const SideBySide& all);

std::string SideBySideText(const SideBySide& all, bool color);
std::string SideBySideHtml(const SideBySide& all);     // a page
nlohmann::json SideBySideJson(const SideBySide& all);  // schema "bitnet-parity/compare/1"

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_SIDE_BY_SIDE_REPORT_H_
