// tokenize: both sides' ids.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/capture.h"
#include "reference/capture/capture_writer.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/registry.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class TokenizeTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  ProcessResult Tokenize(const std::string& reference, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "tokenize",          "--model", kTrainedModel, "--prompt", ReadCapture(kRecordedHello).request.text,
        "--prompt-template", "raw",     "--reference", reference};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
  }

  TemporaryDirectory directory_;
  Environment one_thread_{"BITNET_DETERMINISTIC", "1"};
};

TEST_F(TokenizeTest, TheSameIds) {
  const ProcessResult result = Tokenize("recorded:" + kRecordedHello);
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
  EXPECT_THAT(result.output,
              AllOf(StartsWith("4 ids, the same from native and llama.cpp"),
                    HasSubstr("2032 \"<|begin_of_text|>\"  2032 \"<|begin_of_text|>\"\n"), Not(HasSubstr(">      "))));
  const ProcessResult file =
      Tokenize("recorded:" + kRecordedHello, {"--tokenizer", kTrainedTokenizer, "--format", "json"});
  EXPECT_EQ(file.exit_code, 0) << file.last_words;
  const nlohmann::json json = nlohmann::json::parse(file.output);
  EXPECT_EQ(json["equal"], true);
  EXPECT_EQ(json["native"]["ids"], json["reference"]["ids"]);
  EXPECT_EQ(json["native"]["pieces"], json["reference"]["pieces"]);
}

TEST_F(TokenizeTest, TheFirstDifferenceIsPointedAt) {
  Capture capture = ReadCapture(kRecordedHello);
  capture.tokens[2] += 1;
  capture.pieces[2] = "\xe2\x98";
  WriteCapture(capture, Path("changed"));
  const ProcessResult changed = Tokenize("recorded:" + Path("changed"));
  EXPECT_EQ(changed.exit_code, 1) << changed.last_words;
  EXPECT_THAT(changed.output, AllOf(StartsWith("first difference at position 2: native has "),
                                    HasSubstr("\n>      2  "), HasSubstr("{\"bytes_hex\":\"e298\"}")));
  const ProcessResult json = Tokenize("recorded:" + Path("changed"), {"--format", "json"});
  EXPECT_EQ(json.exit_code, 1);
  EXPECT_EQ(nlohmann::json::parse(json.output)["first_difference"], 2);
}

TEST_F(TokenizeTest, InColourWhereItIsAskedFor) {
  EXPECT_THAT(Tokenize("recorded:" + kRecordedHello, {"--color", "always"}).output,
              AllOf(StartsWith("\x1b[32m4 ids"), HasSubstr("\x1b[32m       0")));
  EXPECT_THAT(Tokenize("recorded:" + kRecordedHello).output, Not(HasSubstr("\x1b")));
}

TEST_F(TokenizeTest, Live) {
  const ProbeResult probe = MakeBackend("llama.cpp")->Probe();
  if (!probe.available) GTEST_SKIP() << "llama.cpp: " << probe.problem << "; " << probe.remedy;
  const ProcessResult result = RunParity({"tokenize", "--model", kTrainedModel, "--prompt",
                                          "Kings 12:3 — naïve 👍🏽", "--prompt-template", "llama3-chat"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("<|start_header_id|>"));
}

TEST_F(TokenizeTest, ErrorsAreTwo) {
  // What there is is shown.
  const ProcessResult absent = Tokenize("recorded:" + Path("none"));
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.output, AllOf(StartsWith("4 ids from native alone; "), HasSubstr("the directory holds no capture"),
                                   HasSubstr("2032 \"<|begin_of_text|>\"")));
  const ProcessResult unable = Tokenize("exec:exit 3; true", {"--format", "json"});
  EXPECT_EQ(unable.exit_code, 2);
  const nlohmann::json json = nlohmann::json::parse(unable.output);
  EXPECT_EQ(json["native"]["ids"].size(), 4u);
  EXPECT_THAT(json["reference"]["problem"].get<std::string>(), HasSubstr("it cannot run this model"));
  EXPECT_EQ(RunParity({"tokenize", "--model", "/none.gguf", "--prompt", "a"}).exit_code, 2);
  EXPECT_EQ(RunParity({"tokenize", "--model", kTrainedModel}).exit_code, 2);
}

}  // namespace
}  // namespace parity
