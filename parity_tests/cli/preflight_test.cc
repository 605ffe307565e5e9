// preflight and setup-cpp-auto, with runners that are small scripts.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class PreflightTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }

  // A runner that answers `info` and nothing else. Its directory's name must be quoted in every shell.
  std::string Runner(const std::string& engine) const {
    const std::string path = Path("it's here/" + engine + "_runner");
    WriteProgram(path, fmt::format("#!/bin/sh\necho '{{\"name\": \"{0}\", \"version\": \"9.{0}\", \"features\": "
                                   "\"AVX2 = 1\", \"libraries\": [\"/opt/{0}/lib/libllama.so\"]}}'\n",
                                   engine));
    return path;
  }

  TemporaryDirectory directory_;
};

TEST_F(PreflightTest, NothingThere) {
  const std::string llama = Path("none/llama"), bitnet = Path("none/bitnet");
  {
    const Runners runners(directory_.path(), llama, bitnet);
    const ProcessResult result = RunParity({"preflight", "--verbose"});
    EXPECT_EQ(result.exit_code, 0) << result.last_words;
    EXPECT_THAT(result.output,
                AllOf(HasSubstr("native      available"), HasSubstr("llama.cpp   NOT AVAILABLE\n"),
                      HasSubstr("bitnet.cpp  NOT AVAILABLE\n"), HasSubstr("no runner at " + llama),
                      HasSubstr("looked at " + bitnet), HasSubstr("npm ci"), HasSubstr("BITNET_CPP_DIR")));
    const ProcessResult setup = RunParity({"setup-cpp-auto"});
    EXPECT_EQ(setup.exit_code, 2);
    EXPECT_THAT(setup.output, IsEmpty());  // nothing for eval
    EXPECT_THAT(setup.last_words, AllOf(HasSubstr("llama.cpp: not available"), HasSubstr("bitnet.cpp: not available")));
  }
  const Runners runners(directory_.path(), llama, bitnet, "bitnet.cpp");
  const ProcessResult required = RunParity({"preflight"});
  EXPECT_EQ(required.exit_code, 2);
  EXPECT_THAT(required.output, HasSubstr("bitnet.cpp  NOT AVAILABLE (PARITY_REQUIRE asks for it)"));
}

TEST_F(PreflightTest, LlamaCppAlone) {
  const std::string runner = Runner("llama_cpp");
  for (const auto& [required, exit_code] : {std::pair("llama.cpp", 0), {"llama.cpp,bitnet.cpp", 2}, {"", 0}}) {
    const Runners runners(directory_.path(), runner, Path("none"), required);
    const ProcessResult result = RunParity({"preflight", "--verbose"});
    EXPECT_EQ(result.exit_code, exit_code) << required;
    EXPECT_THAT(result.output, AllOf(HasSubstr("llama.cpp   available 9.llama_cpp"), HasSubstr("found " + runner),
                                     HasSubstr("found /opt/llama_cpp/lib/libllama.so"), HasSubstr("features: AVX2 = 1"),
                                     HasSubstr("bitnet.cpp  NOT AVAILABLE")));
    const nlohmann::json json = nlohmann::json::parse(RunParity({"preflight", "--format", "json"}).output);
    ASSERT_GE(json.size(), 3u);
    EXPECT_EQ(json[1]["backend"], "llama.cpp");
    EXPECT_EQ(json[1]["available"], true);
    EXPECT_EQ(json[2]["available"], false);
    EXPECT_EQ(json[2]["required"], exit_code == 2);
  }
  const Runners runners(directory_.path(), runner, Path("none"));
  const ProcessResult setup = RunParity({"setup-cpp-auto"});
  EXPECT_EQ(setup.exit_code, 0) << setup.last_words;
  EXPECT_THAT(setup.output, AllOf(HasSubstr("export PARITY_REQUIRE='llama.cpp'\n"), Not(HasSubstr("BITNET_CPP"))));
}

TEST_F(PreflightTest, BothInEveryShell) {
  const std::string llama = Runner("llama_cpp"), bitnet = Runner("bitnet_cpp");
  const Runners runners(directory_.path(), llama, bitnet, "llama.cpp,bitnet.cpp,native");
  const Environment checkout("BITNET_CPP_DIR", "/opt/bitnet $HOME");
  EXPECT_EQ(RunParity({"preflight"}).exit_code, 0);
  for (const std::string shell : {"sh", "bash"}) {
    const ProcessResult evaluated = RunProcess(
        {shell, "-c",
         "given=$(\"$0\" setup-cpp-auto --emit=sh) || exit\n"
         "unset PARITY_LLAMA_CPP_RUNNER PARITY_BITNET_CPP_RUNNER PARITY_REQUIRE BITNET_CPP_DIR\n"
         "eval \"$given\"\n"
         "env | grep -E '^(PARITY_LLAMA_CPP_RUNNER|PARITY_BITNET_CPP_RUNNER|PARITY_REQUIRE|BITNET_CPP_DIR)=' "
         "| sort",
         BITNET_PARITY_PROGRAM},
        std::chrono::seconds(60));
    EXPECT_EQ(evaluated.output, fmt::format("BITNET_CPP_DIR=/opt/bitnet $HOME\nPARITY_BITNET_CPP_RUNNER={}\n"
                                            "PARITY_LLAMA_CPP_RUNNER={}\nPARITY_REQUIRE=llama.cpp,bitnet.cpp\n",
                                            bitnet, llama))
        << shell << ": " << evaluated.last_words;
  }
  EXPECT_THAT(RunParity({"setup-cpp-auto", "--emit=fish"}).output,
              AllOf(HasSubstr("set -gx PARITY_LLAMA_CPP_RUNNER '" + Path("it\\'s here/llama_cpp_runner'\n")),
                    HasSubstr("set -gx BITNET_CPP_DIR '/opt/bitnet $HOME'\n")));
  EXPECT_THAT(RunParity({"setup-cpp-auto", "--emit=pwsh"}).output,
              AllOf(HasSubstr("$env:PARITY_LLAMA_CPP_RUNNER = '" + Path("it''s here/llama_cpp_runner'\n")),
                    HasSubstr("$env:BITNET_CPP_DIR = '/opt/bitnet $HOME'\n")));
  EXPECT_EQ(RunParity({"setup-cpp-auto", "--emit=csh"}).exit_code, 2);
}

TEST_F(PreflightTest, ARequiredEngineThatNobodyKnowsIsAnError) {
  const Runners runners(directory_.path(), Path("none"), Path("none"), "llama.ccp");
  const ProcessResult result = RunParity({"preflight"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.last_words, HasSubstr("llama.ccp"));
}

TEST_F(PreflightTest, ARunnerThatCrashesOrTalksNonsense) {
  WriteProgram(Path("crash"), "#!/bin/sh\necho illegal instruction in vpdpbusd >&2\nkill -ILL $$\n");
  WriteProgram(Path("other"), "#!/bin/sh\necho I am something else\n");
  const Runners runners(directory_.path(), Path("crash"), Path("other"));
  EXPECT_THAT(RunParity({"preflight"}).output, AllOf(HasSubstr("SIGILL"), HasSubstr("illegal instruction in vpdpbusd"),
                                                     HasSubstr("not the answer of a")));
}

}  // namespace
}  // namespace parity
