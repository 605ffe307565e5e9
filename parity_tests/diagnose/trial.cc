#include "parity_tests/diagnose/trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace parity {
namespace {

// An engine that rounds elsewhere comes near to a limit now and then. So many times the limit is no rounding.
constexpr double kClear = 20;
constexpr size_t kEnoughNumbers = 16;
// What is left of an error may lie as little behind a limit as a sound engine's does (kFault of the survey), where the
// whole was far more.
constexpr double kLittle = 2, kFarMore = 1000;
// Dials are looked for at so many values, evenly on a logarithmic scale, and then between the best one's neighbours.
constexpr int kDialSteps = 64, kDialRefinements = 40;

size_t PositionOf(const TracedOperation& op) { return op.n_positions() - 1; }

Site SiteOf(const TracedOperation& op) { return {op.model(), op.point(), op.layer(), PositionOf(op)}; }

// What `fit` leaves of the cells that are wrong in `null`.
Explained Judge(const Fit& null, const Fit& fit) {
  Explained e{.exact = null.wrong() > 0, .everywhere = true};  // where nothing is wrong nothing is explained
  for (size_t i = 0; i < null.cells.size(); ++i) {
    const Cell &before = null.cells[i], &after = fit.cells[i];
    if (before.wrong()) {
      e.error = std::max(e.error, after.error);
      e.exact = e.exact && after.equal == after.elements;
    } else if (after.wrong()) {
      e.everywhere = false;
    }
  }
  return e;
}

// nullptr where none is wrong.
const Cell* WorstCell(const Fit& fit) {
  const Cell* worst = nullptr;
  for (const Cell& c : fit.cells) {
    if (c.wrong() && (worst == nullptr || c.error > worst->error)) worst = &c;
  }
  return worst;
}

// Sum over the wrong cells of log(1 + error): what a dial is turned for.
double Distance(const Fit& null, const Fit& fit) {
  double sum = 0;
  for (size_t i = 0; i < null.cells.size(); ++i) {
    if (!null.cells[i].wrong()) continue;
    sum += std::isfinite(fit.cells[i].error) ? std::log1p(fit.cells[i].error) : 1e3;
  }
  return sum;
}

// The shortest decimal number near `value` that fits as well: "1.2e-05".
float Shortened(float value, double best, const std::function<double(float)>& distance) {
  for (int digits = 1; digits <= 6; ++digits) {
    const float shorter = std::stof(fmt::format("{:.{}e}", value, digits - 1));
    if (distance(shorter) <= best * 1.02 + 1e-9) return shorter;
  }
  return value;
}

// The number with which the mistake comes nearest to what the engine has.
std::optional<Explained> TurnDial(const TracedOperation& op, const HabitChoice& habits, const Fit& null,
                                  const Mistake& mistake) {
  const Dial& dial = *mistake.dial;
  const Parameters right = With(habits, op);
  const auto fit_with = [&](float value) {
    Parameters p = right;
    dial.set(p, value);
    return op.Compare(p, habits.slack());
  };
  // A product is looked at in its worst row until the number is known.
  const bool product = bitnet::InfoOf(op.point()).op == bitnet::Op::kProduct;
  const auto distance = [&](float value) {
    if (!product) return Distance(null, fit_with(value));
    Parameters p = right;
    dial.set(p, value);
    return std::log1p(op.ErrorAt(p, static_cast<size_t>(WorstCell(null)->position), WorstCell(null)->element));
  };
  const double low = std::log(dial.low), high = std::log(dial.high), step = (high - low) / kDialSteps;
  double at = low, best = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= kDialSteps; ++i) {
    const double d = distance(static_cast<float>(std::exp(low + i * step)));
    if (d < best) {
      best = d;
      at = low + i * step;
    }
  }
  // Near the right value the step of the scan is wide: look there as well.
  const float own = dial.right(right);
  if (own > dial.low && own < dial.high) {
    for (const double by : {0.9, 0.97, 0.99, 1.01, 1.03, 1.1}) {
      const double d = distance(static_cast<float>(own * by));
      if (d < best) {
        best = d;
        at = std::log(own * by);
      }
    }
  }
  double a = at - step, b = at + step;
  const double golden = (std::sqrt(5.0) - 1) / 2;
  for (int i = 0; i < kDialRefinements; ++i) {
    const double x = b - golden * (b - a), y = a + golden * (b - a);
    if (distance(static_cast<float>(std::exp(x))) <= distance(static_cast<float>(std::exp(y)))) {
      b = y;
    } else {
      a = x;
    }
  }
  auto value = static_cast<float>(std::exp((a + b) / 2));
  value = Shortened(value, distance(value), distance);
  Explained e = Judge(null, fit_with(value));
  if (e.error > 1) return std::nullopt;
  e.mistake = &mistake;
  e.dial = value;
  e.how = fmt::format("{} {:g} in place of {:g}, solved for", dial.name, value, own);
  return e;
}

