#include "parity_tests/judge/ladder.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace parity {
namespace {

RungResult NotReached(Rung rung, std::string why) {
  RungResult result;
  result.rung = rung;
  result.status = Status::kNotReached;
  result.message = std::move(why);
  return result;
}

// With the vocabulary's texts where the engine gave none.
Said WhatWasSaid(const Capture& capture, const LadderOptions& options) {
  Said said = SaidIn(capture);
  for (size_t i = 0; i < said.ids.size(); ++i) {
    if (said.pieces[i].empty()) said.pieces[i] = PieceOf(said.ids[i], capture, capture, options);
  }
  return said;
}

// "tokens", "logits", ...: of an adapter's capture all parts.
std::vector<std::string> ShownWords(const Capture& capture) {
  std::vector<std::string> words;
  for (const ShownPart& part : kShownParts) {
    if (capture.shown.*part.shown) words.emplace_back(part.name);
  }
  if (!capture.top_logprobs.empty()) words.emplace_back("top_logprobs");
  return words;
}

}  // namespace

std::string_view ScheduleName(Schedule schedule) { return schedule == Schedule::kBatch ? "batch" : "token"; }

RungResult JudgeRung(Rung rung, const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  const RungInfo& info = InfoOf(rung);
  for (const auto& [capture, side] : {std::pair(&candidate, "candidate"), std::pair(&reference, "reference")}) {
    const std::string_view lacks = info.not_shown(*capture);
    if (lacks.empty()) continue;
    RungResult result;
    result.rung = rung;
    result.status = Status::kNotJudged;
    result.message = fmt::format("the {} shows no {}", side, lacks);
    return result;
  }
  RungResult result = info.compare(candidate, reference, options);
  result.rung = rung;
  return result;
}

Verdict Climb(const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  Verdict verdict;
  verdict.candidate = candidate.backend;
  verdict.reference = reference.backend;
  verdict.model = candidate.shown.shapes ? candidate.model : reference.model;
  verdict.request = candidate.request;
  verdict.profile = options.profile;
  verdict.tokens = reference.tokens;
  verdict.said_candidate = WhatWasSaid(candidate, options);
  verdict.said_reference = WhatWasSaid(reference, options);
  verdict.required = options.required;
  verdict.candidate_shows = ShownWords(candidate);
  verdict.reference_shows = ShownWords(reference);
  std::optional<Rung> failed;
  for (const RungInfo& info : Rungs()) {
    const Rung rung = info.rung;
    if (failed) {
      verdict.rungs.push_back(NotReached(rung, fmt::format("{} failed", RungName(*failed))));
    } else if (rung > options.last) {
      verdict.rungs.push_back(NotReached(rung, fmt::format("stopped after {}, as asked", RungName(options.last))));
    } else {
      verdict.rungs.push_back(JudgeRung(rung, candidate, reference, options));
      if (verdict.rungs.back().status == Status::kFail) failed = rung;
    }
  }
  return verdict;
}

Verdict NotClimbed(RungResult preflight, const Request& request, const Profile& profile) {
  Verdict verdict;
  verdict.request = request;
  verdict.model.path = request.model;
  verdict.profile = profile;
  preflight.rung = Rung::kPreflight;
  const std::string why = preflight.status == Status::kSkip ? "preflight was skipped" : "preflight failed";
  verdict.rungs.push_back(std::move(preflight));
  for (const RungInfo& info : Rungs()) {
    if (info.rung != Rung::kPreflight) verdict.rungs.push_back(NotReached(info.rung, why));
  }
  return verdict;
}

int ExitCode(const Verdict& verdict) {
  switch (verdict.outcome()) {
    case Outcome::kParity:
    case Outcome::kLimitedParity:
      return 0;
    case Outcome::kDivergence:
      return 1;
    default:
      return 2;
  }
}

const WorstRows& Figures(const Verdict& verdict) {
  const RungResult& positions = verdict.rung(Rung::kPositions);
  return positions.worst.rows() > 0 ? positions.worst : verdict.rung(Rung::kFirstLogit).worst;
}

}  // namespace parity
