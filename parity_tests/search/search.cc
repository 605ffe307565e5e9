#include "parity_tests/search/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <utility>

#include "parity_tests/oracle/pass.h"
#include "parity_tests/search/hypotheses.h"
#include "parity_tests/search/speller.h"

namespace parity {
namespace {

// Standard deviations of a row of logits: what a text may lose on its way and still be this model's, by its rounding.
constexpr double kMostRegret = 0.5;
// A model without contrast would print anything at no regret: so many tokens, and one of eight, may be others than its
// first choice.
constexpr size_t kMostOthers = 2;
constexpr size_t kTokensForAnother = 8;
// A text that the healthy model prints at so little regret is that of a healthy engine that rounds otherwise.
constexpr double kHealthyRegret = 0.1;
// A text shorter than this may be another model's by chance.
constexpr size_t kTokensForCertainty = 8;

using Clock = std::chrono::steady_clock;

size_t CellsFor(size_t positions) { return (positions + 255) / 256 * 256; }

// One forward pass with a mistake in it.
class MistakenPass {
 public:
  MistakenPass(const SearchOptions& options, const Hypothesis& h, Arithmetic& arithmetic, size_t n_cells)
      : model_(*options.model), h_(h), right_(options.tokens.right) {
    PassOptions pass{.n_cells = n_cells, .change = {}, .trace = nullptr};
    if (!h.points.empty()) {
      pass.change = [this](Point point, int layer, Parameters& p) { MakeMistake(point, layer, p); };
    }
    pass_.emplace(model_, arithmetic, std::move(pass));
  }

  Values Prompt(bitnet::LogitsFor which, const Pass::Checkpoint& healthy) {
    if (!h_.prompt.empty()) return pass_->Forward(h_.prompt, which);
    const size_t layer = FirstLayer();
    if (layer == 0) return pass_->Forward(right_, which);
    return pass_->ForwardAbove(healthy, layer, right_, which);
  }
  Values Next(int32_t token) { return pass_->Forward({&token, 1}, bitnet::LogitsFor::kLast); }

 private:
  // The first layer whose output may differ from the healthy model's.
  size_t FirstLayer() const {
    if (h_.points.Has(Point::kEmbeddings) || !h_.also.empty()) return 0;
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (info.in_layer && h_.points.Has(info.point) && h_.layer != -1) {
        return h_.layer == Hypothesis::kEverywhere ? 0 : static_cast<size_t>(h_.layer);
      }
    }
    return model_.hyperparameters.n_layer - 1;  // what stands behind the layers may read the last one's tensors
  }

  void MakeMistake(Point point, int layer, Parameters& p) {
    const auto here = [point, layer](const Hypothesis& h) { return h.in_place(point, layer); };
    if (!here(h_) && std::none_of(h_.also.begin(), h_.also.end(), here)) return;
    const auto [known, is_new] = changed_.try_emplace({point, layer}, p);
    if (is_new && here(h_)) Apply(h_, point, layer, known->second);
    for (const Hypothesis& other : h_.also) {
      if (is_new && here(other)) Apply(other, point, layer, known->second);
    }
    p = known->second;
  }

  void Apply(const Hypothesis& h, Point point, int layer, Parameters& p) const {
    if (h.dial) {
      h.mistake->dial->set(p, *h.dial);
      return;
    }
    const std::vector<Change> changes = h.mistake->changes({model_, point, layer, right_.size() - 1});
    if (h.variant < changes.size()) changes[h.variant].apply(p);
  }

  const bitnet::Model& model_;
  const Hypothesis& h_;
  std::span<const int32_t> right_;
  std::map<std::pair<Point, int>, Parameters> changed_;  // a change may rewrite a matrix
  std::optional<Pass> pass_;
};

struct Scored {
  const Hypothesis* hypothesis = nullptr;
  HypothesisResult result;
};

bool BetterByText(const HypothesisResult& a, const HypothesisResult& b) {
  if (a.whole_text != b.whole_text) return a.whole_text;
  if (a.whole_text) return std::pair(a.others(), a.regret) < std::pair(b.others(), b.regret);
  if (a.logprob.has_value() != b.logprob.has_value()) return a.logprob.has_value();
  if (a.logprob) return *a.logprob > *b.logprob;
  return std::pair(b.bytes, a.regret) < std::pair(a.bytes, b.regret);
}
bool BetterByLogits(const HypothesisResult& a, const HypothesisResult& b) {
  if (a.every_bit != b.every_bit) return a.every_bit;
  return a.distance < b.distance;
}

// No evidence at hand tells the two apart.
bool Alike(const HypothesisResult& a, const HypothesisResult& b, bool from_text) {
  if (!from_text) return a.every_bit == b.every_bit && a.distance == b.distance;
  return a.whole_text == b.whole_text && a.tokens == b.tokens && a.others() == b.others() && a.bytes == b.bytes &&
         a.regret == b.regret && a.logprob == b.logprob;
}

// Tries every hypothesis, several at once.
class Trial {
 public:
  using Score = std::function<void(MistakenPass&, const Hypothesis&, HypothesisResult&)>;

