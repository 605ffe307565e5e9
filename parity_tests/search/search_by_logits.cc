// From logits: how far the whole forward pass with each hypothesis is from what a candidate computed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <list>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "parity_tests/search/first_row.h"
#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/mistaken_pass.h"
#include "parity_tests/search/search.h"

namespace parity {
namespace {

// The number of a mistake that comes nearest, in every layer or in one: by grids, each between the best neighbours of
// the one before, then by golden section, all on the logarithm; then the round numbers around what was found. Int8
// roundings leave a trough of a percent or two, so the last grid is fine; and so it is about the right number, off
// which people are by a little.
class Solver {
 public:
  Solver(const bitnet::Model& model, const Trials& trials, const Trials::Score& score, const Mistake& mistake,
         int layer)
      : model_(model), trials_(trials), score_(score), mistake_(mistake), layer_(layer) {
    const double low = std::log10(mistake.dial->low), high = std::log10(mistake.dial->high);
    double from = low, to = high;
    if (layer != Hypothesis::kEverywhere) {  // where there are many layers to look in: half to twice the right number
      const double right = std::log10(RightNumber(model, mistake, layer)), two = std::log10(2.0);
      if (std::isfinite(right)) std::tie(from, to) = std::pair(right - two, right + two);
    }
    Scan(from, to, kSteps.front());
    if (const double right = std::log10(RightNumber(model, mistake, layer)); std::isfinite(right)) {
      Scan(right - kSteps[1], right + kSteps[1], kSteps.back());
    }
    for (size_t i = 1; i < kSteps.size(); ++i) Scan(at_ - kSteps[i - 1], at_ + kSteps[i - 1], kSteps[i]);
    Narrow(at_ - kSteps.back(), at_ + kSteps.back(), kFewSteps);
  }

  // Of what is found without the round numbers.
  double distance() const { return distance_; }

  // `hypotheses` keeps what the results refer to.
  void Solve(std::deque<Hypothesis>& hypotheses, std::vector<Scored>& scored) {
    const double within = kSteps.back() * std::pow(kGolden, kFewSteps);
    Narrow(at_ - within, at_ + within, kFewSteps);
    // Rounding to int8 makes the distance rough; people write round numbers.
    double nearest = Try(std::pow(10.0, at_), hypotheses, scored), d = scored.back().result.distance;
    for (const auto& [digits, range] : {std::pair(2, 1.5), std::pair(3, 1.06)}) {
      const double unit = std::pow(10.0, std::floor(std::log10(nearest)) - (digits - 1));
      const double from = nearest / range, to = nearest * range;
      for (double at = std::ceil(from / unit) * unit; at <= to; at += unit) {
        const double tried = Try(at, hypotheses, scored);
        if (scored.back().result.every_bit) return;
        if (scored.back().result.distance < d) std::tie(nearest, d) = std::pair(tried, scored.back().result.distance);
      }
    }
  }

 private:
  static constexpr std::array kSteps = {0.25, 0.04, 0.007};  // of the grids, in decades
  static constexpr double kGolden = 0.6180339887498949;
  static constexpr int kFewSteps = 15;

  // The float32 nearest to a short decimal number.
  double Try(double number, std::deque<Hypothesis>& hypotheses, std::vector<Scored>& scored) {
    const float rounded = std::strtof(fmt::format("{:.6g}", number).c_str(), nullptr);
    hypotheses.push_back(WithNumber(model_, mistake_, rounded, layer_));
    scored.push_back({&hypotheses.back(), trials_.One(hypotheses.back(), score_)});
    return rounded;
  }
  double Distance(double logarithm) {
    if (trials_.OutOfTime()) return std::numeric_limits<double>::infinity();
    return trials_.One(WithNumber(model_, mistake_, static_cast<float>(std::pow(10.0, logarithm)), layer_), score_)
        .distance;
  }

