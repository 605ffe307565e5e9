// A mistake is found from the logits, or from the text, of an engine that has it.
#include "parity_tests/search/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/oracle/pass.h"
#include "parity_tests/search/hypotheses.h"
#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/speller.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

class SearchTest : public testing::Test {
 protected:
  SearchTest() {
    request_.model = std::string(PARITY_BINARY_DIR) + "/fixtures/models/kjv-bitnet.tq2_0.gguf";
    request_.prompt = request_.text = "And God said";
    request_.max_tokens = 12;
    request_.threads = 1;
    loaded_ = LoadModel(SourceOf(request_));
    tokenizer_ = LoadTokenizer(request_);
    ids_ = tokenizer_->Encode(request_.text, {.add_special = true, .parse_special = true});
  }

  Capture CaptureOf(const std::string& mistake, int layer) const {
    return MakeOracleBackend({.mistake = mistake, .layer = layer, .kernels = true})->Run(request_);
  }
  Search MakeSearch(double budget = 0, bool keep_answers = false) const {
    return Search(
        {.model = &loaded_->model,
         .order = &UsualOrder(loaded_->model),
         .tokens = {.request = request_, .right = ids_, .tokenizer = tokenizer_.get(), .file = &loaded_->model.file},
         .threads = 2,
         .budget_seconds = budget,
         .keep_answers = keep_answers});
  }

  Request request_;
  std::shared_ptr<const LoadedModel> loaded_;
  std::shared_ptr<const bitnet::Tokenizer> tokenizer_;
  std::vector<int32_t> ids_;
};

TEST_F(SearchTest, AHealthyEngineIsNotAccused) {
  const Capture capture = CaptureOf("", -1);
  for (const SearchResult& r :
       {MakeSearch().ByLogits(capture.logits), MakeSearch().ByText(GeneratedText(capture), *tokenizer_)}) {
    EXPECT_FALSE(r.certainty.has_value()) << r.verdict;
    EXPECT_EQ(r.tried, 0u);
    EXPECT_THAT(r.verdict, HasSubstr("healthy model"));
  }
}

TEST_F(SearchTest, LogitsNameTheMistakeAndItsLayer) {
  const SearchResult r = MakeSearch().ByLogits(CaptureOf("rope_layout", 3).logits);
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_EQ(r.certainty, r.ended_early ? Certainty::kLikely : Certainty::kCertain) << r.verdict;
  EXPECT_EQ(r.best[0].id, "rope_layout");
  EXPECT_EQ(r.best[0].where, "q_rope, k_rope in layer 3");
  EXPECT_TRUE(r.best[0].every_bit);
  EXPECT_EQ(r.ended_early, r.tried < r.possible);
}

// A number that the table does not have.
TEST_F(SearchTest, NumbersAreSolvedFor) {
  const auto logits_with = [&](const Hypothesis& h) {
    KernelArithmetic arithmetic(loaded_->model.hyperparameters, UsualOrder(loaded_->model));
    Pass pass(loaded_->model, arithmetic, {.n_cells = 256, .change = [&h](Point point, int, Parameters& p) {
                                             if (h.points.Has(point)) h.mistake->dial->set(p, *h.dial);
                                           }});
    Values logits = pass.Forward(ids_);
    return Matrix{.rows = static_cast<int64_t>(ids_.size()),
                  .cols = static_cast<int64_t>(loaded_->model.hyperparameters.n_vocab),
                  .data = std::move(logits)};
  };
  for (const auto& [id, number, words] : {std::tuple("rope_base", 23000.0f, "base 23000 in place of"),
                                          std::tuple("norm_epsilon", 0.0037f, "epsilon 0.0037"),
                                          std::tuple("softmax_scale", 0.1f, "scale 0.1 in place of 0.125")}) {
    const SearchResult r = MakeSearch().ByLogits(logits_with(WithNumber(loaded_->model, FindMistake(id), number)));
    ASSERT_FALSE(r.best.empty());
    EXPECT_EQ(r.best[0].id, id) << r.verdict;
    EXPECT_TRUE(r.best[0].every_bit) << r.verdict;
    EXPECT_THAT(r.best[0].how, HasSubstr(words));
  }
}

