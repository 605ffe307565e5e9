// Any number of captures of one request: each pair, who agrees with whom, and who stands alone.
//
//   SideBySide all = CompareAll({{"llama.cpp", &a}, {"native", &b}, {"exec:./mine", &c}}, {.profile = profile});
//   if (all.engines[2].alone) ... all.pair(0, 2)->tensor->name ...
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_SIDE_BY_SIDE_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_SIDE_BY_SIDE_H_

#include <string>
#include <vector>

#include "parity_tests/findings/side_by_side.h"
#include "parity_tests/judge/ladder.h"

namespace parity {

// An engine's answer. No capture: `problem` says why.
struct Answer {
  std::string name = {};
  const Capture* capture = nullptr;
  std::string problem = {};
};

// Never throws for what a capture holds: what cannot be compared is a message of its pair.
SideBySide CompareAll(const std::vector<Answer>& answers, const LadderOptions& limits);

// The engine with which most agree, of those that show the most: the first of them.
size_t MostAgreedWith(const SideBySide& all);

// The tensors at which pairs first differ, as a trace selection; "" where there is none.
std::string FirstTensors(const SideBySide& all);

// By how far these tensors differ, from captures that kept them raw: nullptr where an engine left none.
void AddDistances(const std::vector<const Capture*>& raw, SideBySide& all);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_SIDE_BY_SIDE_H_
