// Which operation is guilty: replay of one place, or of every operation, on both engines' own inputs.
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_GUILTY_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_GUILTY_H_

#include <functional>
#include <optional>
#include <string>

#include "engine/kernels/order.h"
#include "engine/model/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/replay_result.h"

namespace parity {

// Our own engine's view of the model that two engines run: what replay and diagnosis compute with.
struct OwnModel {
  const bitnet::Model* model = nullptr;  // nullptr where our engine cannot read it
  const bitnet::ArithmeticOrder* order = nullptr;
  bitnet::TokenizerDialect dialect = bitnet::TokenizerDialect::kLlamaCpp;
  std::string problem;  // why there is no model
};

// One operation, replayed on each side's own inputs.
struct ReplayedPlace {
  ReplayResult candidate;
  ReplayResult reference;
};

// A place of an operation that the capture does not hold, or holds in another size, is kNotTraced. `own.model` must be
// set.
ReplayedPlace ReplayPlace(const OwnModel& own, const Captures& traced, int layer, Point point);

struct GuiltySearch {
  std::optional<ReplayedPlace> guilty;  // what no rounding explains before the rest, then by position
  int position = -1;                    // where it is guilty
  int replayed = 0;
  int not_traced = 0;
};

// Every operation of every layer. `only_wrong`: an operation that is off by no more than rounding in another place
// explains does not count. Throws std::runtime_error where a capture cannot be replayed at all.
GuiltySearch FindGuilty(const OwnModel& own, const Captures& traced, bool only_wrong,
                        const std::function<void(const std::string&)>& progress);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_GUILTY_H_