  Trial(const SearchOptions& options, size_t n_cells)
      : options_(options), n_cells_(n_cells), shape_(bitnet::ShapeOf(options.model->hyperparameters)) {
    KernelArithmetic arithmetic(options.model->hyperparameters, *options.order, options.threads);
    Pass pass(*options.model, arithmetic, {.n_cells = n_cells, .change = {}, .trace = nullptr});
    pass.KeepCheckpoint(&healthy_);
    logits_ = pass.Forward(options.tokens.right);
  }

  const Pass::Checkpoint& healthy() const { return healthy_; }
  const Values& healthy_logits() const { return logits_; }  // of the prompt, [n, n_vocab]

  HypothesisResult One(const Hypothesis& h, const Score& score) const {
    KernelArithmetic arithmetic(options_.model->hyperparameters, *options_.order, options_.threads);
    return Try(h, score, arithmetic);
  }

  std::vector<Scored> All(const std::vector<Hypothesis>& hypotheses, const Score& score) const {
    std::vector<Scored> scored(hypotheses.size());
    std::atomic<size_t> next = 0;
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
      KernelArithmetic arithmetic(options_.model->hyperparameters, *options_.order, 1);
      for (size_t i = next++; i < hypotheses.size() && !OutOfTime(); i = next++) {
        try {
          scored[i] = {&hypotheses[i], Try(hypotheses[i], score, arithmetic)};
        } catch (...) {
          const std::lock_guard lock(mutex);
          failure = std::current_exception();
          return;
        }
        const std::lock_guard lock(mutex);
        if (options_.progress) options_.progress(fmt::format("mistake {} of {} ...", i + 1, hypotheses.size()));
      }
    };
    std::vector<std::thread> workers;
    for (size_t i = 1; i < options_.threads; ++i) workers.emplace_back(work);
    work();
    for (std::thread& worker : workers) worker.join();
    if (failure) std::rethrow_exception(failure);
    std::erase_if(scored, [](const Scored& s) { return s.hypothesis == nullptr; });
    return scored;
  }

  bool OutOfTime() const { return options_.budget_seconds > 0 && seconds() > options_.budget_seconds; }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  HypothesisResult Try(const Hypothesis& h, const Score& score, Arithmetic& arithmetic) const {
    HypothesisResult result = Describe(h, shape_);
    MistakenPass pass(options_, h, arithmetic, n_cells_);
    score(pass, h, result);
    return result;
  }

  const SearchOptions& options_;
  size_t n_cells_;
  bitnet::GraphShape shape_;
  Clock::time_point start_ = Clock::now();
  Pass::Checkpoint healthy_;
  Values logits_;
};

// The numbers of the table's mistakes that come nearest, in every layer: a coarse grid, then between its best
// neighbours (golden section, on the logarithm), then the round numbers around what was found.
class Solver {
 public:
  Solver(const bitnet::Model& model, const Trial& trial, const Trial::Score& score)
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
  const Trial& trial_;
  const Trial::Score& score_;
  const Mistake* mistake_ = nullptr;
};

// The best place of each mistake, and what cannot be told from the first.
void Rank(std::vector<Scored> scored, bool from_text, size_t keep, SearchResult& result) {
  std::stable_sort(scored.begin(), scored.end(), [from_text](const Scored& a, const Scored& b) {
    return from_text ? BetterByText(a.result, b.result) : BetterByLogits(a.result, b.result);
  });
  for (Scored& s : scored) {
    const auto known = std::find_if(result.best.begin(), result.best.end(),
                                    [&s](const HypothesisResult& r) { return r.id == s.result.id; });
    if (known != result.best.end()) {
      if (Alike(*known, s.result, from_text))
        known->alike.push_back(fmt::format("{}: {}", s.result.where, s.result.how));
    } else if (result.best.size() < keep || Alike(result.best[0], s.result, from_text)) {
      result.best.push_back(std::move(s.result));
    }
  }
}

// Mistakes of another name that the evidence cannot tell from the best.
std::vector<std::string> Rivals(const SearchResult& result) {
  std::vector<std::string> rivals;
  for (size_t i = 1; i < result.best.size(); ++i) {
    if (Alike(result.best[0], result.best[i], result.from_text)) rivals.push_back(result.best[i].id);
  }
  return rivals;
}

