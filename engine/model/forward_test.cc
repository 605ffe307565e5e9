#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "engine/model/model.h"
#include "engine/model/model_for_test.h"

namespace bitnet {
namespace {

using ::testing::HasSubstr;
using Row = std::vector<double>;

// The forward pass in double, a token at a time, from the paper. It rounds to F16 where attention does (matmul.h,
// attention.h) and nowhere else.
class PlainForward {
 public:
  explicit PlainForward(const TinyModel& model)
      : m_(model), s_(model.shape), arch_(*FindArchitecture(s_.architecture)), head_dim_(s_.n_embd / s_.n_head) {
    keys_.resize(s_.n_layer);
    values_.resize(s_.n_layer);
  }

  Row Next(int32_t token) {
    const TinyTensor& embedding = m_.tensors.at("token_embd.weight");
    Row x(embedding.values.begin() + token * s_.n_embd, embedding.values.begin() + (token + 1) * s_.n_embd);
    if (arch_.scales) std::transform(x.begin(), x.end(), x.begin(), [&](double v) { return v * std::sqrt(s_.n_embd); });
    for (uint32_t layer = 0; layer < s_.n_layer; ++layer) {
      Add(x, Attend(layer, x));
      Add(x, FeedForward(layer, x));
    }
    ++position_;
    return Times(s_.untied ? "output.weight" : "token_embd.weight", Norm("output_norm.weight", x));
  }

