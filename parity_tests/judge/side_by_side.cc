#include "parity_tests/judge/side_by_side.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <set>
#include <tuple>

#include "parity_tests/judge/trace_diff.h"

namespace parity {
namespace {

// Of two answers the first tensor that differs: in the order of the computation all inputs of it are equal.
void FindTensor(const Capture& a, const Capture& b, PairBeside& pair) {
  if (a.traces.empty() || b.traces.empty()) {
    pair.no_tensor = fmt::format("{} left no tensors", LetterOf(a.traces.empty() ? pair.a : pair.b));
    return;
  }
  try {
    const TraceDiff diff = DiffTraces(a, b, {.check_complete = false, .check_model = false});
    if (diff.first) {
      pair.tensor = diff.tensors[*diff.first];
    } else {
      pair.no_tensor =
          diff.tensors.empty() ? "they traced nothing in common" : "every tensor that both traced is equal";
    }
  } catch (const std::exception& error) {
    pair.no_tensor = error.what();
  }
}

PairBeside ComparePair(size_t a, size_t b, const std::vector<Answer>& answers, const LadderOptions& limits) {
  PairBeside pair{.a = a, .b = b, .differs = {}, .over = {}};
  const Capture &of_a = *answers[a].capture, &of_b = *answers[b].capture;
  LadderOptions exact = limits;
  exact.profile = ExactProfile();
  const Verdict bits = Climb(of_b, of_a, exact);
  pair.differs = bits.failed_rung();
  const Outcome outcome = bits.outcome();
  pair.compared = pair.differs || outcome == Outcome::kParity || outcome == Outcome::kLimitedParity;
  pair.equal = pair.compared && !pair.differs;
  pair.in_full = pair.equal && outcome == Outcome::kParity;
  if (!pair.compared) {
    pair.message = "they show nothing that could be compared";
    return pair;
  }
  pair.over = Climb(of_b, of_a, limits).failed_rung();
  for (const Rung rung : {Rung::kPositions, Rung::kDecode}) {
    const RungResult judged = JudgeRung(rung, of_b, of_a, exact);
    const bool comparable = !pair.differs || *pair.differs > Rung::kTokens;  // rows of other tokens mean nothing
    if (comparable) pair.figures.Add(judged.worst);
  }
  if (pair.equal) return pair;
  pair.message = bits.rung(*pair.differs).message;
  if (*pair.differs > Rung::kTokens) {
    FindTensor(of_a, of_b, pair);
  } else {
    pair.no_tensor = "they read other tokens";
  }
  return pair;
}

// Text alone agrees with much: an engine joins a group where it agrees with each of its members.
void Group(SideBySide& all) {
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < all.engines.size(); ++i) {
    const auto joins = [&](const std::vector<size_t>& group) {
      return std::all_of(group.begin(), group.end(), [&](size_t j) {
        const PairBeside* pair = all.pair(i, j);
        return pair != nullptr && pair->equal;
      });
    };
    auto group = std::find_if(groups.begin(), groups.end(), joins);
    if (group == groups.end()) group = groups.insert(groups.end(), std::vector<size_t>());
    group->push_back(i);
    all.engines[i].group = static_cast<size_t>(group - groups.begin());
  }
}

// How much a pair compares: agreement in text says little of two engines that could be held together by their logits.
enum class Evidence { kNone, kText, kLogits };

Evidence EvidenceOf(const PairBeside& pair) {
  return !pair.compared ? Evidence::kNone : pair.figures.rows() > 0 ? Evidence::kLogits : Evidence::kText;
}

// The most that any pair of an engine compares.
Evidence EvidenceOf(const SideBySide& all, size_t engine) {
  Evidence most = Evidence::kNone;
  for (const PairBeside& p : all.pairs) {
    if (p.a == engine || p.b == engine) most = std::max(most, EvidenceOf(p));
  }
  return most;
}

// The pairs of an engine that are within the limits by this evidence.
int Agreements(const SideBySide& all, size_t engine, Evidence evidence) {
  return static_cast<int>(std::count_if(all.pairs.begin(), all.pairs.end(), [&](const PairBeside& p) {
    return (p.a == engine || p.b == engine) && p.compared && EvidenceOf(p) == evidence && !p.over;
  }));
}

void FindAlone(SideBySide& all) {
  for (size_t i = 0; i < all.engines.size(); ++i) {
    const Evidence most = EvidenceOf(all, i);
    const bool others_agree = std::any_of(all.pairs.begin(), all.pairs.end(), [&](const PairBeside& p) {
      return p.compared && EvidenceOf(p) >= most && !p.over;
    });
    all.engines[i].alone = all.engines[i].problem.empty() && others_agree && Agreements(all, i, most) == 0;
  }
}

}  // namespace

SideBySide CompareAll(const std::vector<Answer>& answers, const LadderOptions& limits) {
  SideBySide all;
  all.profile = limits.profile;
  for (const Answer& answer : answers) {
    EngineBeside& engine = all.engines.emplace_back();
    engine.name = answer.name;
    engine.problem = answer.problem;
    if (answer.capture == nullptr) continue;
    engine.backend = answer.capture->backend;
    engine.said = SaidIn(*answer.capture);
    if (all.model.path.empty()) all.model = answer.capture->model;
  }
  for (size_t a = 0; a < answers.size(); ++a) {
    for (size_t b = a + 1; b < answers.size(); ++b) {
      if (answers[a].capture != nullptr && answers[b].capture != nullptr) {
        all.pairs.push_back(ComparePair(a, b, answers, limits));
      }
    }
  }
  Group(all);
  FindAlone(all);
  return all;
}

size_t MostAgreedWith(const SideBySide& all) {
  const auto rank = [&all](size_t i) {
    const Evidence most = EvidenceOf(all, i);
    return std::tuple(all.engines[i].problem.empty(), most, Agreements(all, i, most));
  };
  size_t first = 0;
  for (size_t i = 1; i < all.engines.size(); ++i) {
    if (rank(i) > rank(first)) first = i;
  }
  return first;
}

std::string FirstTensors(const SideBySide& all) {
  std::set<int> positions, layers;
  std::set<std::string> points;
  for (const PairBeside& pair : all.pairs) {
    if (!pair.tensor || pair.tensor->raw || pair.tensor->place.point == Point::kUnknown) continue;
    positions.insert(pair.tensor->place.position);
    layers.insert(pair.tensor->place.layer);
    points.insert(pair.tensor->stage);
  }
  if (points.empty()) return "";
  return fmt::format("seq={};layer={};stage={}", fmt::join(positions, ","), fmt::join(layers, ","),
                     fmt::join(points, ","));
}

void AddDistances(const std::vector<const Capture*>& raw, SideBySide& all) {
  for (PairBeside& pair : all.pairs) {
    if (!pair.tensor || pair.tensor->raw || raw[pair.a] == nullptr || raw[pair.b] == nullptr) continue;
    try {
      const TraceDiff diff = DiffTraces(*raw[pair.a], *raw[pair.b], {.check_complete = false, .check_model = false});
      for (const TensorDifference& tensor : diff.tensors) {
        if (tensor.name == pair.tensor->name && tensor.raw) pair.tensor = tensor;
      }
    } catch (const std::exception&) {
      continue;  // the tensor is named without its distance
    }
  }
}

}  // namespace parity
