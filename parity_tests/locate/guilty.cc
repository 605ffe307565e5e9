#include "parity_tests/locate/guilty.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "parity_tests/locate/replay.h"

namespace parity {
namespace {

// A tensor of another size than the operation makes is not replayed, and its shape says enough.
ReplayResult Guarded(Replay& replay, Point point, int layer) {
  try {
    return replay.Operation(point, layer);
  } catch (const std::runtime_error&) {
    ReplayResult result;
    result.place = {-1, layer, point};
    result.missing = "a tensor of this operation's shape";
    return result;
  }
}

ReplayResult ReplayOne(const OwnModel& own, const Capture& capture, int layer, Point point) {
  try {
    Replay replay(*own.model, capture, *own.order);
    return Guarded(replay, point, layer);
  } catch (const std::runtime_error&) {
    return {};  // a capture that this model cannot have made
  }
}

// What no rounding explains before the rest, then by position.
std::pair<int, int> Rank(const ReplayResult& r) {
  return r.first_wrong >= 0 ? std::pair(0, r.first_wrong) : std::pair(1, r.first_guilty);
}

}  // namespace

ReplayedPlace ReplayPlace(const OwnModel& own, const Captures& traced, int layer, Point point) {
  if (point == Point::kUnknown) return {};
  return {ReplayOne(own, traced.candidate, layer, point), ReplayOne(own, traced.reference, layer, point)};
}

GuiltySearch FindGuilty(const OwnModel& own, const Captures& traced, bool only_wrong,
                        const std::function<void(const std::string&)>& progress) {
  Replay candidate(*own.model, traced.candidate, *own.order), reference(*own.model, traced.reference, *own.order);
  GuiltySearch search;
  const auto look = [&](Point point, int layer) {
    ReplayResult mine = Guarded(candidate, point, layer);
    ++(mine.verdict == ReplayVerdict::kNotTraced ? search.not_traced : search.replayed);
    if (mine.verdict != ReplayVerdict::kGuilty || (only_wrong && mine.first_wrong < 0)) return;
    if (search.guilty && Rank(search.guilty->candidate) <= Rank(mine)) return;
    ReplayResult theirs = Guarded(reference, point, layer);
    if (theirs.verdict == ReplayVerdict::kGuilty) return;  // our definition is not the reference's here
    search.position = Rank(mine).second;
    search.guilty = {std::move(mine), std::move(theirs)};
  };
  look(Point::kEmbeddings, -1);
  for (int layer = 0; layer < static_cast<int>(own.model->hyperparameters.n_layer); ++layer) {
    if (progress) progress(fmt::format("replay of layer {}", layer));
    for (const Point point : candidate.Operations(layer)) look(point, layer);
  }
  look(Point::kOutputNorm, -1);
  look(Point::kLogits, -1);
  return search;
}

}  // namespace parity
