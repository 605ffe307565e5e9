// Numbers as reports write them.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_NUMBERS_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_NUMBERS_H_

#include <string>

#include "parity_tests/findings/verdict.h"

namespace parity {

// Distances with three significant digits ("0", "3.12e-06"); cosine and shares below 1 are never rounded up
// to it: "0.999870", and nearer than six decimals show "1-1.1e-15".
std::string FormatMetric(Metric metric, double value);

// "100 %", "99.98 %"; never rounded up to 100 %.
std::string FormatShare(double share);

// "<= 1e-06" or ">= 0.999".
std::string FormatLimit(const Check& check);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_NUMBERS_H_
