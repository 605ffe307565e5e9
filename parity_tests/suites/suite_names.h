// Names of the GoogleTest suites, one a stage.
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_NAMES_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_NAMES_H_

#include <array>
#include <string_view>

#include "parity_tests/judge/ladder.h"

namespace parity {

// "Preflight", "Tokens", "Shapes", "FirstLogit", "Positions", "Decode".
inline std::string_view SuiteName(Rung rung) {
  constexpr std::array<std::string_view, kRungs.size()> kNames = {"Preflight",  "Tokens",    "Shapes",
                                                                  "FirstLogit", "Positions", "Decode"};
  return kNames[static_cast<size_t>(rung)];
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_NAMES_H_
