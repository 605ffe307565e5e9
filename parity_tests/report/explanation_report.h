// Where two engines part, and the causes: what follows the ladder's verdict.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_EXPLANATION_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_EXPLANATION_REPORT_H_

#include <string>
#include <vector>

#include "parity_tests/findings/explanation.h"

namespace parity {

std::vector<std::string> WhereLines(const Explanation& explanation);  // without a heading
std::string ExplanationText(const Explanation& explanation, bool color);
std::string ExplanationMarkdown(const Explanation& explanation);

std::string CausesText(const Diagnosis& diagnosis, bool color);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_EXPLANATION_REPORT_H_
