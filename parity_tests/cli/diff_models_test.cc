// diff-models and ladder --candidate-model as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "parity_tests/cli/cli_for_test.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string ModelIn(const std::string& format) {
  return std::string(PARITY_BINARY_DIR) + "/fixtures/models/kjv-bitnet." + format + ".gguf";
}

TEST(DiffModels, TheSameValuesInAnotherTypeAreEqual) {
  const ProcessResult result = RunParity({"diff-models", ModelIn("f32"), ModelIn("tq1_0")});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("EQUAL"), HasSubstr("blk.*.attn_q.weight (6 layers)"),
                                   HasSubstr("F32 -> TQ1_0"), HasSubstr("the same values")));
}

TEST(DiffModels, WhatDiffersIsNamedInTextAndJson) {
  const ProcessResult result = RunParity({"diff-models", ModelIn("q8_0"), ModelIn("bf16"), "--format", "json"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  const nlohmann::json json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["equal"], false);
  EXPECT_EQ(json["first_that_breaks_parity"], "token_embd.weight");
  EXPECT_EQ(json["tensors"][0]["a"]["type"], "Q8_0");
  EXPECT_EQ(RunParity({"diff-models", ModelIn("f16"), "/nowhere.gguf"}).exit_code, 2);
}

TEST(DiffModels, TheLadderComparesTwoFiles) {
  const auto climb = [](const std::string& format) {
    return RunParity({"ladder", "--candidate", "native:llama.cpp-avx512", "--reference", "native:llama.cpp-avx512",
                      "--model", kTrainedModel, "--candidate-model", ModelIn(format), "--prompt", "In the beginning"});
  };
  const ProcessResult same = climb("tq1_0");
  EXPECT_EQ(same.exit_code, 0) << same.output;
  EXPECT_THAT(same.output, AllOf(HasSubstr("PARITY"), HasSubstr("the values of all 68 tensors are equal")));
  const ProcessResult other = climb("bf16");
  EXPECT_EQ(other.exit_code, 1) << other.output;
  EXPECT_THAT(other.output, AllOf(HasSubstr("DIVERGENCE at first-logit"), HasSubstr("First token_embd.weight")));
}

}  // namespace
}  // namespace parity