  void Scan(double from, double to, double step) {
    const double steps = std::ceil((to - from) / step);
    for (double i = 0; i <= steps; ++i) {
      const double at = from + (to - from) * i / steps;
      if (const double d = Distance(at); d < distance_) std::tie(at_, distance_) = std::pair(at, d);
    }
  }

  void Narrow(double a, double b, int steps) {
    double c = b - kGolden * (b - a), d = a + kGolden * (b - a), of_c = Distance(c), of_d = Distance(d);
    for (int i = 0; i < steps; ++i) {
      if (of_c < of_d) {
        b = std::exchange(d, c);
        of_d = of_c;
        c = b - kGolden * (b - a);
        of_c = Distance(c);
      } else {
        a = std::exchange(c, d);
        of_c = of_d;
        d = a + kGolden * (b - a);
        of_d = Distance(d);
      }
    }
    if (std::min(of_c, of_d) > distance_) return;
    std::tie(at_, distance_) = of_c < of_d ? std::pair(c, of_c) : std::pair(d, of_d);
  }

  const bitnet::Model& model_;
  const Trials& trials_;
  const Trials::Score& score_;
  const Mistake& mistake_;
  int layer_;
  double at_ = 0, distance_ = std::numeric_limits<double>::infinity();  // at_: a logarithm
};

// The numbers that leave less than `least`, in every layer and in one. `kept` holds what the results refer to.
std::vector<Scored> SolvedNumbers(const bitnet::Model& model, const Trials& trials, const Trials::Score& score,
                                  double least, std::deque<Hypothesis>& kept) {
  constexpr double kWorthIt = 0.8;
  constexpr size_t kMostSolved = 3;
  const auto n_layer = static_cast<int>(model.hyperparameters.n_layer);
  std::list<Solver> solvers;
  for (const Mistake& mistake : AllMistakes()) {
    if (mistake.dial == nullptr) continue;
    for (int layer = Hypothesis::kEverywhere; layer < n_layer; ++layer) {
      const bool one_layer = layer != Hypothesis::kEverywhere;
      if (trials.OutOfTime() || (one_layer && (layer < 0 || !mistake.InLayer() || trials.TakesLong()))) continue;
      solvers.emplace_back(model, trials, score, mistake, layer);
      if (solvers.back().distance() >= least / kWorthIt) solvers.pop_back();
    }
  }
  solvers.sort([](const Solver& a, const Solver& b) { return a.distance() < b.distance(); });
  size_t solved = 0;
  std::vector<Scored> found;
  for (Solver& solver : solvers) {
    if (trials.OutOfTime() || solved++ == kMostSolved) break;
    solver.Solve(kept, found);
  }
  // A number that may be anything fits a little better than the right mistake, which has none.
  std::erase_if(found, [least](const Scored& s) { return s.result.distance >= kWorthIt * least; });
  return found;
}

// Mistakes that leave so little more than the best may be the one as well.
constexpr double kAsNear = 1.5;

void JudgeLogits(SearchResult& result) {
  // Beside habits that belong to a mistake the healthy model may come out worse than it is.
  const double healthy = std::min(1.0, result.healthy.distance);
  const std::string beside =
      result.habits.empty() ? "" : fmt::format(" (beside habits: {})", fmt::join(result.habits, "; "));
  if (result.healthy.every_bit) {
    result.verdict = "these are the healthy model's logits, bit for bit" + beside;
    return;
  }
  if (result.best.empty()) return;
  const HypothesisResult& best = result.best[0];
  const std::vector<std::string> rivals = Rivals(result);
  const std::string as_well =
      (rivals.empty() ? "" : fmt::format("; the same holds for {}", fmt::join(rivals, ", "))) + beside;
  const size_t after = NextToldApart(result, 0);
  const double next = after < result.best.size() ? result.best[after].distance : healthy;
  if (best.every_bit) {
    result.certainty = rivals.empty() ? Certainty::kCertain : Certainty::kPossible;
    result.verdict = fmt::format("{} gives every bit of the logits", NameOf(best)) + as_well;
  } else if (rivals.empty() && best.distance < 0.5 * healthy && best.distance < next / kAsNear) {
    result.certainty = Certainty::kLikely;
    result.verdict = fmt::format("{} leaves {:.3g} of the distance to the candidate's logits, the next mistake {:.3g}",
                                 NameOf(best), best.distance, next) +
                     beside;
  } else if (best.distance < 0.7 * healthy) {
    result.certainty = Certainty::kPossible;
    result.verdict = fmt::format("{} comes nearest, and leaves {:.3g} of the distance, the next mistake {:.3g}",
                                 NameOf(best), best.distance, next) +
                     as_well;
  } else if (!result.habits.empty()) {
    result.verdict = fmt::format(
        "what the engine does otherwise everywhere explains its logits, but for {:.3g} of the distance, and no known "
        "mistake comes much nearer{}",
        healthy, beside);
  } else {
    result.verdict =
        fmt::format("no known mistake comes near these logits: the nearest, {}, leaves {:.3g} of the distance", best.id,
                    best.distance);
  }
}

size_t RowOfTheFirst(std::span<const int64_t> positions) {
  return positions.empty() ? 0 : static_cast<size_t>(std::ranges::min_element(positions) - positions.begin());
}

// The first `n` rows, or those of these positions of a prompt of `n_prompt` tokens; nothing where there are not so
// many. Where a mistake made the prompt longer or shorter, positions are counted from its end: its last is still the
// last.
Values RowsAt(Values logits, size_t cols, size_t n, std::span<const int64_t> positions, size_t n_prompt) {
  if (positions.empty()) {
    logits.resize(logits.size() < n * cols ? 0 : n * cols);
    return logits;
  }
  const auto n_rows = static_cast<int64_t>(logits.size() / cols), longer = n_rows - static_cast<int64_t>(n_prompt);
  Values rows;
  for (const int64_t position : positions) {
    const int64_t row = position + longer;
    if (row < 0 || row >= n_rows) return {};
    const auto first = logits.begin() + row * static_cast<int64_t>(cols);
    rows.insert(rows.end(), first, first + static_cast<int64_t>(cols));
  }
  return rows;
}

}  // namespace

// The distance of each hypothesis. Where none gives every bit: what the engine does otherwise everywhere is sought with
// the best, and with none, and everything is tried again beside that; then numbers are solved for.
class Search::ByLogitsRun {
 public:
  ByLogitsRun(Search& search, const Matrix& logits, std::span<const int64_t> positions)
      : search_(search),
        options_(search.options_),
        positions_(positions),
        rows_(static_cast<size_t>(logits.rows)),
        cols_(static_cast<size_t>(logits.cols)),
        trials_(search.options_) {
    const size_t n_vocab = options_.model->hyperparameters.n_vocab, n_prompt = options_.tokens.right.size();
    if (cols_ != n_vocab || rows_ == 0 || rows_ > n_prompt) {
      throw std::runtime_error(
          fmt::format("logits: found [{}, {}], expected [1 to {}, {}]", rows_, cols_, n_prompt, n_vocab));
    }
    const bool inside = std::all_of(positions.begin(), positions.end(),
                                    [n_prompt](int64_t p) { return p >= 0 && p < static_cast<int64_t>(n_prompt); });
    if (!positions.empty() && (positions.size() != rows_ || !inside)) {
      throw std::runtime_error(fmt::format("logits: found rows of positions {}, expected {} of 0 to {}",
                                           fmt::join(positions, ", "), rows_, n_prompt - 1));
    }
    wanted_ = std::span(logits.data.data(), rows_ * cols_);
    result_.positions = rows_;
    round_.prompt = search.TrialOf(options_.tokens, CellsFor(n_prompt + 1));
    unit_ = DistanceBetween(RowsOf(round_.prompt->healthy_logits()), wanted_);
  }