double Deviation(std::span<const float> row) {
  double sum = 0, squares = 0;
  for (const float v : row) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  const double n = static_cast<double>(row.size()), mean = sum / n;
  return std::sqrt(std::max(squares / n - mean * mean, 1e-30));
}

// Of the tokens that spell what comes next the one with the largest logit, or the model's own choice.
Speller::Spelling Nearest(const std::vector<Speller::Spelling>& spellings, const Values& logits, int32_t choice) {
  Speller::Spelling best{-1, 0};
  for (const Speller::Spelling& s : spellings) {
    if (static_cast<size_t>(s.id) >= logits.size()) continue;
    if (s.id == choice) return s;
    if (best.id < 0 || logits[static_cast<size_t>(s.id)] > logits[static_cast<size_t>(best.id)]) best = s;
  }
  return best;
}

// Follows the text with a model, greedily.
void Spell(MistakenPass& pass, const Hypothesis& h, const Pass::Checkpoint& healthy, const Speller& speller,
           std::string_view text, HypothesisResult& result) {
  Values logits = pass.Prompt(bitnet::LogitsFor::kLast, healthy);
  while (std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); })) {
    const int32_t choice =
        h.mistake != nullptr && h.mistake->choose != nullptr ? h.mistake->choose(logits) : bitnet::Argmax(logits);
    const Speller::Spelling next = Nearest(speller.At(text.substr(result.bytes), result.tokens == 0), logits, choice);
    if (next.id < 0) return;  // no token spells it
    if (next.id == choice) {
      ++result.first_choice;
    } else {
      const float short_by = logits[static_cast<size_t>(choice)] - logits[static_cast<size_t>(next.id)];
      result.regret += short_by / Deviation(logits);
      const size_t others = result.tokens + 1 - result.first_choice;
      if (result.regret > kMostRegret || others > kMostOthers + result.tokens / kTokensForAnother) return;
    }
    ++result.tokens;
    result.bytes += next.bytes;
    if (result.bytes >= text.size()) {
      result.whole_text = true;
      return;
    }
    logits = pass.Next(next.id);
  }
}

// Follows the whole text with a model that need not have made it: how likely it is there.
void SpellToTheEnd(MistakenPass& pass, const Pass::Checkpoint& healthy, const Speller& speller, std::string_view text,
                   HypothesisResult& result) {
  Values logits = pass.Prompt(bitnet::LogitsFor::kLast, healthy);
  size_t bytes = 0, tokens = 0, first_choice = 0;
  double logprob = 0;
  while (bytes < text.size()) {
    if (!std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); })) return;
    const int32_t choice = bitnet::Argmax(logits);
    const Speller::Spelling next = Nearest(speller.At(text.substr(bytes), tokens == 0), logits, choice);
    if (next.id < 0) return;
    const double largest = logits[static_cast<size_t>(choice)];
    double sum = 0;
    for (const float v : logits) sum += std::exp(v - largest);
    logprob += logits[static_cast<size_t>(next.id)] - largest - std::log(sum);
    first_choice += next.id == choice;
    ++tokens;
    bytes += next.bytes;
    if (bytes < text.size()) logits = pass.Next(next.id);
  }
  result.tokens = tokens;
  result.first_choice = first_choice;
  result.bytes = bytes;
  result.logprob = logprob;
}

// The hypotheses of a text, the usual ones first: whole engines, two mistakes at once where none of them prints it,
// then single layers. A text that no mistake prints may be of an engine that rounds otherwise: the best are tried again
// with K and V in float32, as many engines keep them, and at last each is asked how likely the whole text is.
class TextTrials {
 public:
  TextTrials(const SearchOptions& options, const Trial& trial, const Trial::Score& spell,
             const Trial::Score& likelihood)
      : options_(options), trial_(trial), spell_(spell), likelihood_(likelihood) {}

