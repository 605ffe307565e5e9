// Differences of two traces (parity_tests/findings/trace_diff.h).
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_TRACE_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_TRACE_REPORT_H_

#include <string>

#include "parity_tests/findings/trace_diff.h"

namespace parity {

struct TraceTextOptions {
  bool color = false;
  size_t rows = 20;  // of tensors that differ; 0: every tensor, the equal ones too
};

// The first divergence first, then a table of the tensors that differ.
std::string TraceDiffText(const TraceDiff& diff, const TraceTextOptions& options);

// One page: a map of stages and layers, the RMS of both sides along the layers, the tensors that differ, the texts.
std::string TraceDiffHtml(const TraceDiff& diff);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_TRACE_REPORT_H_
