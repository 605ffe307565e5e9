#include "parity_tests/search/hypotheses.h"

#include <fmt/format.h>

#include <algorithm>

namespace parity {
namespace {

constexpr size_t kMostWaysOfAPair = 8;

// The sets of operations in which one engine may have a mistake: those of the table's engine, all, and each alone.
std::vector<PointSet> PointSets(const Mistake& mistake, const bitnet::GraphShape& shape) {
  std::vector<PointSet> sets;
  const auto add = [&sets](const PointSet& set) {
    if (!set.empty() && std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(set);
  };
  const auto there = [&shape](const PointSet& wanted) {
    PointSet set;
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (wanted.Has(info.point) && bitnet::Exists(info, shape)) set.Add(info.point);
    }
    return set;
  };
  add(there(mistake.made_in));
  add(there(mistake.points));
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (mistake.points.Has(info.point)) add(there({info.point}));
  }
  return sets;
}

bool HasInLayer(const PointSet& set, bool in_layer) {
  return std::any_of(bitnet::kGraph.begin(), bitnet::kGraph.end(),
                     [&](const bitnet::PointInfo& info) { return set.Has(info.point) && info.in_layer == in_layer; });
}

// The most ways that there are of making it at one of these operations, in words of the first that has each.
std::vector<std::string> Variants(const bitnet::Model& model, const Mistake& mistake, const PointSet& set, int layer,
                                  size_t position) {
  std::vector<std::string> ways;
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (!set.Has(info.point)) continue;
    const std::vector<Change> changes =
        mistake.changes({model, info.point, info.in_layer ? std::max(layer, 0) : -1, position});
    for (size_t i = ways.size(); i < changes.size(); ++i) ways.push_back(changes[i].how);
  }
  return ways;
}

void AddInModel(const bitnet::Model& model, const Mistake& mistake, size_t position,
                std::vector<Hypothesis>& everywhere, std::vector<Hypothesis>& in_one_layer) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  for (const PointSet& set : PointSets(mistake, shape)) {
    const std::vector<std::string> ways = Variants(model, mistake, set, 0, position);
    for (size_t variant = 0; variant < ways.size(); ++variant) {
      Hypothesis h{.mistake = &mistake, .variant = variant, .points = set, .position = position, .how = ways[variant]};
      everywhere.push_back(h);
      if (!HasInLayer(set, true)) continue;
      if (HasInLayer(set, false)) {
        h.layer = -1;
        in_one_layer.push_back(h);
      }
      for (int layer = 0; layer < static_cast<int>(shape.n_layer); ++layer) {
        h.layer = layer;
        in_one_layer.push_back(h);
      }
    }
  }
}

}  // namespace

void Apply(const Hypothesis& h, const bitnet::Model& model, Point point, int layer, Parameters& p) {
  if (h.dial) {
    h.mistake->dial->set(p, *h.dial);
    return;
  }
  const std::vector<Change> changes = h.mistake->changes({model, point, layer, h.position});
  if (h.variant < changes.size()) changes[h.variant].apply(p);
}

PointSet UsualPoints(const Mistake& mistake, const bitnet::GraphShape& shape) {
  const std::vector<PointSet> sets = PointSets(mistake, shape);
  return sets.empty() ? PointSet() : sets.front();
}

std::string WhereOf(const Hypothesis& h, const bitnet::GraphShape& shape) {
  std::string names;
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (!h.points.Has(info.point) || !bitnet::Exists(info, shape)) continue;
    if (h.layer >= 0 && !info.in_layer) continue;
    if (h.layer == -1 && info.in_layer) continue;
    names += (names.empty() ? "" : ", ") + std::string(info.name);
  }
  if (h.points.empty()) return "";
  if (h.layer >= 0) return fmt::format("{} in layer {}", names, h.layer);
  return HasInLayer(h.points, true) && h.layer == Hypothesis::kEverywhere ? names + " in every layer" : names;
}

