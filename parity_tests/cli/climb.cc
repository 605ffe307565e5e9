#include "parity_tests/cli/climb.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "parity_tests/diagnose/explain.h"
#include "parity_tests/harness/own_model.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/explanation_report.h"

namespace parity {
namespace {

// Where and why, if a stage failed; where the first bit differs, if none did.
std::optional<Explanation> ExplainClimb(Pair& pair, const Request& request, const Captures& captures,
                                        const Verdict& verdict) {
  const bool identical = Figures(verdict).rows() == 0 || Figures(verdict).identical_share() == 1;
  const std::optional<Rung> failed = verdict.failed_rung();
  if (failed == Rung::kPreflight || (!failed && identical)) return std::nullopt;
  Progress progress;
  const HeldModel held = HoldModel(request.model, captures.reference.backend);
  const BisectOptions options{.first_bit = !failed,
                              .progress = [&progress](const std::string& what) { progress.Show(what); }};
  if (failed) return Explain(pair.candidate(), pair.reference(), request, captures, verdict, held.own, options);
  const Verdict exact = Climb(captures.candidate, captures.reference, {.profile = ExactProfile(), .piece_of = {}});
  return Explain(pair.candidate(), pair.reference(), request, captures, exact, held.own, options);
}

Captures RunBoth(Pair& pair, const Request& request) {
  Progress progress;
  pair.progress = [&progress](const std::string& engine) { progress.Show(fmt::format("running {} ...", engine)); };
  try {
    Captures captures = pair.Run(request);
    pair.progress = nullptr;
    return captures;
  } catch (...) {
    pair.progress = nullptr;
    throw;
  }
}

}  // namespace

Verdict Refuse(const std::string& message, const Request& request, const Profile& profile) {
  RungResult preflight;
  preflight.status = Status::kFail;
  preflight.message = message;
  return NotClimbed(std::move(preflight), request, profile);
}

Climbed ClimbOnce(Pair& pair, const Request& request, const ClimbOptions& options) {
  Climbed climbed;
  try {
    climbed.captures = RunBoth(pair, request);
  } catch (const std::exception& error) {
    climbed.verdict = Refuse(error.what(), request, options.profile.Load("strict"));
    return climbed;
  }
  const Captures& captures = *climbed.captures;
  std::string note;
  LadderOptions ladder;
  ladder.profile = options.profile.Load(pair.FairProfile(captures.reference.backend, "strict", "cosine", &note));
  ladder.last = options.last;
  ladder.piece_of = PieceLookup(request);
  climbed.verdict = Climb(captures.candidate, captures.reference, ladder);
  if (!note.empty() && options.profile.name.empty()) climbed.verdict.notes.push_back(note);
  if (!request.token_ids && request.prompt.empty()) {
    climbed.verdict.notes.push_back("the prompt is empty: nothing but the template and BOS was compared");
  }
  if (options.explain) climbed.explanation = ExplainClimb(pair, request, captures, climbed.verdict);
  return climbed;
}

HtmlClimb HtmlClimbOf(const Climbed& climbed) {
  return {.verdict = &climbed.verdict,
          .explanation = climbed.explanation ? &*climbed.explanation : nullptr,
          .captures = climbed.captures ? &*climbed.captures : nullptr,
          .piece_of = climbed.captures ? PieceLookup(climbed.verdict.request) : nullptr};
}

nlohmann::json ClimbJson(const Climbed& climbed) {
  nlohmann::json json = JsonReport(climbed.verdict);
  if (climbed.explanation) json["explanation"] = ExplanationJson(*climbed.explanation);
  return json;
}

}  // namespace parity