TEST_F(SearchTest, TextNamesTheMistake) {
  const Capture wrong = CaptureOf("gqa_mapping", OracleSpec::kEveryLayer);
  const SearchResult r = MakeSearch().ByText(GeneratedText(wrong), *tokenizer_);
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_EQ(r.best[0].id, "gqa_mapping");
  EXPECT_EQ(r.best[0].where, "attn_scores, attn_out in every layer");
  EXPECT_EQ(r.best[0].first_choice, 12u);
  EXPECT_LT(r.healthy.tokens, 12u);
}

// The layers below it are the healthy model's, also when the text goes on.
TEST_F(SearchTest, TextNamesTheLayer) {
  const SearchResult r = MakeSearch().ByText(GeneratedText(CaptureOf("weights_codes_swapped", 3)), *tokenizer_);
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_EQ(r.best[0].id, "weights_codes_swapped");
  EXPECT_THAT(r.best[0].where, HasSubstr("in layer 3"));
  EXPECT_TRUE(r.best[0].prints_the_text());
}

// An engine that keeps K, V, Q and the probabilities in float32, and multiplies its head in int8, has no mistake; one
// that has one beside them is told so, also of one that moves less than the habits do, and of a number.
TEST_F(SearchTest, HabitsAreNoMistakeAndHideNone) {
  const auto logits = [&](const std::optional<Hypothesis>& mistake) {
    const auto change = [&mistake](const bitnet::Model& model, Point point, int layer, Parameters& p) {
      std::vector<Hypothesis> made = FloatAttention();
      for (const Hypothesis& h : HabitHypotheses(model)) {
        if (h.mistake->id == "int8_head" && h.variant == 0) made.push_back(h);
      }
      if (mistake) made.push_back(*mistake);
      for (const Hypothesis& h : made) {
        if (h.in_place(point, layer)) Apply(h, model, point, layer, p);
      }
    };
    return MakeOracleBackend({.kernels = true, .change = change})->Run(request_).logits;
  };
  Search search = MakeSearch(0, true);
  const SearchResult healthy = search.ByLogits(logits(std::nullopt));
  EXPECT_FALSE(healthy.certainty.has_value()) << healthy.verdict;
  EXPECT_TRUE(healthy.healthy.every_bit);
  EXPECT_THAT(healthy.verdict, AllOf(HasSubstr("bit for bit"), HasSubstr("beside habits: K, V, Q")));
  EXPECT_THROW(search.Predict({.request = request_, .right = ids_}, 1, *tokenizer_), std::logic_error);
  const Mistake& rounding = FindMistake("quantized_rounding");
  for (const Hypothesis& mistake :
       {Hypothesis{.mistake = &rounding, .variant = 3, .points = {Point::kVProj}, .layer = 0},
        WithNumber(loaded_->model, FindMistake("rope_base"), 1.05f * loaded_->model.hyperparameters.RopeBase(0))}) {
    const SearchResult wrong = search.ByLogits(logits(mistake));
    const bitnet::GraphShape shape = bitnet::ShapeOf(loaded_->model.hyperparameters);
    // likely: where it took so long that not all is tried
    ASSERT_GE(wrong.certainty, Certainty::kLikely) << wrong.verdict;
    EXPECT_EQ(wrong.best[0].id, mistake.mistake->id);
    EXPECT_EQ(wrong.best[0].where, WhereOf(mistake, shape));
    EXPECT_TRUE(wrong.best[0].every_bit) << wrong.verdict;
    EXPECT_THAT(wrong.habits, Contains(HasSubstr("K, V, Q and the probabilities in float32")));
    EXPECT_THAT(wrong.habits, Contains(HasSubstr("each row of the head as int8")));
  }
}

// What is no number is near nothing: neither a mistake nor a habit explains it.
TEST_F(SearchTest, LogitsThatAreNoNumbersAreNobodysMistake) {
  Matrix logits = CaptureOf("rope_layout", 3).logits;
  logits.data.front() = std::numeric_limits<float>::quiet_NaN();
  const SearchResult r = MakeSearch().ByLogits(logits);
  EXPECT_FALSE(r.certainty.has_value()) << r.verdict;
  EXPECT_TRUE(r.habits.empty());
  EXPECT_THAT(r.verdict, HasSubstr("no known mistake comes near these logits"));
}

