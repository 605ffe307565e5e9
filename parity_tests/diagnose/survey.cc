#include "parity_tests/diagnose/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "parity_tests/diagnose/causes.h"
#include "parity_tests/diagnose/estimate.h"
#include "parity_tests/diagnose/trial.h"
#include "parity_tests/diagnose/where.h"
#include "parity_tests/locate/replay.h"

namespace parity {
namespace {

// The worst of an operation's cells must be off by so many times what rounding can do: what lies just behind the limit
// is an engine that rounds in another place.
constexpr double kFault = 2;

struct Found {
  Point point;
  int layer;
  Fit null;  // beside `habits`
  std::vector<Explained> explained;
  HabitChoice habits;
  std::string cells;  // which of them are wrong, in words
  SurveyFinding finding;
};

// Numbers that are not finite, of inputs that are, come from the file.
std::optional<Cause> BrokenWeights(const TracedOperation& op, const Fit& fit) {
  const bitnet::PointInfo& info = bitnet::InfoOf(op.point());
  if (info.weight == bitnet::Weight::kNone || fit.worst() > 1) return std::nullopt;
  const auto finite = [](std::span<const float> row) {
    return std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); });
  };
  for (size_t i = 0; i < op.output().n(); ++i) {
    if (finite(op.output().row(i)) || (op.a().n() > i && !finite(op.a().row(i)))) continue;
    Causes causes;
    causes.Add(
        "weights_not_finite", Certainty::kCertain,
        fmt::format(
            "{}{} is NaN or infinite of finite inputs at position {}, by our own computation too: {} is not finite",
            info.name, op.layer() < 0 ? "" : fmt::format(" in layer {}", op.layer()), i,
            bitnet::TensorName(InfoOf(info.weight), static_cast<size_t>(std::max(op.layer(), 0)))));
    return causes.Sorted().front();
  }
  return std::nullopt;
}

void AddHabits(Point point, const HabitChoice& choice, std::vector<Habit>& habits) {
  for (const HabitChoice::Part& part : choice.parts) {
    const auto same = [&part](const Habit& h) { return h.id == part.habit->id; };
    auto habit = std::find_if(habits.begin(), habits.end(), same);
    if (habit == habits.end()) {
      habit = habits.insert(
          habit,
          {.id = std::string(part.habit->id), .what = std::string(part.habit->what), .where = {}, .how = part.how});
    }
    habit->where.emplace_back(PointName(point));
  }
}

// Before the layers, by layer, behind them.
std::pair<int, int> Order(const Found& f) {
  const bool in_layer = bitnet::InfoOf(f.point).in_layer;
  const int layer = in_layer ? f.layer : f.point == Point::kEmbeddings ? -1 : 1 << 20;
  return {layer, static_cast<int>(f.point)};
}

// What was found, in the order of the computation. The same in another layer, or of keys as of queries, is one finding.
class FindingList {
 public:
  explicit FindingList(size_t n_layer) : n_layer_(n_layer) {}

  void Add(const Found& f) {
    for (size_t i = 0; i < findings_.size(); ++i) {
      SurveyFinding& known = findings_[i];
      const Found& first = *first_[i];
      const bool same_cause = f.explained.empty() == first.explained.empty() &&
                              (f.explained.empty() || (f.explained[0].mistake == first.explained[0].mistake &&
                                                       f.explained[0].how == first.explained[0].how));
      if (first.point != f.point || first.cells != f.cells || !same_cause) continue;
      known.layers.push_back(f.layer);
      known.where = Where(known, f);
      return;
    }
    findings_.push_back(f.finding);
    findings_.back().where = Where(f.finding, f);
    first_.push_back(&f);
  }

  std::vector<SurveyFinding> Take() { return std::move(findings_); }

 private:
  std::string Where(const SurveyFinding& finding, const Found& f) const {
    std::string where(PointName(finding.place.point));
    if (!finding.layers.empty()) where += " " + WhichLayers(finding.layers, n_layer_);
    return f.cells.empty() ? where : where + ", " + f.cells;
  }

  size_t n_layer_;
  std::vector<SurveyFinding> findings_;
  std::vector<const Found*> first_;  // of each finding
};

class Surveyor {
 public:
  Surveyor(const OwnModel& own, const Capture& capture, const std::function<void(const std::string&)>& progress,
           size_t threads)
      : model_(*own.model),
        shape_(bitnet::ShapeOf(model_.hyperparameters)),
        traced_(capture, shape_),
        arithmetic_(model_.hyperparameters, *own.order, std::max<size_t>(threads, 1)),
        progress_(progress) {
    Replay check(model_, capture, *own.order);  // throws where the capture cannot be of this model
  }

