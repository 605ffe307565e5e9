// A noise floor.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_NOISE_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_NOISE_REPORT_H_

#include <string>

#include "parity_tests/findings/noise.h"

namespace parity {

std::string NoiseText(const NoiseFloor& floor);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_NOISE_REPORT_H_
