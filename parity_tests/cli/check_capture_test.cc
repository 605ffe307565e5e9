// check-capture on a sound capture and on damaged ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class CheckCaptureTest : public testing::Test {
 protected:
  void SetUp() override { fs::copy(kRecordedHello, Path("capture"), fs::copy_options::recursive); }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  ProcessResult Check() { return RunParity({"check-capture", Path("capture")}); }
  // capture.json, changed.
  void Change(const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json json = ReadJsonFile(Path("capture/capture.json"));
    change(json);
    WriteJsonFile(Path("capture/capture.json"), json);
  }

  TemporaryDirectory directory_;
};

TEST_F(CheckCaptureTest, ASoundOneIsZero) {
  const ProcessResult result = Check();
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
  EXPECT_THAT(result.output, AllOf(HasSubstr("llama.cpp"), HasSubstr("32 generated"), HasSubstr("a sound capture")));
}

TEST_F(CheckCaptureTest, ATokenThatIsNotTheLargestLogitIsOne) {
  Change([](nlohmann::json& json) { json["generated"][5] = json["generated"][5].get<int>() ^ 1; });
  const ProcessResult result = Check();
  EXPECT_EQ(result.exit_code, 1) << result.last_words;
  EXPECT_THAT(result.output, AllOf(HasSubstr("generated[5]: found"), HasSubstr("1 problem")));
}

TEST_F(CheckCaptureTest, ATensorOfAnotherShapeThanTheModelsIsOne) {
  Change([](nlohmann::json& json) { json["model"]["hyperparameters"]["n_head"] = 3; });
  const ProcessResult result = Check();
  EXPECT_EQ(result.exit_code, 1) << result.last_words;
  EXPECT_THAT(result.output, AllOf(HasSubstr("t0/blk0/q_proj: shape: found [256], expected [192]"),
                                   HasSubstr("t0/blk0/attn_scores_softmax: shape: found [4, 1], expected [3, 1]")));
}

TEST_F(CheckCaptureTest, WhatCannotBeReadIsTwo) {
  const auto expect_two = [&](const std::string& words) {
    const ProcessResult result = Check();
    EXPECT_EQ(result.exit_code, 2) << words;
    EXPECT_THAT(result.output + result.last_words, HasSubstr(words));
  };
  for (const std::string name : {"logits.npy", "decode_logits.npy", "traces/t1.trace", "capture.json"}) {
    const std::string file = Path("capture/" + name), whole = ReadFile(file);
    ASSERT_FALSE(whole.empty()) << name;
    fs::resize_file(file, whole.size() - 9);
    expect_two(name);
    fs::remove(file);
    expect_two(name);
    std::ofstream(file, std::ios::binary) << whole;
  }
  Change([](nlohmann::json& json) { json["shapes"].erase("n_ctx"); });
  expect_two("shapes.n_ctx");
  EXPECT_EQ(RunParity({"check-capture", Path("none")}).exit_code, 2);
}

// Somebody who writes an adapter mends all of it in one go.
TEST_F(CheckCaptureTest, AllThatIsWrongIsListedAtOnce) {
  Change([](nlohmann::json& json) {
    json["backend"].erase("name");
    json["backend"]["threads"] = "two";
    json["model"].erase("hyperparameters");
    json["tokens"][0] = 1 << 20;
    json["pieces"].erase(0);
    json["shapes"]["n_ctx"] = nullptr;
    json["shapes"]["attends"][1] = {{1, 0}};
    json["request"]["schedule"] = "both";
    json.erase("timings");
    json["files"]["traces"].push_back("traces/none.trace");
    json["generated"][5] = json["generated"][5].get<int>() ^ 1;
  });
  const std::string trace = ReadFile(Path("capture/traces/t1.trace"));
  std::ofstream(Path("capture/traces/t1.trace"), std::ios::binary)
      << trace << R"({"name": "x", "seq": 0, "layer": 0, "stage": "q_proj", "dtype": "F16"})"
      << "\n";
  fs::remove(Path("capture/logits.npy"));
  const ProcessResult result = Check();
  EXPECT_EQ(result.exit_code, 2) << result.last_words;
  for (const char* words :
       {"backend.name: missing key", "backend.threads: found \"two\"", "model.hyperparameters: missing key",
        "tokens[0]: found 1048576", "pieces: found", "shapes.n_ctx: found null", "shapes.attends[1]: [1, 0]",
        "request: schedule: found 'both'", "timings: missing key", "none.trace: no such file", "generated[5]: found",
        "t1.trace:", "shape: missing key", "found 'F16', expected 'F32'", "logits.npy"}) {
    EXPECT_THAT(result.output, HasSubstr(words));
  }
}

TEST_F(CheckCaptureTest, WhatIsWrongManyTimesIsCounted) {
  Change([](nlohmann::json& json) { json["model"]["hyperparameters"]["n_embd"] = 7; });
  const ProcessResult result = Check();
  EXPECT_EQ(result.exit_code, 1) << result.last_words;
  EXPECT_THAT(result.output, testing::ContainsRegex("and [0-9]+ more like this"));
}

TEST_F(CheckCaptureTest, AFirstDecodedRowThatIsNotTheLastOfThePromptIsOne) {
  const std::string file = Path("capture/decode_logits.npy");
  std::string bytes = ReadFile(file);
  bytes[bytes.size() - 4 * 2048 * 32 + 2] ^= 1;  // one bit of the first logit
  std::ofstream(file, std::ios::binary) << bytes;
  const ProcessResult result = Check();
  EXPECT_EQ(result.exit_code, 1) << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("decode_logits.npy: [0, 0] is"));
}

}  // namespace
}  // namespace parity
