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
  Solver(const bitnet::Model& model, const HypothesisTrial& trial, const HypothesisTrial::Score& score)
      : model_(model), trial_(trial), score_(score) {}

  // `hypotheses` keeps what the results refer to.
  void Solve(const Mistake& mistake, std::deque<Hypothesis>& hypotheses, std::vector<Scored>& scored) {
    mistake_ = &mistake;
    const double low = std::log10(mistake.dial->low), high = std::log10(mistake.dial->high);
    const int steps = static_cast<int>(std::ceil(4 * (high - low)));
    double best = low, least = std::numeric_limits<double>::infinity();
    for (int i = 0; i <= steps; ++i) {
      const double at = low + (high - low) * i / steps;
      if (const double d = Distance(at); d < least) std::tie(best, least) = std::pair(at, d);
    }
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
    scored.push_back({&hypotheses.back(), trial_.One(hypotheses.back(), score_)});
    return rounded;
  }
  double Distance(double logarithm) {
    const Hypothesis h = WithNumber(model_, *mistake_, static_cast<float>(std::pow(10.0, logarithm)));
    return trial_.One(h, score_).distance;
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
  const HypothesisTrial& trial_;
  const HypothesisTrial::Score& score_;
  const Mistake* mistake_ = nullptr;
};

void JudgeLogits(SearchResult& result) {
  if (result.healthy.every_bit) {
    result.verdict = "these are the healthy model's logits, bit for bit";
    return;
  }
  if (result.best.empty()) return;
  const HypothesisResult& best = result.best[0];
  const std::vector<std::string> rivals = Rivals(result);
  const double next = result.best.size() > 1 ? result.best[1].distance : 1;
  if (best.every_bit) {
    result.certainty = rivals.empty() ? Certainty::kCertain : Certainty::kPossible;
    result.verdict = fmt::format("{} gives every bit of the logits", NameOf(best));
    if (!rivals.empty()) result.verdict += fmt::format("; the same holds for {}", fmt::join(rivals, ", "));
  } else if (best.distance < 0.5 && best.distance < next / 1.5) {
    result.certainty = Certainty::kLikely;
    result.verdict = fmt::format("{} leaves {:.3g} of the distance to the candidate's logits, the next mistake {:.3g}",
                                 NameOf(best), best.distance, next);
  } else if (best.distance < 0.7) {
    result.certainty = Certainty::kPossible;
    result.verdict = fmt::format("{} comes nearest, and leaves {:.3g} of the distance", NameOf(best), best.distance);
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

Search::Search(SearchOptions options) : options_(std::move(options)) {
  if (options_.tokens.right.empty())
    throw std::runtime_error("the prompt has no token; nothing can be searched from it");
}

SearchResult Search::ByLogits(const Matrix& logits, std::span<const int64_t> positions) {
  const size_t n_vocab = options_.model->hyperparameters.n_vocab;
  const size_t rows = static_cast<size_t>(logits.rows), cols = static_cast<size_t>(logits.cols);
  if (cols != n_vocab || rows == 0 || rows > options_.tokens.right.size()) {
    throw std::runtime_error(fmt::format("logits: found [{}, {}], expected [1 to {}, {}]", rows, cols,
                                         options_.tokens.right.size(), n_vocab));
  }
  SearchResult result{.positions = rows};
  const std::span<const float> wanted(logits.data.data(), rows * cols);
  const HypothesisTrial trial(options_, CellsFor(options_.tokens.right.size() + 1));
  const double unit = DistanceBetween(RowsAt(trial.healthy_logits(), cols, rows, positions), wanted);
  const HypothesisTrial::Score score = [&](MistakenPass& pass, const Hypothesis&, HypothesisResult& r) {
    const Values found = RowsAt(pass.Prompt(bitnet::LogitsFor::kAll, trial.healthy()), cols, rows, positions);
    if (found.size() < wanted.size()) {
      r.distance = std::numeric_limits<double>::infinity();  // of a shorter prompt
      return;
    }
    r.every_bit = std::memcmp(found.data(), wanted.data(), wanted.size_bytes()) == 0;
    r.distance = unit == 0 ? 0 : DistanceBetween(found, wanted) / unit;
  };
  result.healthy = trial.One(Hypothesis(), score);
  if (!result.healthy.every_bit) {
    const std::vector<Hypothesis> hypotheses = AllHypotheses(*options_.model, options_.tokens);
    std::vector<Scored> scored = trial.All(hypotheses, score);
    result.possible = hypotheses.size();
    result.tried = scored.size();
    // What no way in the table gives may be another number.
    std::deque<Hypothesis> solved;
    const bool explained =
        std::any_of(scored.begin(), scored.end(), [](const Scored& s) { return s.result.every_bit; });
    if (!explained && !trial.OutOfTime()) {
      Solver solver(*options_.model, trial, score);
      for (const Mistake& mistake : AllMistakes()) {
        if (mistake.dial != nullptr) solver.Solve(mistake, solved, scored);
      }
    }
    Rank(std::move(scored), false, options_.keep, result);
  }
  JudgeLogits(result);
  result.seconds = trial.seconds();
  return result;
}

}  // namespace parity
