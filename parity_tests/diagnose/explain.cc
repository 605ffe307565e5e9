#include "parity_tests/diagnose/explain.h"

#include <algorithm>
#include <exception>

#include "parity_tests/diagnose/diagnosis.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/locate/bisect.h"

namespace parity {
namespace {

// Of the model's file; nothing where our engine cannot read it.
std::optional<bitnet::Model> LoadModel(const std::string& file) {
  try {
    return bitnet::Model::Load(file);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

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

}  // namespace

Explanation Explain(Backend& candidate, Backend& reference, const Request& request, const Captures& captures,
                    const ExplainOptions& options) {
  Explanation explanation;
  const Verdict verdict = Climb(captures.candidate, captures.reference, {.profile = options.profile, .piece_of = {}});
  DiagnosisInput input;
  input.verdict = &verdict;
  input.captures = &captures;
  std::optional<Capture> again;
  Captures inside;
  try {
    if (candidate.live() && verdict.failed_rung() != Rung::kTokens) {
      if (options.progress) options.progress("the whole prompt once more: candidate");
      again = candidate.Run(request);
      input.candidate_again = &*again;
    }
    // Other token ids end a bisection before it asks anything.
    if (verdict.failed_rung() == Rung::kTokens || (candidate.live() && reference.live())) {
      explanation.bisection = Bisect(candidate, reference, request,
                                     {.profile = options.profile,
                                      .whole = &captures,
                                      .first_bit = options.first_bit,
                                      .progress = options.progress});
      const Bisection& found = *explanation.bisection;
      if (found.inside) input.inside = &*found.inside;
      input.location = found.place;
    } else {
      explanation.not_bisected = "a recorded capture has no answer for a shorter prompt";
      inside = WithTraces(candidate, reference, request, captures);
      input.inside = &inside;
    }
  } catch (const std::exception& error) {
    explanation.not_bisected = error.what();
  }
  const std::optional<bitnet::Model> model = LoadModel(request.model);
  if (model) input.model = &*model;
  const std::string order = OrderOf(captures.reference.backend);
  if (!order.empty()) input.order = &bitnet::FindOrder(order);
  try {
    explanation.diagnosis = Diagnose(input);
  } catch (const std::exception& error) {
    explanation.not_diagnosed = error.what();
  }
  const Captures& looked_at = input.inside != nullptr ? *input.inside : captures;
  if (explanation.diagnosis.causes.empty() && explanation.not_diagnosed.empty() &&
      verdict.failed_rung() != Rung::kTokens) {
    const bool raw = std::any_of(looked_at.candidate.traces.begin(), looked_at.candidate.traces.end(),
                                 [](const TraceRecord& r) { return !r.tensor_file.empty(); });
    if (!raw) explanation.not_diagnosed = "the candidate left no tensors to compute from: honour trace and raw_tensors";
    if (!model) explanation.not_diagnosed = "the native engine cannot read the model";
  }
  return explanation;
}

}  // namespace parity
