// A noise floor, for people and for programs.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_NOISE_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_NOISE_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "parity_tests/findings/noise.h"

namespace parity {

std::string NoiseText(const NoiseFloor& floor);
nlohmann::json NoiseJson(const NoiseFloor& floor);  // schema "bitnet-parity/noise/1"

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_NOISE_REPORT_H_
