#include "parity_tests/diagnose/explain.h"

#include <algorithm>
#include <exception>
#include <optional>

#include "parity_tests/diagnose/diagnosis.h"

namespace parity {
namespace {

// The captures, or, where only one of them has traces and the other's engine can be asked again, with traces of both.
Captures WithTraces(Backend& candidate, Backend& reference, const Request& request, const Captures& captures) {
  Captures inside = captures;
  const auto fill = [&request](Capture& without, Backend& backend, const Capture& with) {
    if (!without.traces.empty() || with.traces.empty() || !backend.live()) return;
    Request traced = request;
    traced.trace = with.request.trace;
    traced.raw_tensors = with.request.raw_tensors;
    without = backend.Run(traced);
  };
  fill(inside.candidate, candidate, captures.reference);
  fill(inside.reference, reference, captures.candidate);
  return inside;
}

bool HasRawTensors(const Capture& capture) {
  return std::any_of(capture.traces.begin(), capture.traces.end(),
                     [](const TraceRecord& r) { return !r.tensor_file.empty(); });
}

}  // namespace

Explanation Explain(Backend& candidate, Backend& reference, const Request& request, const Captures& captures,
                    const Verdict& verdict, const OwnModel& own, const BisectOptions& options) {
  Explanation explanation;
  DiagnosisInput input{.verdict = &verdict, .captures = &captures, .own = own};
  const bool tokens = verdict.failed_rung() == Rung::kTokens;
  std::optional<Capture> again;
  std::optional<Captures> inside;
  try {
    if (candidate.live() && !tokens) {
      if (options.progress) options.progress("the whole prompt once more: candidate");
      again = candidate.Run(request);
      input.candidate_again = &*again;
    }
    // Other token ids end a bisection before it asks anything.
    if (tokens || (candidate.live() && reference.live())) {
      explanation.bisection = Bisect(candidate, reference, request, captures, verdict, own, options);
      const Bisection& found = *explanation.bisection;
      if (found.inside) input.inside = &*found.inside;
      input.location = found.place;
    } else {
      explanation.not_bisected = "a recorded capture has no answer for a shorter prompt";
      input.inside = &inside.emplace(WithTraces(candidate, reference, request, captures));
    }
  } catch (const std::exception& error) {
    explanation.not_bisected = error.what();
  }
  try {
    explanation.diagnosis = Diagnose(input);
  } catch (const std::exception& error) {
    explanation.not_diagnosed = error.what();
  }
  const Captures& looked_at = input.inside != nullptr ? *input.inside : captures;
  if (explanation.diagnosis.causes.empty() && explanation.not_diagnosed.empty() && !tokens) {
    if (!HasRawTensors(looked_at.candidate)) {
      explanation.not_diagnosed = "the candidate left no tensors to compute from: honour trace and raw_tensors";
    }
    if (own.model == nullptr) explanation.not_diagnosed = "the native engine cannot read the model";
  }
  return explanation;
}

}  // namespace parity