  // `near`, if not nullptr, takes those that are about as near as the best, also where the healthy model gives the
  // logits.
  SearchResult Run(Near* near) {
    search_.found_.reset();
    round_.healthy = trials_.One(Hypothesis(), ScoreOf(round_.prompt));
    if (!round_.healthy.every_bit || near != nullptr) {
      TryAll(round_);
      // None is scored where there was no time; none is near logits that are no numbers.
      const bool open = !round_.scored.empty() && !Explained() && std::isfinite(round_.least());
      if (open) SolveForNumbers(round_);
      if (open && !Enough()) TryBesideHabits();
      if (near != nullptr) CollectNear(*near);
    }
    result_.healthy = round_.healthy;
    result_.tried = round_.tried;
    result_.possible = round_.possible;
    result_.ended_early = round_.tried < round_.possible;
    for (const Hypothesis& habit : round_.prompt->habits()) {
      if (!habit.how.empty()) result_.habits.push_back(habit.how);
    }
    if (!result_.healthy.every_bit) {
      const std::vector<const Hypothesis*> ranked = Rank(std::move(round_.scored), false, options_.keep, result_);
      if (!ranked.empty())
        search_.found_ = std::make_shared<const Found>(Found{*ranked.front(), round_.prompt->habits()});
    }
    JudgeLogits(result_);
    SayWhatWasNotTried(result_);
    Weigh();
    result_.seconds = trials_.seconds();
    return std::move(result_);
  }

