// From logits: how far the whole forward pass with each hypothesis is from what a candidate computed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/search.h"

namespace parity {
namespace {

// The numbers of the table's mistakes that come nearest, in every layer: a coarse grid, then between its best
// neighbours (golden section, on the logarithm), then the round numbers around what was found.
class Solver {
 public:
  Solver(const bitnet::Model& model, const Trials& trials, const Trials::Score& score)
      : model_(model), trials_(trials), score_(score) {}

  // The coarse grid of a mistake's number: the best of it, and its distance.
  struct Coarse {
    const Mistake* mistake = nullptr;
    double at = 0, distance = std::numeric_limits<double>::infinity();
  };
  Coarse Look(const Mistake& mistake) {
    mistake_ = &mistake;
    Coarse best{.mistake = &mistake};
    const double low = std::log10(mistake.dial->low), high = std::log10(mistake.dial->high);
    const int steps = StepsOf(mistake);
    for (int i = 0; i <= steps; ++i) {
      const double at = low + (high - low) * i / steps;
      if (const double d = Distance(at); d < best.distance) std::tie(best.at, best.distance) = std::pair(at, d);
    }
    return best;
  }

  // `hypotheses` keeps what the results refer to.
  void Solve(const Coarse& coarse, std::deque<Hypothesis>& hypotheses, std::vector<Scored>& scored) {
    const Mistake& mistake = *coarse.mistake;
    mistake_ = &mistake;
    const double low = std::log10(mistake.dial->low), high = std::log10(mistake.dial->high), best = coarse.at;
    const int steps = StepsOf(mistake);
    const double step = (high - low) / steps;
    const double number = std::pow(10.0, Narrow(std::max(low, best - step), std::min(high, best + step)));
    // Rounding to int8 makes the distance rough; people write round numbers.
    double nearest = Try(number, hypotheses, scored), d = scored.back().result.distance;
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
  // The float32 nearest to a short decimal number.
  double Try(double number, std::deque<Hypothesis>& hypotheses, std::vector<Scored>& scored) {
    const float rounded = std::strtof(fmt::format("{:.6g}", number).c_str(), nullptr);
    hypotheses.push_back(WithNumber(model_, *mistake_, rounded));
    scored.push_back({&hypotheses.back(), trials_.One(hypotheses.back(), score_)});
    return rounded;
  }
  double Distance(double logarithm) {
    const Hypothesis h = WithNumber(model_, *mistake_, static_cast<float>(std::pow(10.0, logarithm)));
    return trials_.One(h, score_).distance;
  }
  static int StepsOf(const Mistake& mistake) {
    return static_cast<int>(std::ceil(4 * (std::log10(mistake.dial->high) - std::log10(mistake.dial->low))));
  }

  double Narrow(double a, double b) {
    constexpr double kGolden = 0.6180339887498949;
    double c = b - kGolden * (b - a), d = a + kGolden * (b - a), of_c = Distance(c), of_d = Distance(d);
    for (int i = 0; i < 30; ++i) {
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
    return (a + b) / 2;
  }

  const bitnet::Model& model_;
  const Trials& trials_;
  const Trials::Score& score_;
  const Mistake* mistake_ = nullptr;
};

// Mistakes that leave so little more than the best may be the one as well.
constexpr double kAsNear = 1.5;

void JudgeLogits(SearchResult& result) {
  const double healthy = result.healthy.distance;
  const std::string beside =
      result.habits.empty() ? "" : fmt::format(" (beside habits: {})", fmt::join(result.habits, "; "));
  if (result.healthy.every_bit) {
    result.verdict = "these are the healthy model's logits, bit for bit";
    return;
  }
  if (result.best.empty()) return;
  const HypothesisResult& best = result.best[0];
  const std::vector<std::string> rivals = Rivals(result);
  const double next = result.best.size() > 1 ? result.best[1].distance : healthy;
  if (best.every_bit) {
    result.certainty = rivals.empty() ? Certainty::kCertain : Certainty::kPossible;
    result.verdict = fmt::format("{} gives every bit of the logits", NameOf(best)) + beside;
    if (!rivals.empty()) result.verdict += fmt::format("; the same holds for {}", fmt::join(rivals, ", "));
  } else if (best.distance < 0.5 * healthy && best.distance < next / kAsNear) {
    result.certainty = Certainty::kLikely;
    result.verdict = fmt::format("{} leaves {:.3g} of the distance to the candidate's logits, the next mistake {:.3g}",
                                 NameOf(best), best.distance, next) +
                     beside;
  } else if (best.distance < 0.7 * healthy) {
    result.certainty = Certainty::kPossible;
    result.verdict = fmt::format("{} comes nearest, and leaves {:.3g} of the distance, the next mistake {:.3g}",
                                 NameOf(best), best.distance, next) +
                     beside;
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

// Norm of the difference; infinite where one side has a number and the other has none.
double DistanceBetween(std::span<const float> a, std::span<const float> b) {
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    const double by = static_cast<double>(a[i]) - b[i];
    if (!std::isfinite(by)) return std::numeric_limits<double>::infinity();
    squares += by * by;
  }
  return std::sqrt(squares);
}

// The rows of these positions, or the first `n`; nothing where there are not so many.
Values RowsAt(Values logits, size_t cols, size_t n, std::span<const int64_t> positions) {
  if (positions.empty()) {
    logits.resize(logits.size() < n * cols ? 0 : n * cols);
    return logits;
  }
  Values rows;
  for (const int64_t position : positions) {
    const size_t at = static_cast<size_t>(position) * cols;
    if (at + cols > logits.size()) return {};
    rows.insert(rows.end(), logits.begin() + static_cast<ptrdiff_t>(at),
                logits.begin() + static_cast<ptrdiff_t>(at + cols));
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
    prompt_ = search.TrialOf(options_.tokens, CellsFor(n_prompt + 1));
    unit_ = DistanceBetween(RowsAt(prompt_->healthy_logits(), cols_, rows_, positions_), wanted_);
  }

  // `near`: also where the healthy model gives the logits, those that are as near are collected.
  SearchResult Run(bool near) {
    result_.healthy = trials_.One(Hypothesis(), ScoreOf(prompt_));
    if (!result_.healthy.every_bit || near) {
      TryAll();
      const bool open = !scored_.empty() && !Explained();  // none is scored where there was no time
      if (open) SolveForNumbers();
      if (open && !Explained() && TryBesideHabits() && !scored_.empty()) SolveForNumbers();
      if (near) CollectNear();
    }
    if (!result_.healthy.every_bit) {
      const std::vector<const Hypothesis*> ranked = Rank(std::move(scored_), false, options_.keep, result_);
      search_.found_.clear();
      if (!ranked.empty()) search_.found_ = {*ranked.front()};
      search_.found_habits_ = prompt_->habits();
    }
    JudgeLogits(result_);
    Weigh();
    result_.seconds = trials_.seconds();
    return std::move(result_);
  }

 private:
  Trials::Score ScoreOf(std::shared_ptr<const PromptTrial> prompt) const {
    return [this, prompt = std::move(prompt)](const Hypothesis& h, Arithmetic& arithmetic, HypothesisResult& r) {
      MistakenPass pass(*prompt, h, arithmetic);
      const Values found = RowsAt(pass.Prompt(bitnet::LogitsFor::kAll), cols_, rows_, positions_);
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

  void TryAll() {
    scored_ = trials_.All(search_.All(), ScoreOf(prompt_), [](const HypothesisResult& r) { return r.every_bit; });
    result_.possible = search_.All().size();
    result_.tried = scored_.size();
  }

  bool Explained() const {
    return result_.healthy.every_bit ||
           std::any_of(scored_.begin(), scored_.end(), [](const Scored& s) { return s.result.every_bit; });
  }
  const Scored& Best() const {
    return *std::min_element(scored_.begin(), scored_.end(),
                             [](const Scored& a, const Scored& b) { return BetterByLogits(a.result, b.result); });
  }

  // Habits are added to these as long as each brings the logits nearer.
  std::pair<std::vector<Hypothesis>, double> HabitsBeside(const Hypothesis& h, std::vector<Hypothesis> habits) const {
    constexpr double kNearer = 0.97;
    const Trials::Score score = ScoreOf(search_.TrialOf(options_.tokens, prompt_->n_cells()));
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

  // Beside the best mistake, or beside none where that comes as near: what the engine does otherwise everywhere. True
  // where that brings the logits nearer and everything was tried again beside it.
  bool TryBesideHabits() {
    constexpr double kNearer = 0.97, kMuchNearer = 0.7;
    bool again = false;
    for (int round = 0; round < 2 && !scored_.empty() && !Explained(); ++round) {
      const Scored best = Best();
      auto [habits, least] = HabitsFor(Hypothesis());
      double before = result_.healthy.distance;
      if (!best.result.habit) {
        if (auto [found, distance] = HabitsFor(*best.hypothesis); distance < kMuchNearer * least) {
          habits = std::move(found);
          least = distance;
          before = best.result.distance;
        }
      }
      if (habits.empty() || least > kNearer * before || trials_.OutOfTime()) break;
      again = true;
      result_.habits.clear();
      for (const Hypothesis& habit : habits) {
        if (!habit.how.empty()) result_.habits.push_back(habit.how);
      }
      prompt_ = search_.TrialOf(options_.tokens, prompt_->n_cells(), std::move(habits));
      result_.healthy = trials_.One(Hypothesis(), ScoreOf(prompt_));
      TryAll();
    }
    return again;
  }

  std::pair<std::vector<Hypothesis>, double> HabitsFor(const Hypothesis& h) const {
    auto alone = HabitsBeside(h, {}), with_float_attention = HabitsBeside(h, FloatAttention());
    return with_float_attention.second < alone.second ? std::move(with_float_attention) : std::move(alone);
  }

  // What no way in the table gives may be another number.
  void SolveForNumbers() {
    constexpr double kExplained = 0.01, kWorthIt = 0.8;
    constexpr size_t kMostSolved = 2;
    const double least = Best().result.distance;
    if (least < kExplained * result_.healthy.distance) return;
    const Trials::Score score = ScoreOf(prompt_);
    Solver solver(*options_.model, trials_, score);
    std::vector<Solver::Coarse> coarse;
    for (const Mistake& mistake : AllMistakes()) {
      if (mistake.dial == nullptr || trials_.OutOfTime()) continue;
      if (const Solver::Coarse c = solver.Look(mistake); c.distance < least / kWorthIt) coarse.push_back(c);
    }
    std::stable_sort(coarse.begin(), coarse.end(),
                     [](const auto& a, const auto& b) { return a.distance < b.distance; });
    for (size_t i = 0; i < std::min(coarse.size(), kMostSolved) && !trials_.OutOfTime(); ++i) {
      solver.Solve(coarse[i], solved_, scored_);
    }
  }

  void CollectNear() {
    search_.near_.clear();
    search_.near_distances_.clear();
    double least = result_.healthy.every_bit ? 0 : std::numeric_limits<double>::infinity();
    for (const Scored& s : scored_) least = std::min(least, s.result.distance);
    for (const Scored& s : scored_) {
      const bool near = Explained() ? s.result.every_bit : s.result.distance <= kAsNear * least;
      if (!near) continue;
      search_.near_.push_back(*s.hypothesis);
      search_.near_distances_.push_back(s.result.distance);
    }
  }

  // Of numbers whose noise is as large as what the best leaves; those of one row hang together and count as one.
  void Weigh() {
    if (!result_.certainty || result_.best.empty() || result_.best[0].every_bit) return;
    const double rows = static_cast<double>(rows_), best = std::max(result_.best[0].distance, 1e-12);
    result_.over_healthy = rows * std::log(result_.healthy.distance / best);
    if (result_.best.size() < 2) return;
    result_.next = result_.best[1].id;
    result_.over_next = rows * std::log(std::max(result_.best[1].distance, 1e-12) / best);
  }

  Search& search_;
  const SearchOptions& options_;
  std::span<const int64_t> positions_;
  size_t rows_, cols_;
  std::span<const float> wanted_;
  const Trials trials_;
  std::shared_ptr<const PromptTrial> prompt_;
  double unit_ = 0;
  std::deque<Hypothesis> solved_;
  std::vector<Scored> scored_;
  SearchResult result_;
};

SearchResult Search::ByLogits(const Matrix& logits, std::span<const int64_t> positions) {
  return ByLogitsRun(*this, logits, positions).Run(false);
}

SearchResult Search::ByTextAndLogits(const std::string& text, const bitnet::Tokenizer& tokenizer, const Matrix& logits,
                                     std::span<const int64_t> positions) {
  const SearchResult by_logits = ByLogitsRun(*this, logits, positions).Run(true);
  SearchResult by_text = ByTextOfNear(text, tokenizer);
  const bool healthy = by_logits.healthy.every_bit && by_text.healthy.prints_the_text();
  if (!healthy && (!by_text.certainty || !by_text.best[0].whole_text)) return by_logits;
  by_text.positions = by_logits.positions;
  by_text.seconds += by_logits.seconds;
  return by_text;
}

}  // namespace parity
