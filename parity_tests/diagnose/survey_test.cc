// What the survey finds of an exact engine, where a mistake is small, shows by its rounding alone, or has no row. Every
// mistake of the table: survey_exact (suites).
#include "parity_tests/diagnose/survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using MakeWrong = std::function<void(const bitnet::Model&, Point, int layer, Parameters&)>;

Survey SurveyOf(const std::string& model, const MakeWrong& wrong) {
  Request request;
  request.model = PARITY_BINARY_DIR "/fixtures/models/" + model + ".gguf";
  request.prompt = request.text = "In the beginning God created the heaven and the earth.";
  request.max_tokens = 2;
  request.threads = 1;
  request.trace = "full";
  request.raw_tensors = true;
  const auto engine = MakeOracleBackend({.kernels = true, .change = wrong});
  const Capture capture = engine->Run(request);
  const auto loaded = LoadModel(SourceOf(request));
  return SurveyCapture({.model = &loaded->model, .order = &UsualOrder(loaded->model), .problem = {}}, capture);
}

// "attn_norm in layer 3: norm_epsilon_outside"
std::vector<std::string> Found(const Survey& survey) {
  std::vector<std::string> found;
  for (const SurveyFinding& f : survey.findings) {
    found.push_back(f.where + ": " + (f.causes.empty() ? "no cause" : f.causes[0].id));
  }
  return found;
}

// A way of a row, in one operation of one layer; the usual one where `how` is empty.
MakeWrong Made(const char* id, const std::string& how, Point at, int in_layer) {
  return [=](const bitnet::Model& model, Point point, int layer, Parameters& p) {
    if (point != at || layer != in_layer) return;
    for (const Change& change : FindMistake(id).changes({model, point, layer, 0})) {
      if (how.empty() || change.how == how) return change.apply(p);
    }
    FAIL() << id << " has no way \"" << how << "\"";
  };
}

TEST(Survey, ASoundEngineHasNothing) {
  const Survey survey = SurveyOf("kjv-bitnet.tq2_0", nullptr);
  EXPECT_THAT(survey.findings, IsEmpty());
  EXPECT_THAT(survey.habits, IsEmpty());
  EXPECT_EQ(survey.exact, survey.operations);
}

// Between one and two times what rounding can do: no clear fault, and yet a row gives every bit.
TEST(Survey, AMistakeHardlyBeyondRounding) {
  const MakeWrong wrong = Made("norm_epsilon_outside", "epsilon added to the root, not under it", Point::kAttnNorm, 3);
  EXPECT_THAT(Found(SurveyOf("kjv-bitnet.tq2_0", wrong)), ElementsAre("attn_norm in layer 3: norm_epsilon_outside"));
}

// A number that is rounded once more may go either way, where one row alone is summed in another order.
TEST(Survey, LogitsThatAreRounded) {
  const MakeWrong wrong = Made("logits_changed", "logits rounded to BF16", Point::kLogits, -1);
  EXPECT_THAT(Found(SurveyOf("kjv-bitnet.i2_s", wrong)), ElementsAre("logits: logits_changed"));
}

TEST(Survey, WeightsOfOneLayerReadOtherwise) {
  const MakeWrong wrong = Made("weights_block_order", "neighbouring weights exchanged", Point::kFfnDown, 4);
  EXPECT_THAT(Found(SurveyOf("kjv-bitnet.tq2_0", wrong)), ElementsAre("ffn_down in layer 4: weights_block_order"));
}

TEST(Survey, WhatNoRowDescribesIsPlaced) {
  const MakeWrong wrong = [](const bitnet::Model&, Point point, int layer, Parameters& p) {
    if (point != Point::kVProj || layer != 2) return;
    p.spoil = [](std::vector<float>& y) {
      for (float& v : y) v = std::sin(v);
    };
  };
  EXPECT_THAT(Found(SurveyOf("kjv-bitnet.tq2_0", wrong)), ElementsAre("v_proj in layer 2: no cause"));
}

TEST(Survey, TwoMistakesAreTwoFindings) {
  const MakeWrong first = Made("activation_function", "squared ReLU in place of SiLU", Point::kFfnAct, 1);
  const MakeWrong second = Made("norm_epsilon", "epsilon 0.01 in place of 1e-05", Point::kAttnNorm, 5);
  const MakeWrong both = [&](const bitnet::Model& model, Point point, int layer, Parameters& p) {
    first(model, point, layer, p);
    second(model, point, layer, p);
  };
  EXPECT_THAT(Found(SurveyOf("kjv-bitnet.tq2_0", both)),
              ElementsAre("ffn_act in layer 1: activation_function", "attn_norm in layer 5: norm_epsilon"));
}

// Where they meet neither alone gives what the engine has: one is known from the layer's other products.
TEST(Survey, TwoMistakesInOneOperation) {
  const MakeWrong wrong = [](const bitnet::Model& model, Point point, int layer, Parameters& p) {
    for (const Point at : {Point::kQProj, Point::kKProj, Point::kVProj}) {
      Made("quantized_by_truncation", "", at, 3)(model, point, layer, p);
    }
    Made("wrong_tensor", "the product with the weights of v_proj", Point::kKProj, 3)(model, point, layer, p);
    Made("wrong_tensor", "the product with the weights of k_proj", Point::kVProj, 3)(model, point, layer, p);
  };
  const Survey survey = SurveyOf("kjv-bitnet.i2_s", wrong);
  EXPECT_THAT(Found(survey), ElementsAre("q_proj in layer 3: quantized_by_truncation",
                                         "k_proj in layer 3: wrong_tensor", "v_proj in layer 3: wrong_tensor"));
  ASSERT_EQ(survey.findings[1].causes.size(), 2u);
  EXPECT_EQ(survey.findings[1].causes[1].id, "quantized_by_truncation");
}

}  // namespace
}  // namespace parity
