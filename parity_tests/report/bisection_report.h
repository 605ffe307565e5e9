// A bisection.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_BISECTION_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_BISECTION_REPORT_H_

#include <string>

#include "parity_tests/findings/bisection.h"

namespace parity {

std::string BisectionText(const Bisection& bisection, bool color);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_BISECTION_REPORT_H_
