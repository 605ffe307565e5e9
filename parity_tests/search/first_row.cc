#include "parity_tests/search/first_row.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace parity {
namespace {

// Logits of the row that are compared.
constexpr size_t kLogits = 256;

// The last row of what enters the head.
class NormedRow : public bitnet::TraceSink {
 public:
  bool Wants(Point point, int) const override { return point == Point::kOutputNorm; }
  void OnTensor(const bitnet::TracedTensor& tensor) override { row_.assign(tensor.data.begin(), tensor.data.end()); }
  Values Take() { return std::move(row_); }

 private:
  Values row_;
};

// A mistake in the prompt's ids or in the choice of a token does not show here.
bool Shows(const Hypothesis& h) { return h.mistake->tokens == nullptr && h.mistake->choose == nullptr; }

// A habit that moves the logits and nothing before them.
bool IsOfHeadAlone(const Hypothesis& habit, const bitnet::Model& model) {
  const auto changes = [&](Point point, int layer) {
    return habit.points.Has(point) && !habit.mistake->changes({model, point, layer, 0}).empty();
  };
  return changes(Point::kLogits, -1) && !changes(Point::kQProj, 0);
}

}  // namespace

FirstRow::FirstRow(const SearchOptions& options, size_t position) : options_(options), tokens_(options.tokens) {
  tokens_.right = tokens_.right.first(position + 1);
  for (std::vector<Hypothesis>& habits : UsualHabits(*options.model)) {
    Set& set = sets_.emplace_back(std::move(habits));
    AddHead(set, std::nullopt);
    for (const Hypothesis& habit : HabitHypotheses(*options.model)) {
      if (IsOfHeadAlone(habit, *options.model)) AddHead(set, habit);
    }
  }
}

void FirstRow::AddHead(Set& set, const std::optional<Hypothesis>& habit) const {
  Parameters p = ParametersOf(*options_.model, Point::kLogits, -1);
  p.product = p.product.Rows(0, std::min(kLogits, p.product.w.rows));
  for (const Hypothesis& h : set.habits) {
    if (h.in_place(Point::kLogits, -1)) Apply(h, *options_.model, Point::kLogits, -1, p);
  }
  if (habit) Apply(*habit, *options_.model, Point::kLogits, -1, p);
  p.product = p.product.Kept();
  set.heads.push_back({habit, std::move(p)});
}

// What enters the head, [n_embd].
Values FirstRow::NormedBy(Set& set, const Hypothesis& h, Arithmetic& arithmetic) const {
  const bool kept = options_.keep_answers && (h.number >= 0 || h.mistake == nullptr);
  {
    const std::lock_guard lock(set.mutex);
    if (set.trial == nullptr) {
      set.trial = std::make_unique<const PromptTrial>(options_, tokens_, CellsFor(tokens_.right.size() + 1), set.habits,
                                                      /*n_logits=*/1);
    }
    if (const auto known = set.normed.find(h.number); kept && known != set.normed.end()) return known->second;
  }
  NormedRow normed;
  MistakenPass(*set.trial, h, arithmetic, &normed).PromptLogits(bitnet::LogitsFor::kLast);
  Values row = normed.Take();
  if (kept) {
    const std::lock_guard lock(set.mutex);
    set.normed[h.number] = row;
  }
  return row;
}

FirstRow::Best FirstRow::DistanceOf(Set& set, const Hypothesis& h, Arithmetic& arithmetic,
                                    std::span<const float> row) const {
  Best best{std::numeric_limits<double>::infinity(), &set.heads.front()};
  if (h.mistake != nullptr && !Shows(h)) return best;
  const Tensor normed = Tensor::Uniform(NormedBy(set, h, arithmetic), 1);
  for (const Head& head : set.heads) {
    Parameters p = head.parameters;
    if (h.in_place(Point::kLogits, -1)) Apply(h, *options_.model, Point::kLogits, -1, p);
    if (p.reads[0] != Point::kUnknown) continue;  // a tensor that is not at hand
    const Inputs in{.batch = {position(), 1}, .tokens = tokens_.right.last(1), .a = &normed, .b = nullptr};
    const Values logits = arithmetic.Compute(Point::kLogits, p, in).data;
    const size_t n = std::min(logits.size(), row.size());
    const double distance = DistanceBetween(std::span(logits).first(n), row.first(n));
    if (distance < best.distance) best = {distance, &head};
  }
  return best;
}

void FirstRow::Take(Set& set, const Hypothesis& h, const Best& best, double unit) {
  if (best.distance / unit >= set.best.distance) return;
  set.best = {.habits = set.habits, .mistake = h, .distance = best.distance / unit};
  if (best.head->habit) set.best.habits.push_back(*best.head->habit);
  if (h.mistake == nullptr || !h.mistake->habit || h.layer != Hypothesis::kEverywhere) return;
  set.best.habits.push_back(h);
  set.best.mistake = {};
}

std::vector<BesideHabits> FirstRow::Nearest(const Trials& trials, std::span<const float> row,
                                            std::span<const float> healthy, std::span<const Hypothesis> all,
                                            size_t whole) {
  constexpr size_t kShortPrompt = 32;  // where it is longer, single layers take too long
  row = row.first(std::min(kLogits, row.size()));
  const double unit = DistanceBetween(healthy.first(row.size()), row);
  if (unit == 0 || !std::isfinite(unit)) return {};
  const auto no_time = [&trials] { return trials.OutOfTime() || trials.TakesLong(); };
  KernelArithmetic arithmetic(options_.model->hyperparameters, *options_.order, options_.threads);
  for (Set& set : sets_) {
    set.best = {.habits = set.habits, .mistake = {}};
    if (!no_time()) Take(set, Hypothesis(), DistanceOf(set, Hypothesis(), arithmetic, row), unit);
  }
  const auto explained = [](const Set& set) { return set.best.explained(); };
  for (const std::span<const Hypothesis> some : {all.first(whole), all.subspan(whole)}) {
    if (some.size() != whole && position() >= kShortPrompt) break;
    for (Set& set : sets_) {
      if (std::ranges::any_of(sets_, explained) || no_time()) break;
      const Trials::Score score = [&](const Hypothesis& h, Arithmetic& own, HypothesisResult& r) {
        r.distance = DistanceOf(set, h, own, row).distance / unit;
      };
      const std::vector<Scored> scored =
          trials.All(some, score, [](const HypothesisResult& r) { return r.distance < BesideHabits::kExplained; });
      const auto best = std::ranges::min_element(scored, {}, [](const Scored& s) { return s.result.distance; });
      if (best != scored.end()) Take(set, *best->hypothesis, DistanceOf(set, *best->hypothesis, arithmetic, row), unit);
      if (!options_.keep_answers) set.trial.reset();
    }
  }
  std::vector<BesideHabits> nearest;
  for (const Set& set : sets_) nearest.push_back(set.best);
  std::ranges::stable_sort(nearest, {}, &BesideHabits::distance);
  return nearest;
}

}  // namespace parity
