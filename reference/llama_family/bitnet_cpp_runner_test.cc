// What is bitnet.cpp's own in the runner; the rest is tested in reference/llama_cpp. RUNNER and GENERATE_MODEL are set
// by CMake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/capture/capture.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/trace_selection.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using nlohmann::json;
using std::chrono::seconds;

class BitnetCppRunnerTest : public testing::Test {
 protected:
  std::string Model(const std::string& architecture, int n_ff) {
    const std::string path = directory_.path() + "/" + architecture + ".gguf";
    const ProcessResult r =
        RunProcess({GENERATE_MODEL, path, "--type", "I2_S", "--arch", architecture, "--n-embd", "128", "--n-head", "4",
                    "--n-head-kv", "2", "--n-ff", std::to_string(n_ff), "--n-layer", "2", "--n-vocab", "300"},
                   seconds(60));
    EXPECT_TRUE(r.ok()) << r.Describe() << r.last_words;
    return path;
  }

  Capture Run(const Request& request) {
    const std::string file = directory_.path() + "/request.json", out = directory_.path() + "/capture";
    WriteJsonFile(file, ToJson(request));
    const ProcessResult r = RunProcess({RUNNER, "run", "--request", file, "--out", out}, seconds(120));
    if (!r.ok()) throw std::runtime_error(r.Describe() + "\n" + r.last_words);
    return ReadCapture(out);
  }

  TemporaryDirectory directory_;
};

TEST_F(BitnetCppRunnerTest, TellsCommitCompilerAndInstructionSet) {
  const ProcessResult r = RunProcess({RUNNER, "info"}, seconds(60));
  ASSERT_TRUE(r.ok()) << r.last_words;
  const json info = json::parse(r.output);
  EXPECT_EQ(info["name"], "bitnet.cpp");
  EXPECT_FALSE(info["version"].get<std::string>().empty());
  EXPECT_THAT(info["build"], testing::ContainsRegex("clang|GCC"));
  EXPECT_THAT(info["cpu_variant"], testing::AnyOf("avx512-bf16", "avx512", "avx2"));
  EXPECT_GE(info["libraries"].size(), 2u);
}

TEST_F(BitnetCppRunnerTest, EveryNodeOfTheGraphsIsAStage) {
  for (const char* architecture : {"bitnet", "bitnet-b1.58", "llama"}) {
    for (const Schedule schedule : {Schedule::kBatch, Schedule::kTokenByToken}) {
      Request request;
      request.model = Model(architecture, 256);
      request.token_ids = {5, 17, 299, 0, 123};
      request.threads = 1;
      request.max_tokens = 2;
      request.schedule = schedule;
      request.trace = "full";
      const Capture c = Run(request);
      EXPECT_THAT(c.notes, testing::IsEmpty()) << architecture;
      EXPECT_EQ(c.logits.rows, 5);
      EXPECT_EQ(c.generated.size(), 2u);
      EXPECT_EQ(c.shapes.n_embd_k, 64);
      EXPECT_EQ(c.shapes.n_embd_v, 64);
      EXPECT_EQ(c.shapes.kv_cells, c.shapes.n_ctx);
      ASSERT_EQ(c.shapes.attends.size(), 5u);
      EXPECT_EQ(c.shapes.attends[3], (std::vector<std::pair<int, int>>{{0, 3}}));
      std::filesystem::remove_all(directory_.path() + "/capture");
    }
  }
}

// A library without table kernels crashes on such a file.
TEST_F(BitnetCppRunnerTest, WeightsForTableKernelsAreRefusedWithoutThem) {
  Request request;
  request.model = Model("bitnet", 256);
  request.token_ids = {5};
  std::fstream file(request.model, std::ios::in | std::ios::out | std::ios::binary);
  std::string head(4096, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  const std::string name = "blk.1.attn_q.weight";
  const size_t type = head.find(name) + name.size() + sizeof(uint32_t) + 2 * sizeof(uint64_t);
  ASSERT_EQ(head.at(type), 36) << "I2_S";
  file.seekp(static_cast<std::streamoff>(type));
  file.put(39);  // TL2
  file.close();
  try {
    Run(request);
    FAIL() << "it ran";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("code 3"), testing::HasSubstr("39 tl2 (" + name + ")"),
                                             testing::HasSubstr("BITNET_X86_TL2")));
  }
}

// 6912 x 512 float32 are 14 MB on the stack of the one thread.
TEST_F(BitnetCppRunnerTest, AWideFeedForwardPartAndALongBatchFitTheStack) {
  Request request;
  request.model = Model("bitnet-b1.58", 6912);
  request.token_ids = std::vector<int32_t>(512, 7);
  request.threads = 1;
  request.max_tokens = 0;
  request.positions = 1;
  EXPECT_EQ(Run(request).logits.rows, 1);
}

}  // namespace
}  // namespace parity
