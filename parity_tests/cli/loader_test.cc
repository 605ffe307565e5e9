// preflight where the dynamic loader finds something wrong with the live runner or its libraries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/registry.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// The live runner where it is: a damaged copy of it, or of its libraries, says what the dynamic loader finds.
class LoaderTest : public testing::Test {
 protected:
  void SetUp() override {
    const ProbeResult probe = MakeBackend("llama.cpp")->Probe();
    if (!probe.available) GTEST_SKIP() << "llama.cpp: " << probe.problem << "; " << probe.remedy;
    runner_ = probe.found.at(0);
    libraries_ = fs::path(probe.found.at(1)).parent_path();
  }

  // The runner, looking for its libraries in the directory `libraries` alone. "" where its name does not fit.
  std::string RunnerOf(const std::string& libraries) {
    std::string program = ReadFile(runner_);
    const size_t at = program.find('\0' + libraries_);
    if (at == std::string::npos || libraries.size() > libraries_.size()) return "";
    const size_t length = program.find('\0', at + 1) - (at + 1);  // CMake may write a colon behind the directory
    program.replace(at + 1, length, libraries + std::string(length - libraries.size(), '\0'));
    WriteProgram(Path("copy"), program);
    return Path("copy");
  }

  // Links to every library in `L`, but libllama as `change` makes it of the true one.
  void MakeLibraries(const std::function<std::string(std::string)>& change) {
    fs::create_directories(Path("L"));
    for (const auto& entry : fs::directory_iterator(libraries_)) {
      const std::string name = entry.path().filename();
      if (name.starts_with("libllama.")) {
        WriteProgram(Path("L/" + name), change(ReadFile(entry.path())));
      } else {
        fs::create_symlink(entry.path(), Path("L/" + name));
      }
    }
  }

  std::string Problem(const std::string& runner) {
    const Runners runners(directory_.path(), runner, Path("none"), "llama.cpp");
    const ProcessResult result = RunParity({"preflight"});
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_EQ(RunParity({"setup-cpp-auto"}).exit_code, 2);
    return result.output;
  }

  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }

  TemporaryDirectory directory_;
  std::string runner_, libraries_;
};

TEST_F(LoaderTest, IsUsable) {
  MakeLibraries([](std::string whole) { return whole; });
  const std::string copy = RunnerOf(Path("L"));
  if (copy.empty()) GTEST_SKIP() << runner_ << ": does not name " << libraries_ << " as the place of its libraries";
  for (const std::string& runner : {runner_, copy}) {
    const Runners runners(directory_.path(), runner, Path("none"), "llama.cpp");
    const ProcessResult result = RunParity({"preflight", "--verbose"});
    EXPECT_EQ(result.exit_code, 0) << result.output;
    EXPECT_THAT(result.output, AllOf(HasSubstr("libllama."), HasSubstr("cpu_variant: "), HasSubstr("features: ")));
    EXPECT_EQ(RunParity({"setup-cpp-auto"}).exit_code, 0);
  }
}

TEST_F(LoaderTest, ALibraryThatIsBroken) {
  const std::string copy = RunnerOf(Path("L"));
  if (copy.empty()) GTEST_SKIP() << runner_ << ": does not name " << libraries_ << " as the place of its libraries";
  EXPECT_THAT(Problem(copy), AllOf(HasSubstr("libllama."), HasSubstr("No such file")));
  MakeLibraries([](const std::string& whole) { return whole.substr(0, 40); });
  EXPECT_THAT(Problem(copy), AllOf(HasSubstr("libllama."), HasSubstr("file too short")));
}

// The loader passes over libraries of other machines: to it there is none.
TEST_F(LoaderTest, ALibraryOfAnotherArchitecture) {
  const std::string copy = RunnerOf(Path("L"));
  if (copy.empty()) GTEST_SKIP() << runner_ << ": does not name " << libraries_ << " as the place of its libraries";
  MakeLibraries([](const std::string& whole) {
    // e_machine, 16 bits: EM_X86_64 is 62, EM_AARCH64 183.
    const std::string other = whole.substr(18, 1) == "\x3e" ? std::string("\xb7\0", 2) : std::string("\x3e\0", 2);
    return whole.substr(0, 18) + other + whole.substr(20);
  });
  EXPECT_THAT(Problem(copy), AllOf(HasSubstr("libllama."), HasSubstr("cannot open shared object file")));
}

}  // namespace
}  // namespace parity
