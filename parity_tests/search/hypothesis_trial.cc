#include "parity_tests/search/hypothesis_trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace parity {
namespace {

// Weights of one matrix that a pass keeps as it reads them, where reading them again takes longer.
constexpr size_t kMostKept = size_t{1} << 20;

// No evidence at hand tells the two apart.
bool Alike(const HypothesisResult& a, const HypothesisResult& b, bool from_text) {
  if (a.every_bit != b.every_bit || a.distance != b.distance) return false;
  if (!from_text) return true;
  return a.whole_text == b.whole_text && a.tokens == b.tokens && a.others() == b.others() && a.bytes == b.bytes &&
         a.regret == b.regret && a.logprob == b.logprob;
}

}  // namespace

size_t CellsFor(size_t positions) { return (positions + 255) / 256 * 256; }

PromptTrial::PromptTrial(const SearchOptions& options, const TokenSite& tokens, size_t n_cells,
                         std::vector<Hypothesis> habits)
    : options_(options), tokens_(tokens), n_cells_(n_cells), habits_(std::move(habits)) {
  const bitnet::Model& model = *options.model;
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  for (const Hypothesis& habit : habits_) {
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (!habit.points.Has(info.point) || !bitnet::Exists(info, shape)) continue;
      for (int layer = info.in_layer ? 0 : -1; layer < (info.in_layer ? static_cast<int>(shape.n_layer) : 0); ++layer) {
        const std::vector<Change> changes = habit.mistake->changes({model, info.point, layer, 0});
        if (habit.variant >= changes.size()) continue;
        Parameters& p =
            habit_parameters_.try_emplace({info.point, layer}, ParametersOf(model, info.point, layer)).first->second;
        changes[habit.variant].apply(p);
        if (p.product.w.rows * p.product.w.cols <= kMostKept) p.product = p.product.Kept();
      }
    }
  }
  KernelArithmetic arithmetic(model.hyperparameters, *options.order, options.threads);
  PassOptions with{.n_cells = n_cells, .change = {}, .trace = nullptr};
  if (!habits_.empty()) {
    with.change = [this](Point point, int layer, Parameters& p) {
      if (const Parameters* habit = HabitsAt(point, layer)) p = *habit;
    };
  }
  Pass pass(model, arithmetic, std::move(with));
  pass.KeepCheckpoint(&healthy_);
  logits_ = pass.Forward(tokens_.right);
}

const Parameters* PromptTrial::HabitsAt(Point point, int layer) const {
  const auto found = habit_parameters_.find({point, layer});
  return found == habit_parameters_.end() ? nullptr : &found->second;
}

Answers* PromptTrial::AnswersOf(const Hypothesis& h) const {
  if (!options_.keep_answers || h.number < 0) return nullptr;
  const std::lock_guard lock(mutex_);
  return &answers_[h.number];
}

MistakenPass::MistakenPass(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic)
    : prompt_(prompt), model_(*prompt.options().model), h_(h), arithmetic_(arithmetic), answers_(prompt.AnswersOf(h)) {}

Values MistakenPass::Prompt(bitnet::LogitsFor which) {
  path_.clear();
  if (answers_ == nullptr) return RunPrompt(which);
  std::optional<Values>& known = which == bitnet::LogitsFor::kAll ? answers_->all : answers_->last;
  if (!known) known = RunPrompt(which);
  return *known;
}

Values MistakenPass::RunPrompt(bitnet::LogitsFor which) {
  PassOptions options{.n_cells = prompt_.n_cells(), .change = {}, .trace = nullptr};
  if (!h_.points.empty() || !h_.also.empty() || !prompt_.habits().empty()) {
    options.change = [this](Point point, int layer, Parameters& p) { MakeMistake(point, layer, p); };
  }
  pass_.emplace(model_, arithmetic_, std::move(options));
  ran_ = 0;
  const std::span<const int32_t> right = prompt_.tokens().right;
  if (h_.mistake != nullptr && h_.mistake->tokens != nullptr) {
    const bool own = std::ranges::equal(right, prompt_.options().tokens.right);
    return pass_->Forward(own ? h_.prompt : PromptWith(h_, prompt_.tokens()), which);
  }
  const size_t layer = FirstLayer();
  if (layer == 0) return pass_->Forward(right, which);
  return pass_->ForwardAbove(prompt_.healthy(), layer, right, which);
}

Values MistakenPass::Next(int32_t token) {
  constexpr size_t kKept = 4;  // tokens behind the prompt: few hypotheses follow a text further
  path_.push_back(token);
  if (answers_ == nullptr || path_.size() > kKept) return RunNext(token);
  const auto known = answers_->next.find(path_);
  if (known != answers_->next.end()) return known->second;
  return answers_->next[path_] = RunNext(token);
}

// The last token of the path, and what the pass has not seen before it.
Values MistakenPass::RunNext(int32_t token) {
  if (!pass_) RunPrompt(bitnet::LogitsFor::kLast);
  for (auto& [place, p] : changed_) {
    if (p.product.w.rows * p.product.w.cols <= kMostKept) p.product = p.product.Kept();
  }
  for (; ran_ + 1 < path_.size(); ++ran_) pass_->Forward({&path_[ran_], 1}, bitnet::LogitsFor::kLast);
  ++ran_;
  return pass_->Forward({&token, 1}, bitnet::LogitsFor::kLast);
}

// The first layer whose output may differ from the healthy model's.
size_t MistakenPass::FirstLayer() const {
  const auto first = [this](const Hypothesis& h) -> size_t {
    if (h.points.Has(Point::kEmbeddings)) return 0;
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (info.in_layer && h.points.Has(info.point) && h.layer != -1) {
        return h.layer == Hypothesis::kEverywhere ? 0 : static_cast<size_t>(h.layer);
      }
    }
    return model_.hyperparameters.n_layer - 1;  // what stands behind the layers may read the last one's tensors
  };
  size_t layer = first(h_);
  for (const Hypothesis& other : h_.also) layer = std::min(layer, first(other));
  return layer;
}

void MistakenPass::MakeMistake(Point point, int layer, Parameters& p) {
  if (const Parameters* habit = prompt_.HabitsAt(point, layer)) p = *habit;
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
  const std::vector<Change> changes = h.mistake->changes({model_, point, layer, h.position});
  if (h.variant < changes.size()) changes[h.variant].apply(p);
}

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

std::string NameOf(const HypothesisResult& r) {
  return fmt::format("{}: {}{}{}", r.id, r.how.empty() ? r.what : r.how, r.where.empty() ? "" : ", ", r.where);
}

}  // namespace parity
