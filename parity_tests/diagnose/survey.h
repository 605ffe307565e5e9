// Everything that an engine left behind, once: each operation on the engine's own inputs, its habits set apart from
// what is wrong, several faults at once.
//
//   Survey survey = SurveyCapture(own, capture);
//   for (const SurveyFinding& f : survey.findings) ... f.where, f.causes ...
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_SURVEY_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_SURVEY_H_

#include <functional>
#include <string>

#include "parity_tests/findings/survey.h"
#include "parity_tests/locate/guilty.h"
#include "reference/capture/capture.h"

namespace parity {

// `own.model` must be set; the capture has raw tensors, of every operation or of some. Throws std::runtime_error where
// it is of another model or has none.
Survey SurveyCapture(const OwnModel& own, const Capture& capture,
                     const std::function<void(const std::string&)>& progress = nullptr, size_t threads = 1);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_SURVEY_H_