// Whether all that is wrong is a short stretch of each row.
bool PartsAreWrong(const Fit& null) {
  return std::all_of(null.cells.begin(), null.cells.end(), [](const Cell& c) {
    return !c.wrong() ||
           (c.first_wrong >= 0 && static_cast<size_t>(c.last_wrong - c.first_wrong + 1) * 2 <= c.elements);
  });
}

// A product of many rows is tried on its worst one first.
bool IsHopeless(const TracedOperation& op, const Fit& null, const Parameters& p, double slack = 0) {
  constexpr double kFarOff = 100;  // times what rounding can do
  if (bitnet::InfoOf(op.point()).op != bitnet::Op::kProduct || PartsAreWrong(null)) return false;
  if (p.row_shift != 0 || p.product.quantizing.group == Quantizing::Group::kBatch) return false;
  if (p.spoil) return false;  // it may round, and one row alone is summed in another order
  const Cell* worst = WorstCell(null);
  return worst != nullptr && op.ErrorAt(p, static_cast<size_t>(worst->position), worst->element, slack) > kFarOff;
}

std::optional<Explained> TryChange(const TracedOperation& op, const HabitChoice& habits, const Fit& null,
                                   const Change& change) {
  Parameters p = With(habits, op);
  change.apply(p);
  Fit fit;
  try {
    if (IsHopeless(op, null, p)) return std::nullopt;
    fit = op.Compare(p, habits.slack());
  } catch (const NotTraced&) {
    return std::nullopt;  // it reads a tensor that the engine did not leave
  } catch (const std::runtime_error&) {
    return std::nullopt;  // ... or one of another width
  }
  Explained e = Judge(null, fit);
  // A stretch of the row may be wrong by itself.
  if (e.error > 1 && PartsAreWrong(null)) {
    e = Judge(null, op.Compare(p, habits.slack(), &null));
    e.everywhere = false;
  }
  if (e.error > (null.worst() > kFarMore ? kLittle : 1)) return std::nullopt;
  e.how = change.how;
  return e;
}

bool IsTriedAt(const Mistake& mistake, const TracedOperation& op) {
  return mistake.tried && mistake.changes != nullptr && mistake.slack == 0 && mistake.points.Has(op.point());
}

bool Better(const Explained& a, const Explained& b) {
  if (a.exact != b.exact) return a.exact;
  if (a.everywhere != b.everywhere) return a.everywhere;
  if (a.dial.has_value() != b.dial.has_value()) return !a.dial.has_value();
  return false;
}

}  // namespace

double HabitChoice::slack() const {
  double slack = 0;
  for (const Part& part : parts) slack = std::max(slack, part.habit->slack);
  return slack;
}

Fit ByBits(Fit fit) {
  for (Cell& c : fit.cells) {
    if (c.equal < c.elements && !c.wrong()) c.error = std::nextafter(1.0, 2.0);
  }
  return fit;
}

