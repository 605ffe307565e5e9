// record, and the ladder on what was recorded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/capture.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/registry.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RecordTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  // Recorded once, and climbed from there without the engine.
  void RecordAndClimb(const std::string& engine) {
    const std::string out = Path(engine + "/recorded");
    const ProcessResult made = RunParity({"record", "--reference", engine, "--model", kTrainedModel, "--prompt",
                                          "In the", "--out", out, "--max-tokens", "4", "--trace", "core"});
    ASSERT_EQ(made.exit_code, 0) << made.last_words;
    EXPECT_EQ(ReadCapture(out).model.path, "kjv-bitnet.tq2_0.gguf");  // without this machine's directories
    EXPECT_EQ(RunParity({"check-capture", out}).exit_code, 0);
    const std::vector<std::string> ladder = {"ladder",      "--model",     kTrainedModel,
                                             "--prompt",    "In the",      "--prompt-template",
                                             "raw",         "--reference", "recorded:" + Path(engine),
                                             "--max-tokens"};
    const auto with = [&](const std::string& max_tokens) {
      std::vector<std::string> arguments = ladder;
      arguments.push_back(max_tokens);
      return RunParity(arguments);
    };
    const ProcessResult climbed = with("4");
    EXPECT_EQ(climbed.exit_code, 0) << climbed.output << climbed.last_words;
    EXPECT_THAT(climbed.output, HasSubstr("4 of 4 greedy tokens equal"));
    EXPECT_THAT(with("5").output, HasSubstr("4 generated tokens only"));
  }

  TemporaryDirectory directory_;
  Environment one_thread_{"BITNET_DETERMINISTIC", "1"};
};

TEST_F(RecordTest, Native) { RecordAndClimb("native"); }

TEST_F(RecordTest, LlamaCpp) {
  const ProbeResult probe = MakeBackend("llama.cpp")->Probe();
  if (!probe.available) GTEST_SKIP() << "llama.cpp: " << probe.problem << "; " << probe.remedy;
  RecordAndClimb("llama.cpp");
}

TEST_F(RecordTest, WhatIsMissingIsSaid) {
  const ProcessResult no_out =
      RunParity({"record", "--reference", "native", "--model", kTrainedModel, "--prompt", "a"});
  EXPECT_EQ(no_out.exit_code, 2);
  EXPECT_THAT(no_out.last_words, HasSubstr("--out"));
  const Runners runners(directory_.path(), Path("none"), Path("none"));
  const ProcessResult absent = RunParity(
      {"record", "--reference", "bitnet.cpp", "--model", kTrainedModel, "--prompt", "a", "--out", Path("out")});
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.last_words, HasSubstr("no runner at"));
  EXPECT_FALSE(fs::exists(Path("out")));
}

}  // namespace
}  // namespace parity
