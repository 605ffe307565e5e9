// Somebody's engine, in another language, against what llama.cpp said when it was recorded: its mistake is found and
// named, and without the mistake it climbs to the top.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "reference/backends/process.h"

namespace parity {
namespace {

ProcessResult Climb(const std::string& rope) {
  const std::string fixtures = PARITY_SOURCE_DIR "/fixtures";
  return RunProcess({BITNET_PARITY_PROGRAM, "ladder", "--candidate",
                     fmt::format("exec:python3 {}/example_engine/example_engine.py --rope {}", fixtures, rope),
                     "--reference", fmt::format("recorded:{}/recorded", fixtures), "--model",
                     PARITY_BINARY_DIR "/fixtures/models/kjv-bitnet.f16.gguf", "--prompt", "Hello", "--max-tokens", "2",
                     "--schedule", "batch", "--profile", "cosine", "--format", "json"},
                    std::chrono::seconds(120));
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
  EXPECT_EQ(verdict.at("stages").at(3).at("status"), "pass");
  EXPECT_THAT(result.output, testing::HasSubstr("RoPE"));
}

TEST_F(ExampleEngine, WithoutTheMistakeItClimbsToTheTop) {
  const ProcessResult result = Climb("neox");
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
}

}  // namespace
}  // namespace parity