Parameters With(const HabitChoice& habits, const TracedOperation& op) {
  Parameters p = op.parameters();
  for (const HabitChoice::Part& part : habits.parts) {
    const std::vector<Change> changes = part.habit->changes(SiteOf(op));
    if (part.way < changes.size()) changes[part.way].apply(p);
  }
  return p;
}

std::vector<Way> PromisingWays(const TracedOperation& op, const Fit& null) {
  const Cell* worst = WorstCell(null);
  std::vector<Way> ways;
  if (worst == nullptr) return ways;
  const auto position = static_cast<size_t>(worst->position);
  const bool product = bitnet::InfoOf(op.point()).op == bitnet::Op::kProduct;
  for (const Mistake& mistake : AllMistakes()) {
    if (!IsTriedAt(mistake, op)) continue;
    const std::vector<Change> changes = mistake.changes(SiteOf(op));
    for (size_t way = 0; way < changes.size(); ++way) {
      Parameters p = op.parameters();
      changes[way].apply(p);
      try {
        // What depends on the batch is not seen in one row.
        const bool whole = !product || p.row_shift != 0 || p.product.quantizing.group == Quantizing::Group::kBatch;
        const double left = whole ? Judge(null, op.Compare(p)).error : op.ErrorAt(p, position, worst->element);
        if (left <= worst->error / 2) ways.push_back({&mistake, way});
      } catch (const NotTraced&) {
        continue;  // it reads a tensor that the engine did not leave
      } catch (const std::runtime_error&) {
        continue;  // ... or one of another width
      }
    }
  }
  return ways;
}

std::vector<Explained> TryMistakes(const TracedOperation& op, const HabitChoice& habits, const Fit& null, bool solve,
                                   const std::vector<Way>* among) {
  std::vector<Explained> found;
  if (null.wrong() == 0) return found;
  const Site site = SiteOf(op);
  for (const Mistake& mistake : AllMistakes()) {
    if (!IsTriedAt(mistake, op)) continue;
    const std::vector<Change> changes = mistake.changes(site);
    for (size_t way = 0; way < changes.size(); ++way) {
      if (among != nullptr && std::find(among->begin(), among->end(), Way{&mistake, way}) == among->end()) continue;
      std::optional<Explained> e = TryChange(op, habits, null, changes[way]);
      if (!e) continue;
      e->mistake = &mistake;
      e->way = way;
      found.push_back(std::move(*e));
    }
  }
  // Numbers are solved for where no row of the table does as it stands.
  for (const Mistake& mistake : AllMistakes()) {
    if (!found.empty() || !solve) break;
    if (mistake.dial == nullptr || !mistake.tried || !mistake.points.Has(op.point())) continue;
    if (std::optional<Explained> e = TurnDial(op, habits, null, mistake)) found.push_back(std::move(*e));
  }
  std::stable_sort(found.begin(), found.end(), Better);
  return found;
}

std::optional<Explained> TryAgain(const TracedOperation& op, const HabitChoice& habits, const Fit& null,
                                  const Explained& known) {
  Change change{known.how, nullptr};
  if (known.dial) {
    change.apply = [&known](Parameters& p) { known.mistake->dial->set(p, *known.dial); };
  } else {
    const std::vector<Change> changes = known.mistake->changes(SiteOf(op));
    if (known.way >= changes.size() || changes[known.way].how != known.how) return std::nullopt;
    change = changes[known.way];
  }
  std::optional<Explained> e = TryChange(op, habits, null, change);
  if (!e) return std::nullopt;
  e->mistake = known.mistake;
  e->way = known.way;
  e->dial = known.dial;
  return e;
}

