#include "parity_tests/search/mistaken_pass.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace parity {
namespace {

// Weights of one matrix that a pass keeps as it reads them, where reading them again takes longer.
constexpr size_t kMostKept = size_t{1} << 20;
// Steps of one hypothesis that are kept: of all texts that a search followed.
constexpr size_t kMostNodes = 512;

void KeepRows(Parameters& p) {
  if (p.product.w.rows * p.product.w.cols <= kMostKept) p.product = p.product.Kept();
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

}  // namespace

size_t CellsFor(size_t positions) { return (positions + 255) / 256 * 256; }

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

bool AllFinite(const Values& logits) {
  return std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); });
}

int32_t ChoiceOf(const Hypothesis& h, const Values& logits) {
  return h.mistake != nullptr && h.mistake->choose != nullptr ? h.mistake->choose(logits) : bitnet::Argmax(logits);
}

Step StepOf(const Hypothesis& h, const Values& logits) {
  if (!AllFinite(logits)) return {};
  Step step{.finite = true, .choice = ChoiceOf(h, logits)};
  const double deviation = Deviation(logits);
  const float chosen = logits[static_cast<size_t>(step.choice)];
  for (size_t id = 0; id < logits.size(); ++id) {
    const double regret = (chosen - logits[id]) / deviation;
    if (regret <= kMostRegret && static_cast<int32_t>(id) != step.choice)
      step.near.push_back({static_cast<int32_t>(id), regret});
  }
  return step;
}

PromptTrial::PromptTrial(const SearchOptions& options, const TokenSite& tokens, size_t n_cells,
                         std::vector<Hypothesis> habits, size_t n_logits)
    : options_(options), tokens_(tokens), n_cells_(n_cells), habits_(std::move(habits)), n_logits_(n_logits) {
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
        KeepRows(p);
      }
    }
  }
  KernelArithmetic arithmetic(model.hyperparameters, *options.order, options.threads);
  PassOptions with{.n_cells = n_cells, .change = {}, .trace = nullptr};
  if (changes()) with.change = [this](Point point, int layer, Parameters& p) { ChangeAt(point, layer, p); };
  Pass pass(model, arithmetic, std::move(with));
  pass.KeepCheckpoint(&healthy_);
  logits_ = pass.Forward(tokens_.right);
}

void PromptTrial::ChangeAt(Point point, int layer, Parameters& p) const {
  const auto habit = habit_parameters_.find({point, layer});
  if (habit != habit_parameters_.end()) p = habit->second;
  if (point == Point::kLogits && n_logits_ > 0) p.product = p.product.Rows(0, std::min(n_logits_, p.product.w.rows));
}

Answers* PromptTrial::AnswersOf(const Hypothesis& h) const {
  if (!options_.keep_answers || h.number < 0) return nullptr;
  const std::lock_guard lock(mutex_);
  return &answers_[h.number];
}

MistakenPass::MistakenPass(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic,
                           bitnet::TraceSink* trace)
    : prompt_(prompt),
      model_(*prompt.options().model),
      h_(h),
      arithmetic_(arithmetic),
      trace_(trace),
      answers_(prompt.AnswersOf(h)) {}

Values MistakenPass::PromptLogits(bitnet::LogitsFor which) {
  path_.clear();
  if (answers_ == nullptr || which != bitnet::LogitsFor::kAll) return RunPrompt(which);
  if (!answers_->all) answers_->all = RunPrompt(which);
  return *answers_->all;
}

Values MistakenPass::NextLogits(int32_t token) {
  path_.push_back(token);
  return RunToTheEnd();
}

Step MistakenPass::First() {
  path_.clear();
  pass_.reset();
  node_ = answers_ != nullptr ? &answers_->prompt : nullptr;
  return Known([this] { return RunPrompt(bitnet::LogitsFor::kLast); });
}

Step MistakenPass::Next(int32_t token) {
  path_.push_back(token);
  if (node_ != nullptr) {
    const auto known = node_->next.find(token);
    if (known != node_->next.end()) {
      node_ = known->second.get();
    } else if (answers_->nodes < kMostNodes) {
      ++answers_->nodes;
      node_ = (node_->next[token] = std::make_unique<Answers::Node>()).get();
    } else {
      node_ = nullptr;
    }
  }
  return Known([this] { return RunToTheEnd(); });
}

// The step of the path: as it is kept, or by a run.
template <typename Run>
Step MistakenPass::Known(const Run& run) {
  if (node_ == nullptr) return StepOf(h_, run());
  if (!node_->step) node_->step = StepOf(h_, run());
  return *node_->step;
}

Values MistakenPass::RunPrompt(bitnet::LogitsFor which) {
  PassOptions options{.n_cells = prompt_.n_cells(), .change = {}, .trace = trace_};
  if (!h_.points.empty() || !h_.also.empty() || prompt_.changes()) {
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

// Logits behind the path: what the pass has not seen of it is run.
Values MistakenPass::RunToTheEnd() {
  if (!pass_) RunPrompt(bitnet::LogitsFor::kLast);
  if (!std::exchange(keeps_rows_, true)) {
    for (auto& [place, p] : changed_) KeepRows(p);
  }
  for (; ran_ + 1 < path_.size(); ++ran_) pass_->Forward({&path_[ran_], 1}, bitnet::LogitsFor::kLast);
  return pass_->Forward({&path_[ran_++], 1}, bitnet::LogitsFor::kLast);
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
  prompt_.ChangeAt(point, layer, p);
  const auto here = [point, layer](const Hypothesis& h) { return h.in_place(point, layer); };
  if (!here(h_) && std::none_of(h_.also.begin(), h_.also.end(), here)) return;
  const auto [known, is_new] = changed_.try_emplace({point, layer}, p);
  if (is_new) {
    if (here(h_)) Apply(h_, model_, point, layer, known->second);
    for (const Hypothesis& other : h_.also) {
      if (here(other)) Apply(other, model_, point, layer, known->second);
    }
    known->second.product = known->second.product.Read();
  }
  p = known->second;
}

}  // namespace parity
