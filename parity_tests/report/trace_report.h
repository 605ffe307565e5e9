// Differences of two traces (parity_tests/findings/trace_diff.h), for people and for programs.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_TRACE_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_TRACE_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "parity_tests/findings/trace_diff.h"

namespace parity {

struct TraceTextOptions {
  bool color = false;
  size_t rows = 20;  // of tensors that differ; 0: all
};

// The first divergence first, then a table of the tensors that differ.
std::string TraceDiffText(const TraceDiff& diff, const TraceTextOptions& options);

// Schema "bitnet-parity/trace-diff/1"; `tensors`: all of them, in the order of the computation.
nlohmann::json TraceDiffJson(const TraceDiff& diff);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_TRACE_REPORT_H_