HypothesisResult Describe(const Hypothesis& h, const bitnet::GraphShape& shape) {
  HypothesisResult result = {.id = "", .what = "the healthy model"};
  if (h.mistake != nullptr) {
    result = {.id = std::string(h.mistake->id),
              .what = std::string(h.mistake->what),
              .how = h.how,
              .where = WhereOf(h, shape),
              .remedy = std::string(h.mistake->remedy),
              .habit = h.mistake->habit};
  }
  for (const Hypothesis& other : h.also) {
    if (other.mistake->habit) {  // nothing is wrong with it
      if (other.how.empty()) continue;
      result.how += result.how.empty() ? other.how : fmt::format(", beside {}", other.how);
      continue;
    }
    result.id += fmt::format(" + {}", other.mistake->id);
    result.what += fmt::format("; and {}", other.mistake->what);
    result.how += fmt::format(", and {}", other.how);
    if (const std::string where = WhereOf(other, shape); where != result.where) result.where += "; " + where;
    result.remedy += fmt::format("; and {}", other.mistake->remedy);
    result.habit = false;
  }
  return result;
}

std::vector<int32_t> PromptWith(const Hypothesis& h, const TokenSite& tokens) {
  if (h.mistake != nullptr && h.mistake->tokens != nullptr) {
    std::vector<TokenChange> changes = h.mistake->tokens(tokens);
    auto found = std::find_if(changes.begin(), changes.end(), [&h](const TokenChange& c) { return c.how == h.how; });
    if (found == changes.end() && h.variant < changes.size())
      found = changes.begin() + static_cast<ptrdiff_t>(h.variant);
    if (found != changes.end() && !found->ids.empty()) return std::move(found->ids);
  }
  return {tokens.right.begin(), tokens.right.end()};
}

float RightNumber(const bitnet::Model& model, const Mistake& mistake, int layer) {
  const Point first = UsualPoints(mistake, bitnet::ShapeOf(model.hyperparameters)).first();
  return mistake.dial->right(ParametersOf(model, first, bitnet::InfoOf(first).in_layer ? std::max(layer, 0) : -1));
}

Hypothesis WithNumber(const bitnet::Model& model, const Mistake& mistake, float number, int layer) {
  return {.mistake = &mistake,
          .dial = number,
          .points = UsualPoints(mistake, bitnet::ShapeOf(model.hyperparameters)),
          .layer = layer,
          .how = fmt::format("{} {:g} in place of {:g}, solved for", mistake.dial->name, number,
                             RightNumber(model, mistake, layer))};
}

std::vector<Hypothesis> FloatAttention() {
  std::vector<Hypothesis> habits;
  for (const char* id : {"float_cache", "float_attention"}) {
    const Mistake& habit = FindMistake(id);
    habits.push_back({.mistake = &habit, .points = habit.points});
  }
  habits.front().how = "K, V, Q and the probabilities in float32";
  return habits;
}

std::vector<Hypothesis> WithFloatAttention(const std::vector<Hypothesis>& habits) {
  std::vector<Hypothesis> with = FloatAttention();
  for (const Hypothesis& habit : habits) {
    const auto same = [&habit](const Hypothesis& h) { return h.mistake == habit.mistake; };
    if (std::ranges::none_of(with, same)) with.push_back(habit);
  }
  return with;
}

bool AreSame(const std::vector<Hypothesis>& a, const std::vector<Hypothesis>& b) {
  const auto in = [](const std::vector<Hypothesis>& all, const Hypothesis& habit) {
    return std::ranges::any_of(
        all, [&habit](const Hypothesis& h) { return h.mistake == habit.mistake && h.variant == habit.variant; });
  };
  return a.size() == b.size() && std::ranges::all_of(a, [&](const Hypothesis& habit) { return in(b, habit); });
}

std::vector<Hypothesis> HabitHypotheses(const bitnet::Model& model) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  std::vector<Hypothesis> habits;
  for (const Mistake& mistake : AllMistakes()) {
    if (!mistake.habit || mistake.changes == nullptr || mistake.id == "fast_exponential") continue;
    const PointSet points = UsualPoints(mistake, shape);
    const std::vector<std::string> ways = Variants(model, mistake, points, 0, 0);
    for (size_t variant = 0; variant < ways.size(); ++variant) {
      habits.push_back({.mistake = &mistake, .variant = variant, .points = points, .how = ways[variant]});
    }
  }
  return habits;
}