  Survey Run() {
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (bitnet::Exists(info, shape_)) LookAt(info);
    }
    for (Suspect& s : suspects_) LookFor(s);
    LookBesideOthers();
    LookAtBits();
    std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) { return Order(a) < Order(b); });
    FindingList list(shape_.n_layer);
    for (Found& f : found_) list.Add(f);
    survey_.findings = list.Take();
    return std::move(survey_);
  }

 private:
  // Nothing where it was not traced.
  std::unique_ptr<TracedOperation> Open(Point point, int layer) {
    try {
      return std::make_unique<TracedOperation>(model_, traced_, arithmetic_, point, layer);
    } catch (const NotTraced& missing) {
      ++survey_.not_traced;
      if (survey_.first_not_traced.empty()) survey_.first_not_traced = missing.name;
    } catch (const std::runtime_error& error) {
      ++survey_.not_traced;
      if (survey_.first_not_traced.empty()) survey_.first_not_traced = error.what();
    }
    return nullptr;
  }

  // One operation in all its layers.
  void LookAt(const bitnet::PointInfo& info) {
    if (progress_) progress_(fmt::format("every {} on the engine's own inputs", info.name));
    const int first = info.in_layer ? 0 : -1, end = info.in_layer ? static_cast<int>(shape_.n_layer) : 0;
    std::map<int, Fit> wrong;  // by layer
    int traced = 0;
    for (int layer = first; layer < end; ++layer) {
      const auto op = Open(info.point, layer);
      if (op == nullptr) continue;
      ++traced;
      ++survey_.operations;
      Fit fit = op->Compare(op->parameters());
      survey_.exact += fit.exact();
      if (!survey_.of_the_model) survey_.of_the_model = BrokenWeights(*op, fit);
      if (!fit.exact() && fit.worst() <= 1) inexact_.push_back({info.point, layer});
      if (fit.worst() > 1) wrong.emplace(layer, std::move(fit));
    }
    if (wrong.empty()) return;
    // What an engine does in every layer may be meant.
    HabitChoice habits;
    if (static_cast<int>(wrong.size()) == traced) habits = HabitsOf(info.point, wrong);
    if (!habits.parts.empty()) {
      for (auto& [layer, fit] : wrong) {
        const auto op = Open(info.point, layer);
        fit = op->Compare(With(habits, *op), habits.slack());
      }
      AddHabits(info.point, habits, survey_.habits);
    }
    suspects_.push_back({info.point, habits, std::move(wrong), traced});
  }

  // An operation that is wrong in some layers, beside its habits.
  struct Suspect {
    Point point;
    HabitChoice habits;
    std::map<int, Fit> wrong;  // by layer
    int traced;                // layers
  };

  void LookFor(Suspect& s) {
    std::optional<std::pair<Explained, HabitChoice>> known;
    for (auto& [layer, fit] : s.wrong) {
      if (fit.worst() <= kFault) {
        if (s.habits.parts.empty()) inexact_.push_back({s.point, layer});
        continue;
      }
      const auto op = Open(s.point, layer);
      const bool may_have_habits = s.habits.parts.empty() && static_cast<int>(s.wrong.size()) == s.traced;
      found_.push_back(Explain(*op, s.habits, std::move(fit), may_have_habits, known));
    }
  }

  // Where two mistakes meet, no row alone gives what the engine has: one that was found elsewhere is there beside
  // another.
  void LookBesideOthers() {
    std::map<std::string, const Found*> explained;  // one of each way
    for (const Found& f : found_) {
      if (!f.explained.empty() && !f.explained[0].dial) explained.emplace(f.explained[0].how, &f);
    }
    for (Found& f : found_) {
      if (!f.explained.empty()) continue;
      const auto op = Open(f.point, f.layer);
      for (const auto& [how, other] : explained) {
        if (f.explained.empty()) TryBeside(*op, *other, f);
      }
    }
  }

  void TryBeside(const TracedOperation& op, const Found& other, Found& f) {
    const Explained& there = other.explained[0];
    if (!there.mistake->points.Has(op.point())) return;
    const std::vector<Change> changes = there.mistake->changes({op.model(), op.point(), op.layer(), 0});
    if (there.way >= changes.size() || changes[there.way].how != there.how) return;
    HabitChoice beside = f.habits;
    beside.parts.push_back({there.mistake, there.way, there.how});
    Fit null = op.Compare(With(beside, op), beside.slack());
    f.explained = TryMistakes(op, beside, null);
    if (f.explained.empty()) return;
    f.null = std::move(null);
    Describe(op, beside, f);
    for (Cause& cause : f.finding.causes) cause.evidence = fmt::format("beside '{}': {}", there.how, cause.evidence);
    f.finding.causes.push_back(other.finding.causes.front());
  }

  // An engine that is exact nearly everywhere: where it is not, a mistake of the table may give every bit, however
  // little it changes.
  void LookAtBits() {
    if (survey_.exact * 10 < survey_.operations * 9) return;
    for (const auto& [point, layer] : inexact_) {
      const auto op = Open(point, layer);
      Fit null = ByBits(op->Compare(op->parameters()));
      std::vector<Explained> explained = TryMistakes(*op, {}, null);
      std::erase_if(explained, [](const Explained& e) { return !e.exact; });
      if (explained.empty()) continue;
      Found f{.point = point,
              .layer = layer,
              .null = std::move(null),
              .explained = std::move(explained),
              .habits = {},
              .cells = {},
              .finding = {}};
      f.cells = WhichCells(f.null, op->batches(), op->n_prompt());
      Describe(*op, {}, f);
      found_.push_back(std::move(f));
    }
  }

  HabitChoice HabitsOf(Point point, const std::map<int, Fit>& wrong) {
    std::vector<std::unique_ptr<TracedOperation>> ops;
    const auto middle = std::next(wrong.begin(), static_cast<ptrdiff_t>(wrong.size() / 2));
    for (const int layer : {wrong.begin()->first, middle->first, wrong.rbegin()->first}) {
      if (ops.empty() || ops.back()->layer() != layer) ops.push_back(Open(point, layer));
    }
    std::vector<const TracedOperation*> layers;
    for (const auto& op : ops) layers.push_back(op.get());
    return FindHabits(layers);
  }

  Found Explain(const TracedOperation& op, HabitChoice habits, Fit null, bool may_have_habits,
                std::optional<std::pair<Explained, HabitChoice>>& known) {
    Found f{.point = op.point(),
            .layer = op.layer(),
            .null = std::move(null),
            .explained = {},
            .habits = {},
            .cells = {},
            .finding = {}};
    if (known) {
      const Fit beside = op.Compare(With(known->second, op), known->second.slack());
      if (std::optional<Explained> again = TryAgain(op, known->second, beside, known->first)) {
        f.explained.push_back(std::move(*again));
        f.null = beside;
      }
    }
    if (f.explained.empty()) f.explained = TryMistakes(op, habits, f.null);
    if (f.explained.empty() && may_have_habits) habits = TryWithHabits(op, f);
    f.cells = WhichCells(f.null, op.batches(), op.n_prompt());
    if (!f.explained.empty() && !known) known.emplace(f.explained.front(), habits);
    f.habits = known ? known->second : habits;
    Describe(op, f.habits, f);
    return f;
  }

  // A mistake that is in every layer hides the habits of its operation: both are looked for at once, those first that
  // the engine has elsewhere.
  HabitChoice TryWithHabits(const TracedOperation& op, Found& f) {
    std::vector<HabitChoice> choices = PossibleHabits(op);
    const auto known = [this](const HabitChoice& choice) {
      return std::all_of(choice.parts.begin(), choice.parts.end(), [this](const HabitChoice::Part& part) {
        return std::any_of(survey_.habits.begin(), survey_.habits.end(),
                           [&part](const Habit& h) { return h.id == part.habit->id; });
      });
    };
    std::stable_sort(choices.begin(), choices.end(),
                     [&](const HabitChoice& a, const HabitChoice& b) { return known(a) && !known(b); });
    const std::vector<Way> promising = PromisingWays(op, f.null);
    for (const HabitChoice& choice : choices) {
      Fit null = op.Compare(With(choice, op), choice.slack());
      const bool cheap = bitnet::InfoOf(op.point()).op != bitnet::Op::kProduct;
      std::vector<Explained> explained = TryMistakes(op, choice, null, cheap, &promising);
      if (null.wrong() == 0 || explained.empty()) continue;
      AddHabits(op.point(), choice, survey_.habits);
      f.null = std::move(null);
      f.explained = std::move(explained);
      return choice;
    }
    return {};
  }

  void Describe(const TracedOperation& op, const HabitChoice& habits, Found& f) {
    SurveyFinding& finding = f.finding;
    finding.place = {-1, f.layer, f.point};
    if (f.layer >= 0) finding.layers = {f.layer};
    for (const Cell& c : f.null.cells) {
      if (!c.wrong()) continue;
      if (finding.place.position < 0) finding.place.position = c.position;
      if (c.error <= finding.times_the_limit) continue;
      finding.times_the_limit = c.error;
      finding.found = c.theirs;
      finding.expected = c.ours;
      finding.element = c.element;
    }
    if (!f.explained.empty()) finding.causes = CausesOf(f.explained, op, f.null, f.cells);
    if (f.point == Point::kAttnScores && f.explained.empty()) {
      const auto position = static_cast<size_t>(finding.place.position);
      Causes causes;
      KeysCauses(op, position, traced_.BatchOf(position), causes);
      finding.causes = causes.Sorted();
    }
    finding.estimate = f.explained.empty() || !f.explained.front().exact ? Estimate(op, With(habits, op), f.null) : "";
  }

  const bitnet::Model& model_;
  bitnet::GraphShape shape_;
  TracedTensors traced_;
  KernelArithmetic arithmetic_;
  const std::function<void(const std::string&)>& progress_;
  Survey survey_;
  std::vector<Suspect> suspects_;
  std::vector<Found> found_;
  std::vector<std::pair<Point, int>> inexact_;  // about as near as rounding allows, and not every bit
};

}  // namespace

Survey SurveyCapture(const OwnModel& own, const Capture& capture,
                     const std::function<void(const std::string&)>& progress, size_t threads) {
  return Surveyor(own, capture, progress, threads).Run();
}

}  // namespace parity
