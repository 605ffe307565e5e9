// Any number of engines on one request, each beside each. parity_tests/judge/side_by_side.h finds it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_SIDE_BY_SIDE_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_SIDE_BY_SIDE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/trace_diff.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

// One of the engines. `problem`: why it left nothing to compare; empty: it answered.
struct EngineBeside {
  std::string name = {};  // as the user names it
  std::string problem = {};
  BackendInfo backend = {};
  Said said = {};
  size_t group = 0;  // engines of one group agree in every bit that they show
  // It agrees with none within the limits by what it shows at best (logits, else text), and some others do.
  bool alone = false;
  std::optional<Explanation> why = {};          // of one over a limit beside the engine with which most agree
  std::optional<size_t> explained_beside = {};  // the engine that `why` holds it against
  std::string not_explained = {};
};

struct PairBeside {
  size_t a = 0, b = 0;                          // of the engines; a < b
  bool compared = true;                         // false: they show nothing in common
  bool equal = false;                           // every bit that both show
  bool in_full = false;                         // ... and both show everything
  std::optional<Rung> differs;                  // the first stage at which a bit differs
  std::string message = {};                     // of that stage
  std::optional<Rung> over;                     // the first stage at which a limit is exceeded
  WorstRows figures = {};                       // of all prompt positions and decode steps that were compared
  std::optional<TensorDifference> tensor = {};  // the first that differs, in the order of the computation
  std::string no_tensor = {};                   // why none is named where a bit differs
};

struct SideBySide {
  Request request = {};
  ModelInfo model = {};
  Profile profile = {};
  std::vector<EngineBeside> engines = {};
  std::vector<PairBeside> pairs = {};  // of engines that answered, in order

  const PairBeside* pair(size_t a, size_t b) const {
    for (const PairBeside& p : pairs) {
      if ((p.a == a && p.b == b) || (p.a == b && p.b == a)) return &p;
    }
    return nullptr;
  }
  bool all_answered() const {
    for (const EngineBeside& e : engines) {
      if (!e.problem.empty()) return false;
    }
    return true;
  }
  // 0: all pairs are within the limits; 1: one is not; 2: an engine did not answer, or two show nothing in common.
  int exit_code() const {
    if (!all_answered()) return 2;
    int code = 0;
    for (const PairBeside& p : pairs) {
      if (!p.compared) return 2;
      if (p.over) code = 1;
    }
    return code;
  }
};

// "A", "B", ..., "Z", "AA"
inline std::string LetterOf(size_t engine) {
  std::string letter;
  for (size_t n = engine + 1; n > 0; n = (n - 1) / 26)
    letter.insert(letter.begin(), static_cast<char>('A' + (n - 1) % 26));
  return letter;
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_SIDE_BY_SIDE_H_
