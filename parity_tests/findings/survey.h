// Every operation of an engine, held against what follows from its own inputs: what the engine always does otherwise,
// and what is wrong. parity_tests/diagnose/survey.h makes it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_SURVEY_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_SURVEY_H_

#include <optional>
#include <string>
#include <vector>

#include "parity_tests/findings/diagnosis.h"
#include "parity_tests/findings/place.h"

namespace parity {

// What an engine does otherwise, and means to: what is wrong is judged beside it.
struct Habit {
  std::string id;
  std::string what;                // "keeps K and V in float32"
  std::vector<std::string> where;  // names of points
  std::string how;
};

// One thing that is wrong: an operation in one layer or in several, with what gives the engine's own output.
struct SurveyFinding {
  Place place;              // the first position, in the first layer
  std::vector<int> layers;  // all of them; empty outside the layers
  std::string where;        // "q_rope in all 30 layers, from position 1 on"
  // The worst number: what the engine has, what follows from its inputs, and the difference in units of what rounding
  // can do.
  double found = 0, expected = 0, times_the_limit = 0;
  int64_t element = -1;
  std::string estimate;       // what the numbers say that the engine did, where they say it; else empty
  std::vector<Cause> causes;  // the most certain first
};

struct Survey {
  std::vector<Habit> habits;
  std::vector<SurveyFinding> findings;  // in the order of the computation
  std::optional<Cause> of_the_model;    // what the engine computes rightly from a file that is broken
  int operations = 0;                   // replayed
  int exact = 0;                        // of those, with every bit
  int not_traced = 0;
  std::string first_not_traced;         // "t0/blk0/q_rope"
  std::string not_the_judged_run = {};  // why the tensors say nothing of the answer that was judged; "" where they do
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_SURVEY_H_
