// A mistake is found from the logits, or from the text, of an engine that has it.
#include "parity_tests/search/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/oracle/pass.h"
#include "parity_tests/search/hypotheses.h"
#include "parity_tests/search/speller.h"

namespace parity {
namespace {

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
  std::string TextOf(const Capture& capture) const {
    std::string text;
    for (const int32_t id : capture.generated) text += tokenizer_->Piece(id);
    return text;
  }
  Search MakeSearch(double budget = 0) const {
    return Search(
        {.model = &loaded_->model,
         .order = &UsualOrder(loaded_->model),
         .tokens = {.request = request_, .right = ids_, .tokenizer = tokenizer_.get(), .file = &loaded_->model.file},
         .threads = 2,
         .budget_seconds = budget});
  }

  Request request_;
  std::shared_ptr<const LoadedModel> loaded_;
  std::shared_ptr<const bitnet::Tokenizer> tokenizer_;
  std::vector<int32_t> ids_;
};

TEST_F(SearchTest, AHealthyEngineIsNotAccused) {
  const Capture capture = CaptureOf("", -1);
  for (const SearchResult& r :
       {MakeSearch().ByLogits(capture.logits), MakeSearch().ByText(TextOf(capture), *tokenizer_)}) {
    EXPECT_FALSE(r.certainty.has_value()) << r.verdict;
    EXPECT_EQ(r.tried, 0u);
    EXPECT_THAT(r.verdict, HasSubstr("healthy model"));
  }
}

TEST_F(SearchTest, LogitsNameTheMistakeAndItsLayer) {
  const SearchResult r = MakeSearch().ByLogits(CaptureOf("rope_layout", 3).logits);
  ASSERT_EQ(r.certainty, Certainty::kCertain) << r.verdict;
  EXPECT_EQ(r.best[0].id, "rope_layout");
  EXPECT_EQ(r.best[0].where, "q_rope, k_rope in layer 3");
  EXPECT_TRUE(r.best[0].every_bit);
  EXPECT_EQ(r.tried, r.possible);
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
  const SearchResult r = MakeSearch().ByText(TextOf(wrong), *tokenizer_);
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_EQ(r.best[0].id, "gqa_mapping");
  EXPECT_EQ(r.best[0].where, "attn_scores, attn_out in every layer");
  EXPECT_EQ(r.best[0].first_choice, 12u);
  EXPECT_LT(r.healthy.tokens, 12u);
}

// The layers below it are the healthy model's, also when the text goes on.
TEST_F(SearchTest, TextNamesTheLayer) {
  const SearchResult r = MakeSearch().ByText(TextOf(CaptureOf("weights_codes_swapped", 3)), *tokenizer_);
  ASSERT_TRUE(r.certainty.has_value()) << r.verdict;
  EXPECT_EQ(r.best[0].id, "weights_codes_swapped");
  EXPECT_THAT(r.best[0].where, HasSubstr("in layer 3"));
  EXPECT_TRUE(r.best[0].prints_the_text());
}

TEST_F(SearchTest, AMistakeInThePromptIsFoundFromText) {
  request_.max_tokens = 6;
  const SearchResult r = MakeSearch().ByText(TextOf(CaptureOf("bos_missing", -1)), *tokenizer_);
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
