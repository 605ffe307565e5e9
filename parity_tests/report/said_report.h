// What each engine said, side by side, and token by token where they part.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_SAID_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_SAID_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "parity_tests/findings/said.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

// Two engines, and what they are called.
struct SaidSides {
  std::string name_a, name_b;
  const Said* a = nullptr;
  const Said* b = nullptr;
  bool compared = true;  // false: the ladder stopped before it compared what they said
  bool same = false;     // by the judge; else by what they said
};
SaidSides SaidSidesOf(const Verdict& verdict);

// All give "" (JSON: null) where neither said anything.
std::string SaidText(const SaidSides& sides, bool color);
std::string SaidMarkdown(const SaidSides& sides);
std::string SaidHtml(const SaidSides& sides);
// {"a": {"text", "ids", "pieces"}, "b": ..., "part_at", "part_at_byte"} with the keys given for the two sides.
nlohmann::json SaidJson(const SaidSides& sides, const std::string& key_a, const std::string& key_b);

// "both say the same: ...", or where they part; a sentence.
std::string SaidInWords(const SaidSides& sides);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_SAID_REPORT_H_