 private:
  // Those that are compared.
  Values RowsOf(Values logits) const {
    return RowsAt(std::move(logits), cols_, rows_, positions_, options_.tokens.right.size());
  }

  Trials::Score ScoreOf(std::shared_ptr<const PromptTrial> prompt) const {
    return [this, prompt = std::move(prompt)](const Hypothesis& h, Arithmetic& arithmetic, HypothesisResult& r) {
      MistakenPass pass(*prompt, h, arithmetic);
      const Values found = RowsOf(pass.PromptLogits(bitnet::LogitsFor::kAll));
      if (found.size() < wanted_.size()) {
        r.distance = std::numeric_limits<double>::infinity();  // of a shorter prompt
        return;
      }
      r.every_bit = std::memcmp(found.data(), wanted_.data(), wanted_.size_bytes()) == 0;
      const double distance = DistanceBetween(found, wanted_);
      const bool a_share = unit_ != 0 && std::isfinite(unit_) && std::isfinite(distance);
      r.distance = a_share ? distance / unit_ : unit_ == 0 ? 0 : distance;  // NaN would have no order
    };
  }

  // Every hypothesis, beside the habits of `prompt`.
  struct Round {
    std::shared_ptr<const PromptTrial> prompt = nullptr;
    HypothesisResult healthy = {};
    std::vector<Scored> scored = {};
    size_t tried = 0, possible = 0;

    const Scored& best() const {
      return *std::min_element(scored.begin(), scored.end(),
                               [](const Scored& a, const Scored& b) { return BetterByLogits(a.result, b.result); });
    }
    double least() const {
      return scored.empty() ? healthy.distance : std::min(healthy.distance, best().result.distance);
    }
  };

  void TryAll(Round& round) const {
    std::span<const Hypothesis> all = search_.All();
    // Beside what is done everywhere nothing is done otherwise in one layer alone.
    if (!round.prompt->habits().empty()) all = all.first(CountUsual(all));
    round.scored = trials_.All(all, ScoreOf(round.prompt), [](const HypothesisResult& r) { return r.every_bit; });
    round.possible = all.size();
    round.tried = round.scored.size();
  }
  Round TryAllBeside(std::vector<Hypothesis> habits) {
    Round round{.prompt = search_.TrialOf(options_.tokens, round_.prompt->n_cells(), std::move(habits))};
    round.healthy = trials_.One(Hypothesis(), ScoreOf(round.prompt));
    if (round.healthy.every_bit) return round;
    TryAll(round);
    if (!round.scored.empty()) SolveForNumbers(round);
    return round;
  }