 private:
  static double F16(double v) { return F32FromF16(F16FromF32(static_cast<float>(v))); }
  static std::string Name(uint32_t layer, const char* part) { return fmt::format("blk.{}.{}.weight", layer, part); }
  static void Add(Row& x, const Row& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  // Each stretch of x that is as long as gamma. A norm that the model lacks does nothing.
  Row Norm(const std::string& name, const Row& x) const {
    const auto found = m_.tensors.find(name);
    if (found == m_.tensors.end()) return x;
    const std::vector<float>& gamma = found->second.values;
    Row y(x.size());
    for (size_t at = 0; at < x.size(); at += gamma.size()) {
      double squares = 0;
      for (size_t i = 0; i < gamma.size(); ++i) squares += x[at + i] * x[at + i];
      const double scale = 1 / std::sqrt(squares / gamma.size() + s_.rms_eps);
      for (size_t i = 0; i < gamma.size(); ++i) y[at + i] = x[at + i] * scale * gamma[i];
    }
    return y;
  }
  Row Projected(uint32_t layer, const char* part, const Row& x) const {
    const std::string name = Name(layer, part);
    return Times(name, Norm(name.substr(0, name.rfind('.')) + "_norm_in.weight", x));
  }
  // Of two layers neither is a sixth.
  bool Windowed() const { return arch_.window_every > 2 && s_.window != 0; }

  Row Times(const std::string& weights, const Row& x) const {
    const TinyTensor& w = m_.tensors.at(weights);
    Row y(w.values.size() / x.size());
    for (size_t r = 0; r < y.size(); ++r) {
      for (size_t i = 0; i < x.size(); ++i) y[r] += w.values[r * x.size() + i] * x[i];
    }
    return y;
  }

  void Rope(Row& x) const {
    for (size_t head = 0; head < x.size(); head += head_dim_) {
      for (size_t i = 0; i < head_dim_ / 2; ++i) {
        const double angle = position_ * std::pow(Windowed() ? 10000.0 : s_.rope_base, -2.0 * i / head_dim_);
        const bool neighbours = arch_.rope_layout == RopeLayout::kInterleaved;
        double& a = x[head + (neighbours ? 2 * i : i)];
        double& b = x[head + (neighbours ? 2 * i + 1 : i + head_dim_ / 2)];
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = a * std::sin(angle) + b * std::cos(angle);
        a = turned;
      }
    }
  }

  Row Attend(uint32_t layer, const Row& x) {
    const Row normed = Norm(Name(layer, "attn_norm"), x);
    Row q = Norm(Name(layer, "attn_q_norm"), Projected(layer, "attn_q", normed));
    Row k = Norm(Name(layer, "attn_k_norm"), Projected(layer, "attn_k", normed));
    Row v = Projected(layer, "attn_v", normed);
    Rope(q);
    Rope(k);
    for (Row* row : {&q, &k, &v}) std::transform(row->begin(), row->end(), row->begin(), F16);
    keys_[layer].push_back(k);
    values_[layer].push_back(v);
    Row out(s_.n_embd);
    for (size_t head = 0; head < s_.n_head; ++head) {
      const size_t at = head * head_dim_;
      const size_t kv_at = head / (s_.n_head / s_.n_head_kv) * head_dim_;
      Row p(keys_[layer].size());
      for (size_t j = 0; j < p.size(); ++j) {
        double score = 0;
        for (size_t d = 0; d < head_dim_; ++d) score += q[at + d] * keys_[layer][j][kv_at + d];
        const bool seen = !Windowed() || j + s_.window > static_cast<size_t>(position_);
        p[j] = seen ? std::exp(score / std::sqrt(static_cast<double>(head_dim_))) : 0;
      }
      const double sum = std::accumulate(p.begin(), p.end(), 0.0);
      for (size_t j = 0; j < p.size(); ++j) {
        for (size_t d = 0; d < head_dim_; ++d) out[at + d] += F16(p[j] / sum) * values_[layer][j][kv_at + d];
      }
    }
    out = Norm(Name(layer, "attn_sub_norm"), out);
    return Norm(Name(layer, "post_attention_norm"), Projected(layer, "attn_output", out));
  }

  Row FeedForward(uint32_t layer, const Row& x) const {
    const Row normed = Norm(Name(layer, "ffn_norm"), x);
    Row gate = Projected(layer, "ffn_gate", normed);
    const Row up = Projected(layer, "ffn_up", normed);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = Activated(gate[i]) * up[i];
    gate = Norm(Name(layer, "ffn_sub_norm"), gate);
    return Norm(Name(layer, "post_ffw_norm"), Projected(layer, "ffn_down", gate));
  }

  double Activated(double x) const {
    switch (arch_.activation) {
      case Activation::kSilu:
        return x / (1 + std::exp(-x));
      case Activation::kSquaredRelu:
        return x > 0 ? x * x : 0;
      case Activation::kGelu: {
        const double rounded = F16(x);
        const double t = std::tanh(std::sqrt(2 / M_PI) * (rounded + 0.044715 * rounded * rounded * rounded));
        return x <= -10 ? 0 : x >= 10 ? x : F16(0.5 * rounded * (1 + t));
      }
    }
    return 0;
  }

  const TinyModel& m_;
  const TinyShape& s_;
  const Architecture& arch_;
  size_t head_dim_;
  int position_ = 0;
  std::vector<std::vector<Row>> keys_, values_;  // [layer][position]
};

const std::vector<int32_t> kTokens = {1, 17, 39, 0, 5, 5, 28, 11, 3, 22, 9, 30};

// Logits of every token, [tokens, n_vocab]; `batches`: how many tokens each call takes.
std::vector<float> LogitsOf(const Model& model, const std::vector<size_t>& batches, ContextOptions options = {}) {
  Context context(model, options);
  const size_t n_vocab = model.hyperparameters.n_vocab;
  std::vector<float> logits;
  for (const size_t n : batches) {
    std::vector<float> some(n * n_vocab);
    context.Forward(std::span(kTokens).subspan(context.n_past(), n), LogitsFor::kAll, some);
    logits.insert(logits.end(), some.begin(), some.end());
  }
  return logits;
}

const std::vector<size_t> kOneByOne(kTokens.size(), 1);

template <class A, class B>
double WorstRelativeTo(const A& found, const B& expected) {
  double squares = 0, worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) squares += double(expected[i]) * expected[i];
  for (size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, std::fabs(double(found[i]) - expected[i]));
  return worst / std::sqrt(squares / expected.size());
}

// Each architecture, and what a file may add to it.
struct Variant {
  std::string name;
  TinyShape shape;
};
std::vector<Variant> Variants() {
  std::vector<Variant> variants;
  for (const Architecture& a : AllArchitectures()) {
    const TinyShape shape{.architecture = std::string(a.name)};
    std::string name(a.name);
    std::replace_if(
        name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
    variants.push_back({name, shape});
    if (a.may_have_norms_in) variants.push_back({name + "_norms_in", shape}), variants.back().shape.norms_in = true;
    if (a.window_every == 0) continue;
    variants.push_back({name + "_window", shape});
    variants.back().shape.window = 5;
    variants.back().shape.rope_base = 1e6f;
  }
  return variants;
}

class Architectures : public ::testing::TestWithParam<Variant> {};

TEST_P(Architectures, F32IsThePlainForwardPass) {
  TinyShape shape = GetParam().shape;
  shape.untied = !FindArchitecture(shape.architecture)->parts.Has(When::kSubNorms);
  TinyModel tiny(shape);
  const Model model = Model::Load(tiny.Write());
  for (const ArithmeticOrder& order : AllOrders()) {
    PlainForward plain(tiny);
    Context context(model, {.threads = 2, .order = &order});
    std::vector<float> logits(tiny.shape.n_vocab);
    // Now and then float32 and double round a number to different halves; from there on a row is off by parts of 2^-11.
    // GELU rounds each number of the feed-forward to one.
    const bool gelu = model.hyperparameters.activation == Activation::kGelu;
    const bool f16_sums = order.f16_single.f16_sums;  // those of attention
    size_t close = 0;
    for (const int32_t token : kTokens) {
      context.Forward({&token, 1}, LogitsFor::kLast, logits);
      const double worst = WorstRelativeTo(logits, plain.Next(token));
      ASSERT_LE(worst, f16_sums            ? 2e-2
                       : gelu              ? 1e-3
                       : order.has_vectors ? 5e-4
                                           : 8e-4)
          << order.name << ", position " << context.n_past() - 1;
      close += worst <= 1e-5;
    }
    EXPECT_GE(close, f16_sums ? 0 : gelu ? 1 : kTokens.size() / (order.has_vectors ? 4 : 6)) << order.name;
  }
}

// One tensor less or another activation is far outside the tolerance above.
TEST_P(Architectures, EachPartOfTheFileMatters) {
  TinyModel tiny(GetParam().shape);
  const Model model = Model::Load(tiny.Write());
  const std::vector<float> expected = LogitsOf(model, kOneByOne);
  for (auto& [name, tensor] : tiny.tensors) {
    const std::vector<float> kept = tensor.values;
    for (size_t i = 0; i < tensor.values.size(); ++i) tensor.values[i] *= i % 2 ? 1.0f : 0.5f;
    const Model changed = Model::Load(tiny.Write());
    EXPECT_GT(WorstRelativeTo(LogitsOf(changed, kOneByOne), expected), 1e-3) << name;
    tensor.values = kept;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Architectures, ::testing::ValuesIn(Variants()),
                         [](const auto& info) { return info.param.name; });

class WeightTypes : public ::testing::TestWithParam<TensorType> {
 protected:
  WeightTypes() : tiny_({.type = GetParam(), .embedding_type = TensorType::kF16}), model_(Model::Load(tiny_.Write())) {}
  TinyModel tiny_;
  Model model_;
};

TEST_P(WeightTypes, IsNearThePlainForwardPass) {
  PlainForward plain(tiny_);
  const std::vector<float> logits = LogitsOf(model_, kOneByOne);
  const size_t n_vocab = tiny_.shape.n_vocab;
  // What int8 and BF16 activations cost; F16 and F32 cost far less.
  const ActivationKind kind = FormatOf(GetParam()).activations;
  const double limit = kind == ActivationKind::kF32 || kind == ActivationKind::kF16 ? 5e-3 : 0.1;
  for (size_t i = 0; i < kTokens.size(); ++i) {
    const std::vector<float> row(logits.begin() + i * n_vocab, logits.begin() + (i + 1) * n_vocab);
    EXPECT_LE(WorstRelativeTo(row, plain.Next(kTokens[i])), limit) << "position " << i;
  }
}

TEST_P(WeightTypes, AnyNumberOfThreadsGivesTheSameBytes) {
  for (const std::vector<size_t>& batches : {kOneByOne, {kTokens.size()}, {7, 1, 4}}) {
    const std::vector<float> expected = LogitsOf(model_, batches, {.threads = 1});
    for (const size_t threads : {2, 3, 5})
      EXPECT_EQ(LogitsOf(model_, batches, {.threads = threads}), expected) << threads;
  }
}

// Batches of two and more share one order of operations, whatever their size; one position has another. K-quants that
// the reference repacked take fours of positions, and what is left over as one position.
TEST_P(WeightTypes, BatchesOfTwoAndMoreMaySplitAnywhere) {
  for (const ArithmeticOrder& order : AllOrders()) {
    const std::vector<float> expected = LogitsOf(model_, {12}, {.order = &order});
    using Batches = std::vector<std::vector<size_t>>;
    const size_t batch_from = std::max<size_t>(order.f16_batch_from, order.f32_batch_from);
    if (batch_from > 4) continue;  // a shorter one is no batch
    const bool fours = batch_from > 2 || (FormatOf(GetParam()).activations == ActivationKind::kQ8K &&
                                          IsRepacked({.type = GetParam(), .rows = 256}, order));
    for (const auto& batches :
         fours ? Batches{{4, 8}, {8, 4}, {4, 4, 4}} : Batches{{2, 10}, {5, 7}, {3, 4, 5}, {2, 2, 2, 2, 2, 2}}) {
      EXPECT_EQ(LogitsOf(model_, batches, {.order = &order}), expected) << order.name;
    }
  }
}

TEST_P(WeightTypes, OneByOneIsNearABatch) {
  EXPECT_LE(WorstRelativeTo(LogitsOf(model_, kOneByOne), LogitsOf(model_, {kTokens.size()})), 0.1);
}

TEST_P(WeightTypes, LastLogitsAreThoseOfTheLastPosition) {
  const size_t n_vocab = tiny_.shape.n_vocab;
  const std::vector<float> all = LogitsOf(model_, {kTokens.size()});
  Context context(model_, {});
  std::vector<float> last(n_vocab);
  context.Forward(kTokens, LogitsFor::kLast, last);
  // The head rounds one row as one position.
  EXPECT_LE(WorstRelativeTo(last, std::vector<float>(all.end() - n_vocab, all.end())), 2e-3);
}

INSTANTIATE_TEST_SUITE_P(Types, WeightTypes, ::testing::ValuesIn(TypesWhere(&Format::has_codec)),
                         [](const auto& info) { return TypeName(info.param); });

TEST(Forward, Tq1AndTq2HoldTheSameModel) {
  TinyModel tq1({.type = TensorType::kTQ1_0}), tq2({.type = TensorType::kTQ2_0});
  const Model a = Model::Load(tq1.Write()), b = Model::Load(tq2.Write());
  EXPECT_EQ(LogitsOf(a, kOneByOne), LogitsOf(b, kOneByOne));
  EXPECT_EQ(LogitsOf(a, {12}), LogitsOf(b, {12}));
}

TEST(Forward, AContextLongerThanTheKvPaddingKeepsItsBytes) {
  TinyModel tiny({.type = TensorType::kTQ2_0, .n_layer = 1});
  const Model model = Model::Load(tiny.Write());
  std::vector<int32_t> ids(300);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 7 % tiny.shape.n_vocab);
  std::vector<float> whole(tiny.shape.n_vocab), split(tiny.shape.n_vocab);
  Context one(model, {.n_ctx = 300, .threads = 2});
  one.Forward(ids, LogitsFor::kLast, whole);
  Context two(model, {.n_ctx = 4000, .threads = 1});
  two.Forward(std::span(ids).first(254), LogitsFor::kNone, {});
  two.Forward(std::span(ids).subspan(254), LogitsFor::kLast, split);
  EXPECT_EQ(whole, split);
  EXPECT_EQ(two.n_past(), 300u);
}

template <class F>
std::string ErrorOf(const F& f) {
  try {
    f();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Forward, RefusesWhatItCannotRunAndStaysUsable) {
  TinyModel tiny;
  const Model model = Model::Load(tiny.Write());
  Context context(model, {.n_ctx = 4});
  std::vector<float> logits(tiny.shape.n_vocab);
  const auto forward = [&](const std::vector<int32_t>& ids) { context.Forward(ids, LogitsFor::kLast, logits); };
  EXPECT_THAT(ErrorOf([&] { forward({}); }), HasSubstr("no tokens"));
  EXPECT_THAT(ErrorOf([&] { forward({1, 40}); }), HasSubstr("token id 40 is outside the vocabulary (0 to 39)"));
  EXPECT_THAT(ErrorOf([&] { forward({-1}); }), HasSubstr("token id -1"));
  EXPECT_THAT(ErrorOf([&] { forward({1, 2, 3, 4, 5}); }), HasSubstr("holds 4 positions, 5 were asked for"));
  EXPECT_EQ(context.n_past(), 0u);
  forward({1, 17, 39, 0});
  EXPECT_EQ(context.n_past(), 4u);
  EXPECT_THAT(ErrorOf([&] { forward({1}); }), HasSubstr("larger n_ctx"));
  std::vector<float> expected(tiny.shape.n_vocab);
  Context fresh(model, {.n_ctx = 4});
  fresh.Forward(std::span(kTokens).first(4), LogitsFor::kLast, expected);
  EXPECT_EQ(logits, expected);
  Context another(model, {});
  EXPECT_THROW(another.Forward(kTokens, LogitsFor::kAll, logits), std::logic_error);
}

}  // namespace
}  // namespace bitnet
