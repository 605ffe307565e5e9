#include "parity_tests/diagnose/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "parity_tests/diagnose/diagnosis.h"
#include "parity_tests/search/search.h"

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

// A search by logits ends here; a large model needs the rest of the time for its layers one by one (`whatbug`).
constexpr double kSearchSeconds = 60;

bool IsDecode(const Verdict& verdict) { return verdict.failed_rung() == Rung::kDecode; }

bool HasRawTensors(const Capture& capture) {
  return std::any_of(capture.traces.begin(), capture.traces.end(),
                     [](const TraceRecord& r) { return !r.tensor_file.empty(); });
}

// Where an engine shows no tensors, its logits are all there is: the mistake with which the whole forward pass gives
// them. Says in `explanation` what it found.
void SearchByLogits(const Request& request, const Capture& candidate, const OwnModel& own, const BisectOptions& options,
                    Explanation& explanation) {
  const SearchResult found = Search({.model = own.model,
                                     .order = own.order,
                                     .tokens = {.request = request, .right = candidate.tokens},
                                     .threads = static_cast<size_t>(request.threads),
                                     .budget_seconds = kSearchSeconds,
                                     .progress = options.progress})
                                 .ByLogits(candidate.logits);
  explanation.not_diagnosed.clear();
  if (!found.certainty) {
    explanation.not_diagnosed = fmt::format(
        "the candidate left no tensors (honour trace and raw_tensors), and by its logits alone: {}", found.verdict);
    return;
  }
  for (const HypothesisResult& r : found.best) {
    const bool first = &r == &found.best[0];
    if (!first && *found.certainty != Certainty::kPossible) break;
    explanation.diagnosis.causes.push_back(
        {.id = r.id,
         .certainty = first ? *found.certainty : Certainty::kPossible,
         .evidence = first ? fmt::format("the whole forward pass, by the logits alone: {}", found.verdict)
                           : fmt::format("{}, {}: {:.3g} of the distance is left", r.how, r.where, r.distance),
         .what = r.what,
         .remedy = r.remedy});
  }
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
      try {
        if (own.model != nullptr && !IsDecode(verdict)) {
          SearchByLogits(request, captures.candidate, own, options, explanation);
        }
      } catch (const std::exception& error) {
        explanation.not_diagnosed += fmt::format("; its logits alone: {}", error.what());
      }
    }
    if (own.model == nullptr) explanation.not_diagnosed = "the native engine cannot read the model";
  }
  return explanation;
}

}  // namespace parity
