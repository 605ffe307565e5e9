// What may be wrong with an engine of which only logits or text are known: each mistake of the table, in each set of
// operations and in each layer, or in all of them.
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESES_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "parity_tests/findings/search.h"
#include "parity_tests/mistakes/mistake.h"

namespace parity {

struct Hypothesis {
  static constexpr int kEverywhere = -2;  // in every layer, and outside them

  const Mistake* mistake = nullptr;  // nullptr: the healthy model
  size_t variant = 0;                // which of the mistake's changes
  std::optional<float> dial = {};    // in place of a change: the mistake's number
  PointSet points = {};              // the operations that it is in
  int layer = kEverywhere;           // -1: outside the layers
  size_t position = 0;               // whose output the mistake's ways were listed for
  std::vector<int32_t> prompt = {};  // a mistake in the prompt's ids: what they become
  std::string how = {};
  std::vector<Hypothesis> also = {};  // more mistakes, or habits, beside this one
  int number = -1;                    // in the list of all; -1: in none

  bool in_place(Point point, int at) const { return points.Has(point) && (layer == kEverywhere || layer == at); }
};

// Makes it in one operation.
void Apply(const Hypothesis& h, const bitnet::Model& model, Point point, int layer, Parameters& p);

// The operations that an engine with the mistake usually has it in.
PointSet UsualPoints(const Mistake& mistake, const bitnet::GraphShape& shape);

// "q_rope, k_rope in every layer".
std::string WhereOf(const Hypothesis& h, const bitnet::GraphShape& shape);
HypothesisResult Describe(const Hypothesis& h, const bitnet::GraphShape& shape);

// The ids of a prompt with the mistakes in it: those of `tokens` where there are none.
std::vector<int32_t> PromptWith(const Hypothesis& h, const TokenSite& tokens);

// The mistake in every layer, or in one, with this number in place of what the model has in layer `layer` (the first).
Hypothesis WithNumber(const bitnet::Model& model, const Mistake& mistake, float number,
                      int layer = Hypothesis::kEverywhere);
float RightNumber(const bitnet::Model& model, const Mistake& mistake, int layer);

// Two mistakes in how weights are read, each in all products of every layer: the codes in another order, and without
// their scale. An engine that cannot read a format has more than one.
std::vector<Hypothesis> PairHypotheses(const bitnet::Model& model);

// K, V, Q and the probabilities in float32, as many engines keep them.
std::vector<Hypothesis> FloatAttention();
// These habits, and that in place of what they say of attention.
std::vector<Hypothesis> WithFloatAttention(const std::vector<Hypothesis>& habits);

// The sets of habits that move the residual stream: attention in float32 or as the references have it, each with every
// way of rounding a layer's activations.
std::vector<std::vector<Hypothesis>> UsualHabits(const bitnet::Model& model);

// The same mistakes or habits in the same ways, in any order.
bool AreSame(const std::vector<Hypothesis>& a, const std::vector<Hypothesis>& b);

// What engines do otherwise than the references everywhere, and mean to: each way of each habit.
std::vector<Hypothesis> HabitHypotheses(const bitnet::Model& model);

// The usual ones first: whole engines before single layers, and habits in a single layer at the end. `tokens`: the
// prompt, for mistakes in its ids.
std::vector<Hypothesis> AllHypotheses(const bitnet::Model& model, const TokenSite& tokens);

// How many of them stand before the first in a single layer, and before the first habit in a single layer.
size_t CountWhole(std::span<const Hypothesis> all);
size_t CountUsual(std::span<const Hypothesis> all);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_HYPOTHESES_H_
