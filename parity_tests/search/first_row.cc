#include "parity_tests/search/first_row.h"

#include <algorithm>
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

}  // namespace

FirstRow::FirstRow(const SearchOptions& options, size_t position) : options_(options), tokens_(options.tokens) {
  tokens_.right = tokens_.right.first(position + 1);
  for (std::vector<Hypothesis>& habits : UsualHabits(*options.model)) sets_.emplace_back(std::move(habits));
  const auto add = [this](const std::optional<Hypothesis>& habit) {
    Parameters p = ParametersOf(*options_.model, Point::kLogits, -1);
    p.product = p.product.Rows(0, std::min(kLogits, p.product.w.rows));
    if (habit) Apply(*habit, *options_.model, Point::kLogits, -1, p);
    p.product = p.product.Kept();
    heads_.push_back({habit, std::move(p)});
  };
  add(std::nullopt);
  for (const Hypothesis& habit : HabitHypotheses(*options.model)) {
    if (habit.points == PointSet{Point::kLogits}) add(habit);
  }
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
  const Tensor normed = Tensor::Uniform(NormedBy(set, h, arithmetic), 1);
  Best best{std::numeric_limits<double>::infinity(), &heads_.front()};
  for (const Head& head : heads_) {
    Parameters p = head.parameters;
    if (h.in_place(Point::kLogits, -1)) Apply(h, *options_.model, Point::kLogits, -1, p);
    const Inputs in{.batch = {position(), 1}, .tokens = tokens_.right.last(1), .a = &normed, .b = nullptr};
    const Values logits = arithmetic.Compute(Point::kLogits, p, in).data;
    const size_t n = std::min({kLogits, logits.size(), row.size()});
    const double distance = DistanceBetween(std::span(logits).first(n), row.first(n));
    if (distance < best.distance) best = {distance, &head};
  }
  return best;
}

std::vector<BesideHabits> FirstRow::Nearest(const Trials& trials, std::span<const float> row,
                                            std::span<const Hypothesis> all, size_t whole) {
  KernelArithmetic arithmetic(options_.model->hyperparameters, *options_.order, options_.threads);
  const PromptTrial healthy(options_, tokens_, CellsFor(tokens_.right.size() + 1));
  const double unit =
      DistanceBetween(std::span(healthy.healthy_logits()).last(options_.model->hyperparameters.n_vocab).first(kLogits),
                      row.first(kLogits));
  std::vector<BesideHabits> nearest;
  if (unit == 0) return nearest;
  std::map<const Set*, BesideHabits> found;
  const auto take = [&](Set& set, const Hypothesis& h) {
    const Best best = DistanceOf(set, h, arithmetic, row);
    BesideHabits& known = found[&set];
    if (best.distance / unit >= known.distance) return;
    known = {.habits = set.habits, .mistake = h, .distance = best.distance / unit};
    if (best.head->habit) known.habits.push_back(*best.head->habit);
  };
  const auto no_time = [&trials] { return trials.OutOfTime() || trials.TakesLong(); };
  for (Set& set : sets_) {
    if (!no_time()) take(set, Hypothesis());
  }
  const auto explained = [&found] {
    return std::ranges::any_of(found, [](const auto& f) { return f.second.explained(); });
  };
  for (const std::span<const Hypothesis> some : {all.first(whole), all.subspan(whole)}) {
    for (Set& set : sets_) {
      if (explained() || no_time()) break;
      const Trials::Score score = [&](const Hypothesis& h, Arithmetic& own, HypothesisResult& r) {
        r.distance = DistanceOf(set, h, own, row).distance;
      };
      const std::vector<Scored> scored = trials.All(some, score);
      const auto best = std::ranges::min_element(scored, {}, [](const Scored& s) { return s.result.distance; });
      if (best != scored.end()) take(set, *best->hypothesis);
    }
  }
  for (auto& [set, best] : found) nearest.push_back(std::move(best));
  std::ranges::stable_sort(nearest, {}, &BesideHabits::distance);
  return nearest;
}

}  // namespace parity
