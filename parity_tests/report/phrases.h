// Phrases that several formats share.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_PHRASES_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_PHRASES_H_

#include <string>

#include "parity_tests/findings/verdict.h"

namespace parity {

// "native v0.1 (AVX3_DL)"
std::string DescribeBackend(const BackendInfo& backend);

// "PARITY", "PARITY up to shapes", "PARITY, limited coverage", "DIVERGENCE at positions: the candidate is at fault",
// "SKIPPED", "ERROR at preflight", "ERROR: coverage"
std::string Headline(const Verdict& verdict);

// "judged: decode; not judged: tokens, shapes"; "" where every stage that was reached was judged in full.
std::string DescribeCoverage(const Verdict& verdict);

// Why the coverage makes it an error: a stage that was required and not judged; "" where it does not.
std::string CoverageProblem(const Verdict& verdict);

// "strict", "strict with positions.mse=1e-5"
std::string DescribeProfile(const Profile& profile);

// The position that the rung's message is about: `position 4, token 30 " begin"`.
std::string DescribePosition(const RungResult& result);

// What was compared, or why nothing or not all was.
std::string WhatWasCompared(const RungResult& result);

// Text inside a cell of a Markdown table: no bar, no line break, no markup; bytes that are no UTF-8 are shown as such.
std::string MarkdownCell(const std::string& text);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_PHRASES_H_
