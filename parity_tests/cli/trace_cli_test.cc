// Tracing, trace-diff, replay, bisect and noise as a user runs them, on a small model of 30 layers with the native
// engine as reference.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fixtures/generate.h"
#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/capture.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class TraceCliTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = new TemporaryDirectory;
    GenerateOptions options;
    options.output = Path("tiny.gguf");
    options.n_vocab = 2048;
    options.n_layer = 30;
    GenerateModel(options);
  }
  static void TearDownTestSuite() { delete root_; }
  static std::string Path(const std::string& name) { return root_->path() + "/" + name; }
  // `command` with the model, its tokenizer, a prompt of one token (BOS) unless `more` has another, and one thread.
  static ProcessResult WithModel(const std::string& command, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {command,     "--model", Path("tiny.gguf"), "--tokenizer", kTrainedTokenizer,
                                          "--threads", "1"};
    if (std::find(more.begin(), more.end(), "--prompt") == more.end()) {
      arguments.insert(arguments.end(), {"--prompt", "", "--prompt-template", "raw"});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
  }
  static ProcessResult Generate(const std::string& traces, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--max-tokens", "1", "--greedy", "--trace-dir", Path(traces)});
    return WithModel("generate", more);
  }
  static int Count(const std::string& traces, const std::string& extension) {
    return static_cast<int>(std::count_if(fs::directory_iterator(Path(traces)), fs::directory_iterator(),
                                          [&](const auto& e) { return e.path().extension() == extension; }));
  }
  static inline TemporaryDirectory* root_ = nullptr;
};

TEST_F(TraceCliTest, CoreOfThirtyLayersAndOneTokenIs92Records) {
  const ProcessResult result = Generate("core");
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_EQ(Count("core", ".trace"), 92);
  EXPECT_EQ(Count("core", ".npy"), 0);
  EXPECT_TRUE(fs::exists(Path("core/t0_blk0_attn_norm.trace")));
  EXPECT_TRUE(fs::exists(Path("core/t0_blk29_attn_scores_softmax.trace")));
  EXPECT_TRUE(fs::exists(Path("core/t0_logits.trace")));
}

TEST_F(TraceCliTest, SelectionsAndRawTensors) {
  EXPECT_EQ(Generate("some", {"--trace-select", "layer=0,5-7;stage=attn_n*,q_*", "--dump-raw"}).exit_code, 0);
  EXPECT_EQ(Count("some", ".trace"), 4 * 3);
  EXPECT_EQ(Count("some", ".npy"), 4 * 3);
  EXPECT_EQ(Generate("full", {"--trace", "full"}).exit_code, 0);
  EXPECT_EQ(Count("full", ".trace"), 3 + 30 * 19);
  setenv("BITNET_TRACE_DIR", Path("env").c_str(), 1);
  setenv("BITNET_TRACE_SELECT", "stage=logits", 1);
  EXPECT_EQ(WithModel("generate", {"--max-tokens", "2", "--greedy"}).exit_code, 0);
  unsetenv("BITNET_TRACE_DIR");
  unsetenv("BITNET_TRACE_SELECT");
  EXPECT_EQ(Count("env", ".trace"), 2);
  const ProcessResult bad = Generate("bad", {"--trace-select", "layer=7-5"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.last_words, HasSubstr("seq=0-3;layer=0,5-7;stage=attn_*"));
  EXPECT_FALSE(fs::exists(Path("bad")));
}

TEST_F(TraceCliTest, TraceDiff) {
  for (const char* order : {"llama.cpp-avx512", "llama.cpp-avx2"}) {
    ASSERT_EQ(Generate(order, {"--trace", "full", "--dump-raw", "--order", order}).exit_code, 0);
  }
  const ProcessResult equal = RunParity({"trace-diff", Path("llama.cpp-avx2"), Path("llama.cpp-avx2")});
  EXPECT_EQ(equal.exit_code, 0);
  EXPECT_THAT(equal.output, StartsWith("EQUAL\n"));
  const ProcessResult differs = RunParity({"trace-diff", Path("llama.cpp-avx512"), Path("llama.cpp-avx2"), "--raw"});
  EXPECT_EQ(differs.exit_code, 1) << differs.last_words;
  EXPECT_THAT(differs.output, AllOf(StartsWith("DIVERGENCE at t0/blk"), HasSubstr("max abs")));
  const nlohmann::json json = nlohmann::json::parse(
      RunParity({"trace-diff", Path("llama.cpp-avx512"), Path("llama.cpp-avx2"), "--format", "json"}).output);
  EXPECT_EQ(json["tensors"].size(), 573u);
  EXPECT_THAT(differs.output, HasSubstr("DIVERGENCE at " + json["first"].get<std::string>() + "\n"));

  fs::resize_file(Path("llama.cpp-avx2/t0_blk3_q_proj.trace"), 30);
  const ProcessResult truncated = RunParity({"trace-diff", Path("llama.cpp-avx512"), Path("llama.cpp-avx2")});
  EXPECT_EQ(truncated.exit_code, 2);
  EXPECT_THAT(truncated.last_words, HasSubstr("t0_blk3_q_proj.trace"));
  fs::remove(Path("llama.cpp-avx2/t0_blk3_q_proj.trace"));
  EXPECT_EQ(RunParity({"trace-diff", Path("llama.cpp-avx512"), Path("llama.cpp-avx2")}).exit_code, 2);
  EXPECT_EQ(RunParity({"trace-diff", Path("nothing"), Path("llama.cpp-avx2")}).exit_code, 2);
}

TEST_F(TraceCliTest, ReplayBisectNoise) {
  const ProcessResult replay =
      WithModel("replay", {"--reference", "native", "--layer", "2", "--stage", "ffn_down", "--prompt", "In the"});
  EXPECT_EQ(replay.exit_code, 0) << replay.last_words;
  EXPECT_THAT(replay.output, AllOf(StartsWith("PARITY of every operation\n"), HasSubstr("ffn_down")));
  EXPECT_EQ(WithModel("replay", {"--reference", "native", "--layer", "30"}).exit_code, 2);
  EXPECT_EQ(WithModel("replay", {"--reference", "native", "--layer", "0", "--stage", "ffn"}).exit_code, 2);
  const ProcessResult bisect = WithModel("bisect", {"--reference", "native", "--candidate", "native:llama.cpp-avx2",
                                                    "--prompt", "In the", "--profile", "exact", "--format", "json"});
  EXPECT_EQ(bisect.exit_code, 1) << bisect.last_words;
  EXPECT_EQ(nlohmann::json::parse(bisect.output)["verdict"], "rounding");
  EXPECT_EQ(WithModel("bisect", {"--reference", "native", "--prompt", "In the"}).exit_code, 0);
  const ProcessResult noise = WithModel("noise", {"--reference", "native", "--prompt", "In the"});
  EXPECT_EQ(noise.exit_code, 0) << noise.last_words;
  EXPECT_THAT(noise.output, AllOf(StartsWith("Noise floor of native"), HasSubstr("batch and a token at a time")));
}

}  // namespace
}  // namespace parity