std::vector<std::vector<Hypothesis>> UsualHabits(const bitnet::Model& model) {
  std::vector<std::vector<Hypothesis>> activations = {{}};
  for (const Hypothesis& habit : HabitHypotheses(model)) {
    const bool of_products = habit.points.Has(Point::kQProj);
    if (of_products && !habit.mistake->changes({model, Point::kQProj, 0, 0}).empty()) activations.push_back({habit});
  }
  std::vector<std::vector<Hypothesis>> sets;
  for (const std::vector<Hypothesis>& habits : activations) {
    sets.push_back(WithFloatAttention(habits));
    sets.push_back(habits);
  }
  return sets;
}

std::vector<Hypothesis> PairHypotheses(const bitnet::Model& model) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  std::vector<Hypothesis> whole;
  for (const Mistake& mistake : WeightMistakes()) {
    if (!mistake.tried) continue;
    PointSet set;
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (mistake.points.Has(info.point) && bitnet::Exists(info, shape)) set.Add(info.point);
    }
    const std::vector<std::string> ways = Variants(model, mistake, set, 0, 0);
    for (size_t variant = 0; variant < std::min(ways.size(), kMostWaysOfAPair); ++variant) {
      whole.push_back({.mistake = &mistake, .variant = variant, .points = set, .how = ways[variant]});
    }
  }
  std::vector<Hypothesis> pairs;
  for (const Hypothesis& a : whole) {
    for (const Hypothesis& b : whole) {
      if (a.mistake >= b.mistake) continue;
      pairs.push_back(a);
      pairs.back().also.push_back(b);
    }
  }
  return pairs;
}

std::vector<Hypothesis> AllHypotheses(const bitnet::Model& model, const TokenSite& tokens) {
  std::vector<Hypothesis> all, in_one_layer;
  const size_t position = tokens.right.empty() ? 0 : tokens.right.size() - 1;
  for (const Mistake& mistake : AllMistakes()) {
    if (!mistake.tried || mistake.slack > 0) continue;
    if (mistake.tokens != nullptr) {
      std::vector<TokenChange> changes = mistake.tokens(tokens);
      for (size_t variant = 0; variant < changes.size(); ++variant) {
        TokenChange& change = changes[variant];
        if (change.ids.empty() || std::ranges::equal(change.ids, tokens.right)) continue;
        all.push_back(
            {.mistake = &mistake, .variant = variant, .prompt = std::move(change.ids), .how = std::move(change.how)});
      }
    }
    if (mistake.choose != nullptr) all.push_back({.mistake = &mistake});
    if (mistake.changes != nullptr) AddInModel(model, mistake, position, all, in_one_layer);
  }
  // Whole families of operations before single ones, and last what rewrites a model's weights, which takes longest.
  const auto rank = [](const Hypothesis& h) {
    if (h.points.empty()) return 0;
    const bool alone = h.mistake->points.size() > 1 && h.points.size() == 1;
    const bool rewrites = bitnet::InfoOf(h.points.first()).op == bitnet::Op::kProduct;
    return 1 + (alone ? 1 : 0) + (rewrites ? 2 : 0);
  };
  for (std::vector<Hypothesis>* some : {&all, &in_one_layer}) {
    std::stable_sort(some->begin(), some->end(),
                     [&rank](const Hypothesis& a, const Hypothesis& b) { return rank(a) < rank(b); });
  }
  std::stable_partition(in_one_layer.begin(), in_one_layer.end(),
                        [](const Hypothesis& h) { return !h.mistake->habit; });
  all.insert(all.end(), in_one_layer.begin(), in_one_layer.end());
  for (size_t i = 0; i < all.size(); ++i) all[i].number = static_cast<int>(i);
  return all;
}

size_t CountWhole(std::span<const Hypothesis> all) {
  const auto single = [](const Hypothesis& h) { return h.layer != Hypothesis::kEverywhere; };
  return static_cast<size_t>(std::ranges::find_if(all, single) - all.begin());
}

size_t CountUsual(std::span<const Hypothesis> all) {
  const auto rare = [](const Hypothesis& h) { return h.layer != Hypothesis::kEverywhere && h.mistake->habit; };
  return static_cast<size_t>(std::ranges::find_if(all, rare) - all.begin());
}

}  // namespace parity