std::vector<HabitChoice> PossibleHabits(const TracedOperation& op) {
  std::vector<HabitChoice::Part> parts;
  const Site site = SiteOf(op);
  for (const Mistake& m : AllMistakes()) {
    if (!m.habit || !m.points.Has(op.point())) continue;
    const std::vector<Change> changes = m.changes(site);
    for (size_t way = 0; way < changes.size(); ++way) parts.push_back({&m, way, changes[way].how});
  }
  std::vector<HabitChoice> choices;
  for (size_t i = 0; i < parts.size(); ++i) choices.push_back({{parts[i]}});
  for (size_t i = 0; i < parts.size(); ++i) {
    for (size_t j = i + 1; j < parts.size(); ++j) {
      if (parts[i].habit != parts[j].habit) choices.push_back({{parts[i], parts[j]}});
    }
  }
  // What allows for more comes behind what explains exactly.
  std::stable_sort(choices.begin(), choices.end(), [](const HabitChoice& a, const HabitChoice& b) {
    return std::pair(a.slack(), a.parts.size()) < std::pair(b.slack(), b.parts.size());
  });
  return choices;
}

HabitChoice FindHabits(const std::vector<const TracedOperation*>& layers) {
  HabitChoice best;
  size_t best_cleared = 0, best_wrong = 0;
  std::vector<Fit> nulls;
  for (const TracedOperation* op : layers) {
    nulls.push_back(op->Compare(op->parameters()));
    best_wrong += nulls.back().wrong();
  }
  const size_t wrong_without = best_wrong;
  for (const HabitChoice& choice : PossibleHabits(*layers.front())) {
    if (IsHopeless(*layers.front(), nulls.front(), With(choice, *layers.front()), choice.slack())) continue;
    size_t cleared = 0, wrong = 0;
    for (const TracedOperation* op : layers) {
      const size_t n = op->Compare(With(choice, *op), choice.slack()).wrong();
      cleared += n == 0;
      wrong += n;
    }
    if (std::pair(cleared, best_wrong) <= std::pair(best_cleared, wrong)) continue;
    // A slack that leaves something wrong may be hiding it elsewhere.
    if (choice.slack() > 0 && cleared < layers.size()) continue;
    best = choice;
    best_cleared = cleared;
    best_wrong = wrong;
    if (cleared == layers.size()) break;
  }
  const bool explains = best_cleared > 0 || best_wrong * 2 < wrong_without;
  return explains ? best : HabitChoice{};
}

std::vector<Cause> CausesOf(const std::vector<Explained>& found, const TracedOperation& op, const Fit& null,
                            const std::string& which_cells) {
  std::vector<const Explained*> best;
  for (const Explained& e : found) {
    if (Better(found.front(), e)) continue;
    const bool known =
        std::any_of(best.begin(), best.end(), [&e](const Explained* other) { return other->mistake == e.mistake; });
    if (!known) best.push_back(&e);
  }
  size_t n = 0, whole = 0;
  for (const Cell& c : null.cells) {
    if (!c.wrong()) continue;
    n += std::max(c.n_wrong, size_t{1});
    whole += c.elements;
  }
  const bool clear = null.worst() >= kClear && n >= kEnoughNumbers && best.size() == 1;
  const std::string where = which_cells.empty() ? "" : fmt::format(" ({})", which_cells);
  std::vector<Cause> causes;
  for (const Explained* e : best) {
    const std::string what =
        e->exact ? fmt::format("all {} numbers of its {} bit for bit{}", whole, PointName(op.point()), where)
                 : fmt::format(
                       "its {} as nearly as rounding allows{}; without it {} numbers are off by up to {:.3g} "
                       "times that",
                       PointName(op.point()), where, n, null.worst());
    causes.push_back({.id = std::string(e->mistake->id),
                      .certainty = e->exact || (clear && e->everywhere) ? Certainty::kCertain : Certainty::kLikely,
                      .evidence = fmt::format("{}, computed from the engine's own inputs, gives {}", e->how, what),
                      .what = std::string(e->mistake->what),
                      .remedy = std::string(e->mistake->remedy)});
  }
  return causes;
}

}  // namespace parity
