// A bisection, for people and for programs.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_BISECTION_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_BISECTION_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "parity_tests/findings/bisection.h"

namespace parity {

std::string BisectionText(const Bisection& bisection, bool color);
nlohmann::json BisectionJson(const Bisection& bisection);  // schema "bitnet-parity/bisect/1"

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_BISECTION_REPORT_H_