// Of mistakes that print the same text after one prompt, another prompt leaves fewer; where several are left, one that
// tells them apart is named, and what each prints there is what it does print.
TEST_F(SearchTest, AnotherPromptTellsMistakesApart) {
  request_.max_tokens = 3;
  Request other = request_;
  other.prompt = other.text = "The king of Israel";
  const std::vector<int32_t> other_ids = tokenizer_->Encode(other.text, {.add_special = true, .parse_special = true});
  const auto site = [&](const Request& request, const std::vector<int32_t>& ids) {
    return TokenSite{.request = request, .right = ids, .tokenizer = tokenizer_.get(), .file = &loaded_->model.file};
  };
  Search search({.model = &loaded_->model,
                 .order = &UsualOrder(loaded_->model),
                 .tokens = site(request_, ids_),
                 .threads = 2,
                 .further = {site(other, other_ids)},
                 .keep_answers = true});
  const auto engine = MakeOracleBackend({.mistake = "gqa_mapping", .layer = OracleSpec::kEveryLayer, .kernels = true});
  std::vector<Told> told = {{site(request_, ids_), GeneratedText(engine->Run(request_))}};
  const SearchResult one = search.ByTexts(told, *tokenizer_);
  ASSERT_EQ(one.certainty, Certainty::kPossible) << one.verdict;
  ASSERT_TRUE(one.separating.has_value());
  EXPECT_EQ(one.separating->prompt, other.prompt);
  EXPECT_GE(one.separating->groups, 2u);
  other.max_tokens = 24;
  const std::string said = GeneratedText(engine->Run(other));
  EXPECT_THAT(one.separating->says, Contains(testing::Field(&SeparatingPrompt::Says::text, said)));
  other.max_tokens = request_.max_tokens = 12;
  told[0].text = GeneratedText(engine->Run(request_));
  told.push_back({site(other, other_ids), GeneratedText(engine->Run(other))});
  const SearchResult two = search.ByTexts(told, *tokenizer_);
  ASSERT_TRUE(two.certainty.has_value()) << two.verdict;
  EXPECT_EQ(two.best[0].id, "gqa_mapping");
  EXPECT_EQ(two.best[0].first_choice, 24u);
  EXPECT_LE(two.best[0].alike.size(), one.best[0].alike.size());
  EXPECT_GT(two.over_healthy.value_or(0), 0);
  // What it predicts is what the engine says.
  request_.prompt = request_.text = "In the beginning";
  const std::vector<int32_t> third = tokenizer_->Encode(request_.text, {.add_special = true, .parse_special = true});
  const Confirmation c = search.Predict(site(request_, third), 12, *tokenizer_);
  EXPECT_EQ(c.predicted, GeneratedText(engine->Run(request_)));
  EXPECT_EQ(c.healthy, GeneratedText(MakeOracleBackend({.kernels = true})->Run(request_)));
}

// The last position's logits beside the text: every bit of them.
TEST_F(SearchTest, LogitsBesideTheText) {
  const Capture wrong = CaptureOf("weights_codes_swapped", 3);
  const Matrix& all = wrong.logits;
  const Matrix last{.rows = 1, .cols = all.cols, .data = {all.data.end() - all.cols, all.data.end()}};
  const int64_t at = static_cast<int64_t>(ids_.size()) - 1;
  const SearchResult r = MakeSearch().ByTextAndLogits(GeneratedText(wrong), *tokenizer_, last, {&at, 1});
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_EQ(r.best[0].id, "weights_codes_swapped");
  EXPECT_THAT(r.best[0].where, HasSubstr("in layer 3"));
  EXPECT_EQ(r.best[0].distance, 0);
  EXPECT_EQ(r.positions, 1u);
  EXPECT_EQ(r.texts, 1u);
}

// An engine that leaves a token out has fewer rows; its last is that of the last token.
TEST_F(SearchTest, TheLastLogitsOfAShorterPrompt) {
  const Capture wrong = CaptureOf("bos_missing", -1);
  const Matrix& all = wrong.logits;
  const Matrix last{.rows = 1, .cols = all.cols, .data = {all.data.end() - all.cols, all.data.end()}};
  const int64_t at = static_cast<int64_t>(ids_.size()) - 1;
  const SearchResult r = MakeSearch().ByLogits(last, {&at, 1});
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_EQ(r.best[0].id, "bos_missing");
  EXPECT_TRUE(r.best[0].every_bit);
}

