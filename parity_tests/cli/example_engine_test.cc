// Somebody's engine, in another language, against what llama.cpp said when it was recorded: its mistake is found and
// named, and without the mistake it climbs to the top.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fixtures/generate.h"
#include "parity_tests/findings/rung.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

const std::string kFixtures = PARITY_SOURCE_DIR "/fixtures";

ProcessResult Climb(const std::string& rope, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      BITNET_PARITY_PROGRAM,
      "ladder",
      "--candidate",
      fmt::format("exec:python3 {}/example_engine/example_engine.py --rope {}", kFixtures, rope),
      "--profile",
      "cosine",
      "--format",
      "json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunProcess(arguments, std::chrono::seconds(120));
}

// Against what was recorded of llama.cpp, so that it need not be installed.
ProcessResult Climb(const std::string& rope) {
  return Climb(rope, {"--reference", fmt::format("recorded:{}/recorded", kFixtures), "--model",
                      std::string(PARITY_BINARY_DIR) + "/fixtures/models/kjv-bitnet.f16.gguf", "--prompt", "Hello",
                      "--max-tokens", "2", "--no-explanation"});
}

class ExampleEngine : public testing::Test {
 protected:
  void SetUp() override {
    if (!RunProcess({"python3", "--version"}, std::chrono::seconds(20)).ok()) GTEST_SKIP() << "python3 is not here";
  }
};

TEST_F(ExampleEngine, ItsRopeIsFoundAtThePositions) {
  const ProcessResult result = Climb("interleaved");
  ASSERT_EQ(result.exit_code, 1) << result.last_words;
  const auto verdict = nlohmann::json::parse(result.output);
  EXPECT_EQ(verdict.at("failed_stage"), "positions");
  // Position 0 turns by no angle: the first logits are right, which leaves what depends on the position.
  EXPECT_EQ(verdict.at("stages").at(static_cast<size_t>(Rung::kFirstLogit)).at("status"), "pass");
  EXPECT_NE(verdict.at("stages").at(static_cast<size_t>(Rung::kPositions)).at("top5").at("reference").at(0).at("text"),
            "");
  EXPECT_THAT(result.output, testing::HasSubstr("RoPE"));
}

// It computes in double and rounds nowhere, so that every tensor differs in some bit; the mistake is found all the
// same.
TEST_F(ExampleEngine, TheOperationAndTheMistakeAreNamed) {
  const TemporaryDirectory root;
  GenerateOptions options;
  options.output = root.path() + "/tiny.gguf";
  options.type = options.embedding_type = bitnet::TensorType::kF32;
  options.n_embd = 64;
  options.n_head = 2;
  options.n_head_kv = 1;
  options.n_ff = 96;
  options.n_vocab = 50;
  GenerateModel(options);
  const ProcessResult result = Climb("interleaved", {"--reference", "native", "--model", options.output, "--token-ids",
                                                     "5,17,49,8,3", "--max-tokens", "0"});
  ASSERT_EQ(result.exit_code, 1) << result.last_words;
  const auto explanation = nlohmann::json::parse(result.output).at("explanation");
  EXPECT_EQ(explanation.at("position"), 1);
  EXPECT_EQ(explanation.at("layer"), 0);
  EXPECT_EQ(explanation.at("stage"), "q_rope");
  EXPECT_EQ(explanation.at("causes").at(0).at("id"), "rope_layout");
  EXPECT_EQ(explanation.at("causes").at(0).at("certainty"), "certain");
}

TEST_F(ExampleEngine, WithoutTheMistakeItClimbsToTheTop) {
  const ProcessResult result = Climb("neox");
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
}

}  // namespace
}  // namespace parity
