// A reference with a known fault, as a user meets it: another engine that makes the same mistake and bears its name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class KnownFaultCliTest : public testing::Test {
 protected:
  // An engine that says it is a bitnet.cpp since July 2026.
  std::string Reference(const std::string& fault) const {
    const std::string program = directory_.path() + "/reference.sh";
    WriteProgram(program,
                 "#!/bin/sh\n" NOT_EXACT_ENGINE " --kv f16 --floats f16 --head file --exp libm --rope float " + fault +
                     " \"$1\" \"$2\" || exit $?\n"
                     "sed -i -e 's/\"name\": *\"not-exact\"/\"name\": \"bitnet.cpp\"/' "
                     "-e 's/\"build\": *\"[^\"]*\"/\"build\": \"AVX2 = 1 | REPACK = 1\"/' \"$2/capture.json\"\n");
    return "exec:" + program;
  }
  ProcessResult Run(std::vector<std::string> arguments, const std::vector<std::string>& more) const {
    for (const char* word : {"--threads", "1", "--profile", "cosine", "--candidate", "native:llama.cpp-avx2"}) {
      arguments.emplace_back(word);
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
  }
  ProcessResult Ladder(const std::string& fault, const std::vector<std::string>& more) const {
    return Run({"ladder", "--model", kModel, "--prompt", "In the beginning", "--max-tokens", "2", "--reference",
                Reference(fault)},
               more);
  }
  // A run of one case: 1 without --accept-known-faults, 0 with it.
  void ExpectAcceptance(const std::vector<std::string>& command) const {
    const ProcessResult named = Run(command, {"--out", directory_.path() + "/named"});
    EXPECT_EQ(named.exit_code, 1) << named.last_words;
    EXPECT_THAT(named.output, HasSubstr("known fault bitnet.cpp#588 of this version"));
    const std::string out = directory_.path() + "/accepted";
    const ProcessResult accepted = Run(command, {"--accept-known-faults", "--out", out});
    EXPECT_EQ(accepted.exit_code, 0) << accepted.output << accepted.last_words;
    EXPECT_THAT(accepted.output, AllOf(HasSubstr("PARITY: 1 of 1 climbs passed"),
                                       HasSubstr("beside a known fault of the reference (bitnet.cpp#588)")));
    // Two runs that judge otherwise are not one.
    EXPECT_THAT(Run(command, {"--resume", "--out", out}).last_words, HasSubstr("beside known faults"));
  }
  const std::string kModel = PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet-b1.58.tq2_0.gguf";
  TemporaryDirectory directory_;
};

TEST_F(KnownFaultCliTest, IsNamedAndAccepted) {
  const ProcessResult named = Ladder("--fault activation", {});
  EXPECT_EQ(named.exit_code, 1) << named.last_words;
  EXPECT_THAT(named.output,
              AllOf(StartsWith("DIVERGENCE at first-logit: the reference is at fault (known fault bitnet.cpp#588)\n"),
                    HasSubstr("computes ffn_act with SiLU where bitnet-b1.58 asks for squared ReLU"),
                    HasSubstr("https://github.com/microsoft/BitNet/issues/588")));
  const ProcessResult accepted =
      Ladder("--fault activation", {"--accept-known-faults", "--no-explanation", "--format", "json"});
  EXPECT_EQ(accepted.exit_code, 0) << accepted.output << accepted.last_words;
  const nlohmann::json json = nlohmann::json::parse(accepted.output);
  EXPECT_EQ(json["at_fault"], "reference");
  EXPECT_EQ(json["known_fault"]["id"], "bitnet.cpp#588");
  EXPECT_EQ(json["known_fault"]["operation"], "ffn_act");
  EXPECT_EQ(json["known_fault"]["accepted"], true);
  EXPECT_EQ(json["known_fault"]["failed_stage_without"], "first-logit");
  EXPECT_THAT(Ladder("--fault activation", {"--accept-known-faults"}).output,
              StartsWith("PARITY beside a known fault of the reference (bitnet.cpp#588)\n"));
}

// A candidate that is wrong too is explained beside the reference as it should be: both are asked again.
TEST_F(KnownFaultCliTest, WhatStillFailsBesideItIsExplainedWithoutIt) {
  const ProcessResult result = RunParity(
      {"ladder", "--model", kModel, "--prompt", "In the beginning", "--max-tokens", "2", "--threads", "1", "--profile",
       "cosine", "--candidate",
       "exec:" NOT_EXACT_ENGINE " --kv f16 --floats f16 --head file --exp libm --rope float --fault rope_layout:2",
       "--reference", Reference("--fault activation"), "--accept-known-faults", "--format", "json"});
  EXPECT_EQ(result.exit_code, 1) << result.last_words;
  const nlohmann::json json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["known_fault"]["accepted"], true);
  EXPECT_EQ(json["at_fault"], "candidate");
  const nlohmann::json& causes = json["explanation"]["causes"];
  ASSERT_FALSE(causes.empty());
  EXPECT_EQ(causes[0]["id"], "rope_layout");
  for (const nlohmann::json& cause : causes) EXPECT_NE(cause["id"], "activation_function");
  EXPECT_EQ(json["explanation"]["bisection"]["stage"], "q_rope");  // ffn_act of layer 0 comes before it
  EXPECT_EQ(json["explanation"]["bisection"]["layer"], 2);
}

TEST_F(KnownFaultCliTest, ASweepAcceptsItToo) {
  ExpectAcceptance({"sweep", "--model", kModel, "--prompt", "hello", "--schedule", "batch", "--trace", "none",
                    "--reference", Reference("--fault activation")});
}

TEST_F(KnownFaultCliTest, AMatrixAcceptsItToo) {
  const std::string reference = Reference("--fault activation"), file = directory_.path() + "/matrix.json";
  std::ofstream(file) << nlohmann::json{
      {"schema", "bitnet-parity/matrix/1"},
      {"max_tokens", 2},
      {"n_ubatch", 512},
      {"threads", 1},
      {"schedules", {"batch"}},
      {"profile", "strict"},
      {"profile_elsewhere", "cosine"},
      {"references", {reference}},
      {"models",
       {{{"id", "b1.58"}, {"file", "kjv-bitnet-b1.58.tq2_0.gguf"}, {"format", "tq2_0"}, {"references", {reference}}}}}};
  ExpectAcceptance({"matrix", "--matrix", file, "--models", PARITY_SOURCE_DIR "/fixtures/models", "--prompt", "hello"});
}

TEST_F(KnownFaultCliTest, AnotherFaultOfTheSameBuildIsNoKnownOne) {
  const ProcessResult other = Ladder("--fault norm_sum", {"--accept-known-faults", "--format", "json"});
  EXPECT_EQ(other.exit_code, 1) << other.last_words;
  EXPECT_EQ(nlohmann::json::parse(other.output)["known_fault"], nullptr);
}

}  // namespace
}  // namespace parity