  bool Explained() const {
    return round_.healthy.every_bit ||
           std::any_of(round_.scored.begin(), round_.scored.end(), [](const Scored& s) { return s.result.every_bit; });
  }

  bool Enough() const {
    constexpr double kNearEnough = 0.05;
    return Explained() || round_.least() < kNearEnough;
  }

  // Habits are added to these as long as each brings the logits nearer.
  std::pair<std::vector<Hypothesis>, double> HabitsBeside(const Hypothesis& h, std::vector<Hypothesis> habits) const {
    constexpr double kNearer = 0.97;
    const Trials::Score score = ScoreOf(search_.TrialOf(options_.tokens, round_.prompt->n_cells()));
    const std::vector<Hypothesis> all = HabitHypotheses(*options_.model);
    const auto with = [&h](const std::vector<Hypothesis>& some) {
      Hypothesis both = h;
      both.number = -1;
      both.also.insert(both.also.end(), some.begin(), some.end());
      return both;
    };
    double least = trials_.One(with(habits), score).distance;
    for (bool nearer = true; nearer && !trials_.OutOfTime();) {
      nearer = false;
      std::vector<Hypothesis> tried;
      for (const Hypothesis& habit : all) {
        const auto same = [&habit](const Hypothesis& other) { return other.mistake == habit.mistake; };
        if (same(h) || std::any_of(habits.begin(), habits.end(), same)) continue;
        tried.push_back(with(habits));
        tried.back().also.push_back(habit);
      }
      const double before = least;
      for (const Scored& s : trials_.All(tried, score)) {
        if (s.result.distance >= std::min(least, kNearer * before)) continue;
        least = s.result.distance;
        if (nearer) habits.pop_back();
        habits.push_back(s.hypothesis->also.back());
        nearer = true;
      }
    }
    return {std::move(habits), least};
  }

  // Everything is tried again beside what the engine does otherwise everywhere. That is sought with the mistake in the
  // first row; where nothing comes near that, beside the best mistake so far and beside none.
  void TryBesideHabits() {
    constexpr size_t kRounds = 2, kMostTried = 3;
    const size_t at = RowOfTheFirst(positions_);
    const size_t first = positions_.empty() ? 0 : static_cast<size_t>(positions_[at]);
    const std::span<const Hypothesis> all = std::span(search_.All()).first(CountUsual(search_.All()));
    const Values healthy = RowsOf(round_.prompt->healthy_logits());
    std::vector<BesideHabits> nearest =
        search_.FirstRowAt(first).Nearest(trials_, wanted_.subspan(at * cols_, cols_),
                                          std::span(healthy).subspan(at * cols_, cols_), all, CountWhole(all));
    nearest.resize(std::min(nearest.size(), kMostTried));
    for (const BesideHabits& found : nearest) {
      if (!found.near() || trials_.OutOfTime()) break;
      TryOnceBeside(found.habits);
      if (Enough()) return;
      TryOnceBeside(HabitsBeside(found.mistake, found.habits).first);
      if (found.explained()) break;
    }
    for (size_t i = 0; i < kRounds && !Enough(); ++i) {
      bool nearer = false;
      for (const Hypothesis& h : {Hypothesis(), *round_.best().hypothesis}) {
        if (Enough() || trials_.OutOfTime()) return;
        const std::vector<Hypothesis> habits = HabitsFor(h);
        nearer |= TryOnceBeside(WithFloatAttention(habits));
        nearer |= TryOnceBeside(habits);
      }
      if (!nearer) break;
    }
  }

