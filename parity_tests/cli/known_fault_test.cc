// A reference with a known fault, as a user meets it: another engine that makes the same mistake and bears its name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  ProcessResult Ladder(const std::string& fault, const std::vector<std::string>& more) {
    const std::string program = directory_.path() + "/reference.sh";
    WriteProgram(program,
                 "#!/bin/sh\n" NOT_EXACT_ENGINE " --kv f16 --floats f16 --head file --exp libm --rope float " + fault +
                     " \"$1\" \"$2\" || exit $?\n"
                     "sed -i -e 's/\"name\": *\"not-exact\"/\"name\": \"bitnet.cpp\"/' "
                     "-e 's/\"build\": *\"[^\"]*\"/\"build\": \"AVX2 = 1 | REPACK = 1\"/' \"$2/capture.json\"\n");
    std::vector<std::string> arguments = {"ladder",
                                          "--model",
                                          kModel,
                                          "--prompt",
                                          "In the beginning",
                                          "--max-tokens",
                                          "2",
                                          "--threads",
                                          "1",
                                          "--profile",
                                          "cosine",
                                          "--candidate",
                                          "native:llama.cpp-avx2",
                                          "--reference",
                                          "exec:" + program};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
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

TEST_F(KnownFaultCliTest, AnotherFaultOfTheSameBuildIsNoKnownOne) {
  const ProcessResult other = Ladder("--fault norm_sum", {"--accept-known-faults", "--format", "json"});
  EXPECT_EQ(other.exit_code, 1) << other.last_words;
  EXPECT_EQ(nlohmann::json::parse(other.output)["known_fault"], nullptr);
}

}  // namespace
}  // namespace parity
