#include "parity_tests/judge/ladder.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "parity_tests/judge/rungs.h"

namespace parity {
namespace {

constexpr std::array<std::string_view, kRungs.size()> kRungNames = {"preflight",   "tokens",    "shapes",
                                                                    "first-logit", "positions", "decode"};

RungResult NotReached(Rung rung, std::string why) {
  RungResult result;
  result.rung = rung;
  result.status = Status::kNotReached;
  result.message = std::move(why);
  return result;
}

}  // namespace

std::string_view RungName(Rung rung) { return kRungNames[static_cast<size_t>(rung)]; }

Rung RungFromName(std::string_view name) {
  for (const Rung rung : kRungs) {
    if (RungName(rung) == name) return rung;
  }
  throw std::runtime_error(
      fmt::format("stage \"{}\" is not known; the ladder has {}", name, fmt::join(kRungNames, ", ")));
}

std::string_view ScheduleName(Schedule schedule) { return schedule == Schedule::kBatch ? "batch" : "token"; }

std::string_view PositionName(Rung rung) { return rung == Rung::kDecode ? "generated token" : "position"; }

RungResult JudgeRung(Rung rung, const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  switch (rung) {
    case Rung::kPreflight:
      return ComparePreflight(candidate, reference);
    case Rung::kTokens:
      return CompareTokens(candidate, reference);
    case Rung::kShapes:
      return CompareShapes(candidate, reference);
    case Rung::kFirstLogit:
      return CompareFirstLogit(candidate, reference, options);
    case Rung::kPositions:
      return ComparePositions(candidate, reference, options);
    case Rung::kDecode:
      return CompareDecode(candidate, reference, options);
  }
  throw std::runtime_error("stage: a value outside the enumeration");
}

Verdict Climb(const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  Verdict verdict;
  verdict.candidate = candidate.backend;
  verdict.reference = reference.backend;
  verdict.model = candidate.model;
  verdict.request = candidate.request;
  verdict.profile = options.profile;
  std::optional<Rung> failed;
  for (const Rung rung : kRungs) {
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
  for (const Rung rung : kRungs) {
    if (rung != Rung::kPreflight) verdict.rungs.push_back(NotReached(rung, why));
  }
  return verdict;
}

int ExitCode(const Verdict& verdict) {
  if (verdict.rung(Rung::kPreflight).status != Status::kPass) return 2;
  return verdict.parity() ? 0 : 1;
}

const WorstRows& Figures(const Verdict& verdict) {
  const RungResult& positions = verdict.rung(Rung::kPositions);
  return positions.worst.rows() > 0 ? positions.worst : verdict.rung(Rung::kFirstLogit).worst;
}

}  // namespace parity