  // Whether that came nearer.
  bool TryOnceBeside(const std::vector<Hypothesis>& habits) {
    constexpr double kNearer = 0.97;
    const auto same = [&habits](const std::vector<Hypothesis>& tried) { return AreSame(tried, habits); };
    if (Enough() || trials_.OutOfTime() || std::ranges::any_of(tried_beside_, same)) return false;
    tried_beside_.push_back(habits);
    Round round = TryAllBeside(habits);
    const bool answered = round.healthy.every_bit || !round.scored.empty();
    if (!answered || !(round.healthy.every_bit || round.least() < kNearer * round_.least())) return false;
    round_ = std::move(round);
    return true;
  }

  std::vector<Hypothesis> HabitsFor(const Hypothesis& h) const {
    if (h.mistake != nullptr && h.mistake->habit) return {};
    auto alone = HabitsBeside(h, {}), with_float_attention = HabitsBeside(h, FloatAttention());
    return with_float_attention.second < alone.second ? std::move(with_float_attention.first) : std::move(alone.first);
  }

  // What no way in the table gives may be another number, in every layer or in one.
  void SolveForNumbers(Round& round) {
    constexpr double kExplained = 0.01, kExplainedBesideHabits = 0.02;
    const double least = round.best().result.distance;
    const double explained =
        round.prompt->habits().empty() ? kExplained * round.healthy.distance : kExplainedBesideHabits;
    if (least < explained) return;
    std::ranges::move(SolvedNumbers(*options_.model, trials_, ScoreOf(round.prompt), least, solved_),
                      std::back_inserter(round.scored));
  }

  void CollectNear(Near& near) const {
    for (const Scored& s : round_.scored) {
      if (Explained() ? !s.result.every_bit : s.result.distance > kAsNear * round_.least()) continue;
      near.hypotheses.push_back(*s.hypothesis);
      near.distances.push_back(s.result.distance);
    }
    near.habits = round_.prompt->habits();
    near.tried = round_.tried;
    near.possible = round_.possible;
  }

  // Of numbers whose noise is as large as what the best leaves; those of one row hang together and count as one.
  void Weigh() {
    if (!result_.certainty || result_.best.empty() || result_.best[0].every_bit) return;
    const double rows = static_cast<double>(rows_), best = std::max(result_.best[0].distance, 1e-12);
    result_.over_healthy = rows * std::log(std::min(1.0, result_.healthy.distance) / best);
    const size_t next = NextToldApart(result_, 0);
    if (next == result_.best.size()) return;
    result_.next = result_.best[next].id;
    result_.over_next = rows * std::log(std::max(result_.best[next].distance, 1e-12) / best);
  }

  Search& search_;
  const SearchOptions& options_;
  std::span<const int64_t> positions_;
  size_t rows_, cols_;
  std::span<const float> wanted_;
  const Trials trials_;
  Round round_;
  double unit_ = 0;
  std::deque<Hypothesis> solved_;
  std::vector<std::vector<Hypothesis>> tried_beside_ = {{}};
  SearchResult result_;
};

SearchResult Search::ByLogits(const Matrix& logits, std::span<const int64_t> positions) {
  return ByLogitsRun(*this, logits, positions).Run(nullptr);
}

SearchResult Search::ByTextAndLogits(const std::string& text, const bitnet::Tokenizer& tokenizer, const Matrix& logits,
                                     std::span<const int64_t> positions) {
  Near near;
  SearchResult by_logits = ByLogitsRun(*this, logits, positions).Run(&near);
  const std::shared_ptr<const Found> found_by_logits = found_;
  SearchResult by_text = ByTextOfNear(text, tokenizer, near);
  const bool healthy = by_logits.healthy.every_bit && by_text.healthy.prints_the_text();
  if (!healthy && (!by_text.certainty || !by_text.best[0].whole_text)) {
    found_ = found_by_logits;
    return by_logits;
  }
  by_text.positions = by_logits.positions;
  by_text.seconds += by_logits.seconds;
  return by_text;
}

}  // namespace parity
