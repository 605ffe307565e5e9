#include "parity_tests/search/hypothesis_trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace parity {
namespace {

// No evidence at hand tells the two apart.
bool Alike(const HypothesisResult& a, const HypothesisResult& b, bool from_text) {
  if (!from_text) return a.every_bit == b.every_bit && a.distance == b.distance;
  return a.whole_text == b.whole_text && a.tokens == b.tokens && a.others() == b.others() && a.bytes == b.bytes &&
         a.regret == b.regret && a.logprob == b.logprob;
}

}  // namespace

size_t CellsFor(size_t positions) { return (positions + 255) / 256 * 256; }

MistakenPass::MistakenPass(const SearchOptions& options, const Hypothesis& h, Arithmetic& arithmetic, size_t n_cells)
    : model_(*options.model), h_(h), right_(options.tokens.right) {
  PassOptions pass{.n_cells = n_cells, .change = {}, .trace = nullptr};
  if (!h.points.empty()) {
    pass.change = [this](Point point, int layer, Parameters& p) { MakeMistake(point, layer, p); };
  }
  pass_.emplace(model_, arithmetic, std::move(pass));
}

Values MistakenPass::Prompt(bitnet::LogitsFor which, const Pass::Checkpoint& healthy) {
  if (!h_.prompt.empty()) return pass_->Forward(h_.prompt, which);
  const size_t layer = FirstLayer();
  if (layer == 0) return pass_->Forward(right_, which);
  return pass_->ForwardAbove(healthy, layer, right_, which);
}

Values MistakenPass::Next(int32_t token) { return pass_->Forward({&token, 1}, bitnet::LogitsFor::kLast); }

// The first layer whose output may differ from the healthy model's.
size_t MistakenPass::FirstLayer() const {
  if (h_.points.Has(Point::kEmbeddings) || !h_.also.empty()) return 0;
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (info.in_layer && h_.points.Has(info.point) && h_.layer != -1) {
      return h_.layer == Hypothesis::kEverywhere ? 0 : static_cast<size_t>(h_.layer);
    }
  }
  return model_.hyperparameters.n_layer - 1;  // what stands behind the layers may read the last one's tensors
}

void MistakenPass::MakeMistake(Point point, int layer, Parameters& p) {
  const auto here = [point, layer](const Hypothesis& h) { return h.in_place(point, layer); };
  if (!here(h_) && std::none_of(h_.also.begin(), h_.also.end(), here)) return;
  const auto [known, is_new] = changed_.try_emplace({point, layer}, p);
  if (is_new) {
    if (here(h_)) Apply(h_, point, layer, known->second);
    for (const Hypothesis& other : h_.also) {
      if (here(other)) Apply(other, point, layer, known->second);
    }
    known->second.product = known->second.product.Read();
  }
  p = known->second;
}

void MistakenPass::Apply(const Hypothesis& h, Point point, int layer, Parameters& p) const {
  if (h.dial) {
    h.mistake->dial->set(p, *h.dial);
    return;
  }
  const std::vector<Change> changes = h.mistake->changes({model_, point, layer, right_.size() - 1});
  if (h.variant < changes.size()) changes[h.variant].apply(p);
}

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

HypothesisTrial::HypothesisTrial(const SearchOptions& options, size_t n_cells)
    : options_(options), n_cells_(n_cells), shape_(bitnet::ShapeOf(options.model->hyperparameters)) {
  KernelArithmetic arithmetic(options.model->hyperparameters, *options.order, options.threads);
  Pass pass(*options.model, arithmetic, {.n_cells = n_cells, .change = {}, .trace = nullptr});
  pass.KeepCheckpoint(&healthy_);
  logits_ = pass.Forward(options.tokens.right);
}

HypothesisResult HypothesisTrial::One(const Hypothesis& h, const Score& score) const {
  KernelArithmetic arithmetic(options_.model->hyperparameters, *options_.order, options_.threads);
  return Try(h, score, arithmetic);
}

std::vector<Scored> HypothesisTrial::All(const std::vector<Hypothesis>& hypotheses, const Score& score) const {
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

HypothesisResult HypothesisTrial::Try(const Hypothesis& h, const Score& score, Arithmetic& arithmetic) const {
  HypothesisResult result = Describe(h, shape_);
  MistakenPass pass(options_, h, arithmetic, n_cells_);
  score(pass, h, result);
  return result;
}

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

std::vector<std::string> Rivals(const SearchResult& result) {
  std::vector<std::string> rivals;
  for (size_t i = 1; i < result.best.size(); ++i) {
    if (Alike(result.best[0], result.best[i], result.from_text)) rivals.push_back(result.best[i].id);
  }
  return rivals;
}

std::string NameOf(const HypothesisResult& r) {
  return fmt::format("{}: {}{}{}", r.id, r.how.empty() ? r.what : r.how, r.where.empty() ? "" : ", ", r.where);
}

}  // namespace parity
