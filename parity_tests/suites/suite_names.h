// Names of the GoogleTest suites, one a stage.
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_NAMES_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_NAMES_H_

#include <array>
#include <string_view>

#include "parity_tests/compare/ladder.h"

namespace parity {

// "Preflight", "Tokens", "Shapes", "FirstLogit", "Positions", "Decode".
inline std::string_view SuiteName(Stage stage) {
  constexpr std::array<std::string_view, kStages.size()> kNames = {"Preflight",  "Tokens",    "Shapes",
                                                                   "FirstLogit", "Positions", "Decode"};
  return kNames[static_cast<size_t>(stage)];
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_SUITE_NAMES_H_