  void Run(SearchResult& result) {
    std::vector<Hypothesis> whole = AllHypotheses(*options_.model, options_.tokens);
    const auto layers = std::stable_partition(whole.begin(), whole.end(),
                                              [](const Hypothesis& h) { return h.layer == Hypothesis::kEverywhere; });
    std::vector<Hypothesis> single(std::make_move_iterator(layers), std::make_move_iterator(whole.end()));
    whole.erase(layers, whole.end());
    result.possible = whole.size() + single.size();
    const bool healthy = result.healthy.whole_text;
    Try(std::move(whole));
    if (!healthy && !Printed()) {
      std::vector<Hypothesis> pairs = PairHypotheses(*options_.model);
      result.possible += pairs.size();
      Try(std::move(pairs));
      TryBestWithFloatAttention();
      // Tokens by the dozen that the healthy model would not have chosen are no other mistake's by chance.
      const bool beyond_doubt = std::any_of(scored_.begin(), scored_.end(), [](const Scored& s) {
        return s.result.prints_the_text() && s.result.tokens >= kTokensBeyondDoubt;
      });
      if (beyond_doubt) single.clear();
    }
    Try(std::move(single));
    if (!healthy && !Printed()) {
      TryBestWithFloatAttention();
      if (!Printed()) WeighBest(result.healthy);
    }
    result.tried = tried_;
    Rank(std::move(scored_), true, options_.keep, result);
  }

 private:
  static constexpr size_t kLookedAt = 6;
  static constexpr size_t kTokensBeyondDoubt = 12;

  void Try(std::vector<Hypothesis> hypotheses) {
    const std::vector<Hypothesis>& kept = kept_.emplace_back(std::move(hypotheses));
    for (Scored& s : trial_.All(kept, spell_)) {
      scored_.push_back(std::move(s));
      ++tried_;
    }
  }

  bool Printed() const {
    return std::any_of(scored_.begin(), scored_.end(), [](const Scored& s) { return s.result.whole_text; });
  }

  // The best place of each of the best mistakes.
  std::vector<const Hypothesis*> Best() {
    std::stable_sort(scored_.begin(), scored_.end(),
                     [](const Scored& a, const Scored& b) { return BetterByText(a.result, b.result); });
    std::vector<const Hypothesis*> best;
    std::vector<std::string> ids;
    for (const Scored& s : scored_) {
      if (best.size() == kLookedAt) break;
      if (std::find(ids.begin(), ids.end(), s.result.id) != ids.end() || s.hypothesis->points.empty()) continue;
      best.push_back(s.hypothesis);
      ids.push_back(s.result.id);
    }
    return best;
  }

  void TryBestWithFloatAttention() {
    if (Printed()) return;
    for (const Hypothesis* h : Best()) {
      if (trial_.OutOfTime()) return;
      const Hypothesis& again = kept_.emplace_back(1, WithFloatAttention(*h)).front();
      scored_.push_back({&again, trial_.One(again, spell_)});
      if (scored_.back().result.whole_text) return;
    }
  }

  void WeighBest(HypothesisResult& healthy) {
    const std::vector<const Hypothesis*> best = Best();
    healthy = trial_.One(Hypothesis(), likelihood_);
    for (const Hypothesis* h : best) {
      if (trial_.OutOfTime()) return;
      scored_.push_back({h, trial_.One(*h, likelihood_)});
      const Hypothesis& again = kept_.emplace_back(1, WithFloatAttention(*h)).front();
      scored_.push_back({&again, trial_.One(again, likelihood_)});
    }
  }

  const SearchOptions& options_;
  const Trial& trial_;
  const Trial::Score &spell_, &likelihood_;
  std::deque<std::vector<Hypothesis>> kept_;  // what the results refer to
  std::vector<Scored> scored_;
  size_t tried_ = 0;
};

// The healthy model, or the one with K and V in float32 where that comes nearer.
HypothesisResult HealthyByText(const Trial& trial, const Trial::Score& spell) {
  HypothesisResult healthy = trial.One(Hypothesis(), spell);
  if (healthy.prints_the_text()) return healthy;
  const Hypothesis h = WithFloatAttention(Hypothesis());
  HypothesisResult by_habit = trial.One(h, spell);
  if (!BetterByText(by_habit, healthy)) return healthy;
  by_habit.id.clear();
  by_habit.what = healthy.what;
  by_habit.where.clear();
  by_habit.remedy.clear();
  return by_habit;
}

std::string Name(const HypothesisResult& r) {
  return fmt::format("{}: {}{}{}", r.id, r.how.empty() ? r.what : r.how, r.where.empty() ? "" : ", ", r.where);
}

// The healthy model prints it, or would but for near-ties.
bool IsHealthyText(const HypothesisResult& healthy) {
  return healthy.prints_the_text() || (healthy.whole_text && healthy.regret < kHealthyRegret);
}

