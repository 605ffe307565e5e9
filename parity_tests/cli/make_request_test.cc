// A request made by hand: the engine runs on it, what it leaves is sound, and a replay judges every operation of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/request.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(MakeRequest, AnEngineRunsOnItByHand) {
  const TemporaryDirectory root;
  const std::string file = root.path() + "/request.json", out = root.path() + "/out";
  const ProcessResult made = RunParity({"make-request", "--model", kTrainedModel, "--prompt", "Hello", "--max-tokens",
                                        "1", "--schedule", "token", "--trace", "full;seq=0-1", "--out", file});
  ASSERT_EQ(made.exit_code, 0) << made.last_words;
  EXPECT_THAT(made.last_words, AllOf(HasSubstr(file + " OUTDIR"), HasSubstr("replay --model")));
  const Request request = ReadRequest(file);
  EXPECT_EQ(request.schedule, Schedule::kTokenByToken);
  EXPECT_EQ(request.trace, "full;seq=0-1");
  EXPECT_TRUE(request.raw_tensors);

  const ProcessResult run = RunProcess({NOT_EXACT_ENGINE, file, out}, std::chrono::seconds(60));
  ASSERT_EQ(run.exit_code, 0) << run.last_words;
  const ProcessResult check = RunParity({"check-capture", out});
  EXPECT_EQ(check.exit_code, 0) << check.output;
  EXPECT_THAT(check.output, HasSubstr("a replay can judge 22 of 22 operations\na sound"));
  const ProcessResult replay = RunParity({"replay", "--model", kTrainedModel, "--reference", out, "--format", "json"});
  EXPECT_EQ(replay.output.find("\"not traced\""), std::string::npos) << replay.output;
  EXPECT_THAT(replay.output, HasSubstr("ffn_down"));
}

TEST(MakeRequest, WhatAReplayLacksIsSaid) {
  const TemporaryDirectory root;
  const std::string file = root.path() + "/request.json", out = root.path() + "/out";
  RunParity({"make-request", "--model", kTrainedModel, "--token-ids", "1,2", "--trace", "q_proj,q_rope,ffn_*", "--out",
             file});
  ASSERT_EQ(RunProcess({NOT_EXACT_ENGINE, file, out}, std::chrono::seconds(60)).exit_code, 0);
  EXPECT_THAT(RunParity({"check-capture", out}).output,
              AllOf(HasSubstr("a replay can judge 7 of 22"), HasSubstr("not traced: embeddings, attn_norm, k_proj"),
                    HasSubstr("without inputs: q_proj (lacks attn_norm), ffn_inp (lacks attn_o_proj")));
}

TEST(MakeRequest, ATraceThatIsNoneIsAnError) {
  const ProcessResult result =
      RunParity({"make-request", "--model", kTrainedModel, "--prompt", "Hi", "--trace", "q_pro"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.last_words, HasSubstr("'q_pro' matches no stage"));
}

TEST(MakeRequest, WithoutAFileItIsPrinted) {
  const ProcessResult result = RunParity({"make-request", "--model", kTrainedModel, "--prompt", "Hi"});
  ASSERT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_EQ(RequestFromJson(nlohmann::json::parse(result.output), "output").text, "Hi");
}

}  // namespace
}  // namespace parity