// A text that no mistake prints beside logits of one that has a mistake: the answer is that of the logits, and so is
// what is predicted of it.
TEST_F(SearchTest, AnAnswerFromLogitsIsPredictedByWhatTheLogitsSay) {
  const Capture wrong = CaptureOf("gqa_mapping", OracleSpec::kEveryLayer);
  Search search = MakeSearch();
  const SearchResult r = search.ByTextAndLogits("zebra qqq ### 0123", *tokenizer_, wrong.logits);
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_FALSE(r.from_text);
  EXPECT_EQ(r.best[0].id, "gqa_mapping");
  const TokenSite site{.request = request_, .right = ids_, .tokenizer = tokenizer_.get()};
  EXPECT_EQ(search.Predict(site, 12, *tokenizer_).predicted, GeneratedText(wrong));
}

TEST_F(SearchTest, AMistakeInThePromptIsFoundFromText) {
  request_.max_tokens = 6;
  const SearchResult r = MakeSearch().ByText(GeneratedText(CaptureOf("bos_missing", -1)), *tokenizer_);
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_EQ(r.best[0].id, "bos_missing");
}

TEST_F(SearchTest, WhatNoModelPrintsIsNobodysMistake) {
  const SearchResult r = MakeSearch().ByText("zebra qqq ### 0123", *tokenizer_);
  EXPECT_FALSE(r.certainty.has_value());
  EXPECT_THAT(r.verdict, HasSubstr("no known mistake prints this text"));
}

TEST_F(SearchTest, ABudgetEndsTheSearch) {
  const SearchResult r = MakeSearch(1e-6).ByLogits(CaptureOf("rope_layout", 3).logits);
  EXPECT_LT(r.tried, r.possible);
  EXPECT_TRUE(r.ended_early);
  EXPECT_NE(r.certainty, Certainty::kCertain);
  EXPECT_THAT(r.verdict, HasSubstr("was tried"));
  const SearchResult text = MakeSearch(1e-6).ByText("zebra qqq", *tokenizer_);
  EXPECT_THAT(text.verdict, HasSubstr("the time ended before any of"));
}

// Of the ranking the runner-up is the first that the evidence can tell from the best.
TEST(RankingTest, WhatIsAlikeIsNoRunnerUp) {
  SearchResult r;
  const Hypothesis none;
  std::vector<Scored> scored;
  for (const auto& [id, distance] : {std::pair("c", 0.3), std::pair("a", 0.1), std::pair("b", 0.1)}) {
    scored.push_back({&none, {.id = id, .distance = distance}});
  }
  Rank(std::move(scored), /*from_text=*/false, 5, r);
  EXPECT_THAT(Rivals(r), testing::ElementsAre("b"));
  ASSERT_EQ(NextToldApart(r, 0), 2u);
  EXPECT_EQ(r.best[2].id, "c");
  EXPECT_EQ(NextToldApart(r, 2), r.best.size());
}

TEST(RankingTest, NothingIsCertainWhereTheTimeEnded) {
  SearchResult r{.tried = 3, .possible = 5, .certainty = Certainty::kCertain, .verdict = "it is so"};
  SayWhatWasNotTried(r);
  EXPECT_EQ(r.certainty, Certainty::kCertain);
  r.ended_early = true;
  SayWhatWasNotTried(r);
  EXPECT_EQ(r.certainty, Certainty::kLikely);
  EXPECT_EQ(r.verdict, "it is so; 3 of 5 hypotheses were tried");
}

TEST_F(SearchTest, LogitsOfAnotherVocabularyAreRefused) {
  EXPECT_THROW(MakeSearch().ByLogits({.rows = 1, .cols = 7, .data = std::vector<float>(7)}), std::runtime_error);
}

TEST_F(SearchTest, TokensThatSpellAText) {
  const Speller speller(*tokenizer_);
  const auto pieces = [&](std::string_view rest, bool first) {
    std::vector<std::string> found;
    for (const Speller::Spelling& s : speller.At(rest, first)) found.push_back(tokenizer_->Piece(s.id));
    return found;
  };
  EXPECT_THAT(pieces(" the Lord", false), Contains(" the"));
  EXPECT_THAT(pieces("the Lord", true), Contains(" the"));
  EXPECT_THAT(pieces("the Lord", false), testing::Not(Contains(" the")));
  EXPECT_THAT(pieces(" th", false), Contains(" the"));  // cut within a token
}

}  // namespace
}  // namespace parity
