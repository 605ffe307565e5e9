// One operation of an engine, tried with every mistake of the table: which of them gives the engine's own output, at
// every place where that is wrong.
//
//   std::vector<Explained> found = TryMistakes(op, {}, op.Compare(op.parameters()));
//   if (!found.empty()) ... found[0].mistake->what, found[0].how ...
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_TRIAL_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_TRIAL_H_

#include <optional>
#include <string>
#include <vector>

#include "parity_tests/findings/diagnosis.h"
#include "parity_tests/locate/traced_operation.h"
#include "parity_tests/mistakes/mistake.h"

namespace parity {

// What an engine does otherwise in an operation, and means to.
struct HabitChoice {
  struct Part {
    const Mistake* habit = nullptr;
    size_t way = 0;
    std::string how = {};
  };
  std::vector<Part> parts;  // empty: none
  double slack() const;
};

// The parameters as the file says, with an engine's habits; the layer is the operation's.
Parameters With(const HabitChoice& habits, const TracedOperation& op);

// A mistake that gives what the engine has, at every cell that is wrong without it.
struct Explained {
  const Mistake* mistake = nullptr;
  size_t way = 0;                  // which of its changes
  std::optional<float> dial = {};  // in place of a change: the number that was solved for
  std::string how = {};
  bool exact = false;       // every wrong cell bit for bit
  bool everywhere = false;  // and nothing that is right becomes wrong
  double error = 0;         // the largest that is left, in units of what rounding can do
};

// The same cells, wrong wherever a bit differs: of an engine that is exact elsewhere.
Fit ByBits(Fit fit);

// One way of making a mistake.
struct Way {
  const Mistake* mistake = nullptr;
  size_t way = 0;
  bool operator==(const Way&) const = default;
};

// The ways that leave at most half of the worst error of `null`: those that a habit may hide.
std::vector<Way> PromisingWays(const TracedOperation& op, const Fit& null);

// Every mistake of the table that explains the cells which are wrong in `null`, the best first: bit for bit before the
// rest, then what holds everywhere. Empty where none does.
// `solve`: look for numbers where no row fits as it stands. `among`: only these ways are tried.
std::vector<Explained> TryMistakes(const TracedOperation& op, const HabitChoice& habits, const Fit& null,
                                   bool solve = true, const std::vector<Way>* among = nullptr);

// The same for one that was found in another layer.
std::optional<Explained> TryAgain(const TracedOperation& op, const HabitChoice& habits, const Fit& null,
                                  const Explained& known);

// Every set of habits that an operation may show, the simplest first.
std::vector<HabitChoice> PossibleHabits(const TracedOperation& op);

// The habits that an operation shows, tried in some of its layers; empty: none, or none that explains anything.
HabitChoice FindHabits(const std::vector<const TracedOperation*>& layers);

// Those of the table that nothing tells apart from the first, with how certain they are, and why.
std::vector<Cause> CausesOf(const std::vector<Explained>& found, const TracedOperation& op, const Fit& null,
                            const std::string& which_cells);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_TRIAL_H_