// Where no mistake prints the text: one under which it is likely beyond all others. True where there is one.
bool JudgeLikelihood(SearchResult& result) {
  constexpr double kEnough = 20;  // natural logarithm of how many times as likely; thousands were tried
  if (result.best.size() < 2 || !result.best[0].logprob || !result.healthy.logprob) return false;
  const HypothesisResult &best = result.best[0], &next = result.best[1];
  const double over_healthy = *best.logprob - *result.healthy.logprob;
  const double over_next = next.logprob ? *best.logprob - *next.logprob : over_healthy;
  if (std::min(over_healthy, over_next) < kEnough || 2 * best.first_choice < best.tokens) return false;
  result.certainty = Certainty::kLikely;
  result.verdict = fmt::format(
      "under {} {} of {} tokens are the first choice, and the text is e^{:.0f} times as likely as under the next "
      "mistake ({}), e^{:.0f} times as under the healthy model",
      Name(best), best.first_choice, best.tokens, over_next, next.id, over_healthy);
  return true;
}

void JudgeText(SearchResult& result) {
  const HypothesisResult& healthy = result.healthy;
  if (healthy.prints_the_text()) {
    result.verdict = fmt::format("the healthy model prints this text: all {} of its tokens are its first choice{}",
                                 healthy.tokens, healthy.how.empty() ? "" : " (" + healthy.how + ")");
    return;
  }
  if (!healthy.whole_text && JudgeLikelihood(result)) return;
  if (result.best.empty() || !result.best[0].whole_text || !BetterByText(result.best[0], healthy)) {
    result.verdict = healthy.whole_text
                         ? fmt::format(
                               "the healthy model prints this text but for near-ties ({:.3g} standard "
                               "deviations of its logits), so there is nothing to explain",
                               healthy.regret)
                         : fmt::format("no known mistake prints this text; the healthy model spells {} of {} bytes",
                                       healthy.bytes, result.text_bytes);
    return;
  }
  const HypothesisResult& best = result.best[0];
  const std::vector<std::string> rivals = Rivals(result);
  const bool clear = rivals.empty() && best.prints_the_text() && best.tokens >= kTokensForCertainty;
  result.certainty = clear ? Certainty::kCertain : rivals.empty() ? Certainty::kLikely : Certainty::kPossible;
  if (healthy.whole_text) result.certainty = Certainty::kPossible;
  result.verdict =
      fmt::format("under {} all {} tokens are the first choice; the healthy model leaves the text after {}", Name(best),
                  best.tokens, healthy.tokens);
  if (best.first_choice < best.tokens) {
    result.verdict = fmt::format(
        "under {} {} of {} tokens are the first choice and the others near-ties; the healthy "
        "model leaves the text after {}",
        Name(best), best.first_choice, best.tokens, healthy.tokens);
  }
  if (!rivals.empty()) result.verdict += fmt::format("; the same holds under {}", fmt::join(rivals, ", "));
}

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
    result.verdict = fmt::format("{} gives every bit of the logits", Name(best));
    if (!rivals.empty()) result.verdict += fmt::format("; the same holds for {}", fmt::join(rivals, ", "));
  } else if (best.distance < 0.5 && best.distance < next / 1.5) {
    result.certainty = Certainty::kLikely;
    result.verdict = fmt::format("{} leaves {:.3g} of the distance to the candidate's logits, the next mistake {:.3g}",
                                 Name(best), best.distance, next);
  } else if (best.distance < 0.7) {
    result.certainty = Certainty::kPossible;
    result.verdict = fmt::format("{} comes nearest, and leaves {:.3g} of the distance", Name(best), best.distance);
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

SearchResult Search::ByText(const std::string& text, const bitnet::Tokenizer& tokenizer) {
  if (text.empty()) throw std::runtime_error("the text that the candidate printed is empty");
  SearchResult result{.from_text = true, .text_bytes = text.size()};
  const Speller speller(tokenizer);
  const Trial trial(options_, CellsFor(options_.tokens.right.size() + 16 + text.size()));
  const Trial::Score score = [&](MistakenPass& pass, const Hypothesis& h, HypothesisResult& r) {
    Spell(pass, h, trial.healthy(), speller, text, r);
  };
  const Trial::Score likelihood = [&](MistakenPass& pass, const Hypothesis&, HypothesisResult& r) {
    SpellToTheEnd(pass, trial.healthy(), speller, text, r);
  };
  result.healthy = HealthyByText(trial, score);
  if (!IsHealthyText(result.healthy)) TextTrials(options_, trial, score, likelihood).Run(result);
  JudgeText(result);
  result.seconds = trial.seconds();
  return result;
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
  const Trial trial(options_, CellsFor(options_.tokens.right.size() + 1));
  const double unit = DistanceBetween(RowsAt(trial.healthy_logits(), cols, rows, positions), wanted);
  const Trial::Score score = [&](MistakenPass& pass, const Hypothesis&, HypothesisResult& r) {
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
