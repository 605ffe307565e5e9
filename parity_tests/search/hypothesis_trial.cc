#include "parity_tests/search/hypothesis_trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

namespace parity {
namespace {

// No evidence at hand tells the two apart.
bool Alike(const HypothesisResult& a, const HypothesisResult& b, bool from_text) {
  if (a.every_bit != b.every_bit || a.distance != b.distance) return false;
  if (!from_text) return true;
  return a.whole_text == b.whole_text && a.tokens == b.tokens && a.others() == b.others() && a.bytes == b.bytes &&
         a.regret == b.regret && a.logprob == b.logprob;
}

}  // namespace

bool BetterByText(const HypothesisResult& a, const HypothesisResult& b) {
  if (a.whole_text != b.whole_text) return a.whole_text;
  if (a.every_bit != b.every_bit) return a.every_bit;
  if (a.whole_text && a.distance != b.distance) return a.distance < b.distance;
  if (a.whole_text) return std::pair(a.others(), a.regret) < std::pair(b.others(), b.regret);
  if (a.logprob.has_value() != b.logprob.has_value()) return a.logprob.has_value();
  if (a.logprob) return *a.logprob > *b.logprob;
  return std::pair(b.bytes, a.regret) < std::pair(a.bytes, b.regret);
}
bool BetterByLogits(const HypothesisResult& a, const HypothesisResult& b) {
  if (a.every_bit != b.every_bit) return a.every_bit;
  return a.distance < b.distance;
}

Trials::Trials(const SearchOptions& options)
    : options_(options), shape_(bitnet::ShapeOf(options.model->hyperparameters)) {}

HypothesisResult Trials::One(const Hypothesis& h, const Score& score) const {
  KernelArithmetic arithmetic(options_.model->hyperparameters, *options_.order, options_.threads);
  HypothesisResult result = Describe(h, shape_);
  score(h, arithmetic, result);
  return result;
}

std::vector<Scored> Trials::All(std::span<const Hypothesis> hypotheses, const Score& score,
                                const std::function<bool(const HypothesisResult&)>& enough) const {
  std::vector<Scored> scored(hypotheses.size());
  std::atomic<size_t> next = 0;
  std::atomic<bool> explained = false;
  const auto ended = [&] { return OutOfTime() || (explained && TakesLong()); };
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    KernelArithmetic arithmetic(options_.model->hyperparameters, *options_.order, 1);
    for (size_t i = next++; i < hypotheses.size() && !ended(); i = next++) {
      try {
        scored[i].result = Describe(hypotheses[i], shape_);
        score(hypotheses[i], arithmetic, scored[i].result);
        scored[i].hypothesis = &hypotheses[i];
        if (enough && enough(scored[i].result)) explained = true;
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

std::vector<const Hypothesis*> Rank(std::vector<Scored> scored, bool from_text, size_t keep, SearchResult& result) {
  std::stable_sort(scored.begin(), scored.end(), [from_text](const Scored& a, const Scored& b) {
    return from_text ? BetterByText(a.result, b.result) : BetterByLogits(a.result, b.result);
  });
  std::vector<const Hypothesis*> kept;
  std::map<std::string, size_t> known;
  for (Scored& s : scored) {
    const auto [at, is_new] = known.try_emplace(s.result.id, result.best.size());
    if (!is_new) {
      HypothesisResult& r = result.best[at->second];
      if (Alike(r, s.result, from_text)) r.alike.push_back(fmt::format("{}: {}", s.result.where, s.result.how));
    } else if (result.best.size() < keep || Alike(result.best[0], s.result, from_text)) {
      result.best.push_back(std::move(s.result));
      kept.push_back(s.hypothesis);
    } else {
      known.erase(at);
    }
  }
  return kept;
}

std::vector<std::string> Rivals(const SearchResult& result) {
  std::vector<std::string> rivals;
  for (size_t i = 1; i < result.best.size(); ++i) {
    if (Alike(result.best[0], result.best[i], result.from_text)) rivals.push_back(result.best[i].id);
  }
  return rivals;
}

size_t NextToldApart(const SearchResult& result, size_t i) {
  const std::vector<HypothesisResult>& best = result.best;
  do ++i;
  while (i < best.size() && Alike(best[0], best[i], result.from_text));
  return std::min(i, best.size());
}

void SayWhatWasNotTried(SearchResult& result) {
  if (!result.ended_early) return;
  if (result.tried == 0) {
    result.verdict = fmt::format("the time ended before any of {} hypotheses was tried", result.possible);
    return;
  }
  if (result.certainty == Certainty::kCertain) result.certainty = Certainty::kLikely;
  result.verdict += fmt::format("; {} of {} hypotheses were tried", result.tried, result.possible);
}

std::string NameOf(const HypothesisResult& r) {
  return fmt::format("{}: {}{}{}", r.id, r.how.empty() ? r.what : r.how, r.where.empty() ? "" : ", ", r.where);
}

}  // namespace parity
