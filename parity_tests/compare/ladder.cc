#include "parity_tests/compare/ladder.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "parity_tests/compare/stages.h"

namespace parity {
namespace {

constexpr std::array<std::string_view, kStages.size()> kStageNames = {"preflight",   "tokens",    "shapes",
                                                                      "first-logit", "positions", "decode"};

StageResult NotReached(Stage stage, std::string why) {
  StageResult result;
  result.stage = stage;
  result.status = Status::kNotReached;
  result.message = std::move(why);
  return result;
}

}  // namespace

std::string_view StageName(Stage stage) { return kStageNames[static_cast<size_t>(stage)]; }

Stage StageFromName(std::string_view name) {
  for (const Stage stage : kStages) {
    if (StageName(stage) == name) return stage;
  }
  throw std::runtime_error(
      fmt::format("stage \"{}\" is not known; the ladder has {}", name, fmt::join(kStageNames, ", ")));
}

std::string_view StatusName(Status status) {
  switch (status) {
    case Status::kPass:
      return "pass";
    case Status::kFail:
      return "fail";
    case Status::kSkip:
      return "skip";
    case Status::kNotReached:
      return "not reached";
  }
  throw std::runtime_error("status: a value outside the enumeration");
}

std::string_view ScheduleName(Schedule schedule) { return schedule == Schedule::kBatch ? "batch" : "token"; }

std::string_view PositionName(Stage stage) { return stage == Stage::kDecode ? "generated token" : "position"; }

StageResult RunStage(Stage stage, const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  switch (stage) {
    case Stage::kPreflight:
      return ComparePreflight(candidate, reference);
    case Stage::kTokens:
      return CompareTokens(candidate, reference);
    case Stage::kShapes:
      return CompareShapes(candidate, reference);
    case Stage::kFirstLogit:
      return CompareFirstLogit(candidate, reference, options);
    case Stage::kPositions:
      return ComparePositions(candidate, reference, options);
    case Stage::kDecode:
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
  std::optional<Stage> failed;
  for (const Stage stage : kStages) {
    if (failed) {
      verdict.stages.push_back(NotReached(stage, fmt::format("{} failed", StageName(*failed))));
    } else if (stage > options.last) {
      verdict.stages.push_back(NotReached(stage, fmt::format("stopped after {}, as asked", StageName(options.last))));
    } else {
      verdict.stages.push_back(RunStage(stage, candidate, reference, options));
      if (verdict.stages.back().status == Status::kFail) failed = stage;
    }
  }
  return verdict;
}

Verdict NotClimbed(StageResult preflight, const Request& request, const Profile& profile) {
  Verdict verdict;
  verdict.request = request;
  verdict.model.path = request.model;
  verdict.profile = profile;
  preflight.stage = Stage::kPreflight;
  const std::string why = preflight.status == Status::kSkip ? "preflight was skipped" : "preflight failed";
  verdict.stages.push_back(std::move(preflight));
  for (const Stage stage : kStages) {
    if (stage != Stage::kPreflight) verdict.stages.push_back(NotReached(stage, why));
  }
  return verdict;
}

std::optional<Stage> Verdict::failed_stage() const {
  const auto failed = std::find_if(stages.begin(), stages.end(),
                                   [](const StageResult& result) { return result.status == Status::kFail; });
  if (failed == stages.end()) return std::nullopt;
  return failed->stage;
}

bool Verdict::parity() const { return !failed_stage() && stage(Stage::kPreflight).status == Status::kPass; }

int ExitCode(const Verdict& verdict) {
  if (verdict.stage(Stage::kPreflight).status != Status::kPass) return 2;
  return verdict.parity() ? 0 : 1;
}

const WorstRows& Figures(const Verdict& verdict) {
  const StageResult& positions = verdict.stage(Stage::kPositions);
  return positions.worst.rows() > 0 ? positions.worst : verdict.stage(Stage::kFirstLogit).worst;
}

}  // namespace parity
