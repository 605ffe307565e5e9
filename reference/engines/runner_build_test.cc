#include "reference/engines/runner_build.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

const CheckoutLayout kBitnet = {.llama = "3rdparty/llama.cpp", .libraries = {"build/bin", "build/old"}};

class RunnerBuildTest : public testing::Test {
 protected:
  void Write(const std::string& file, const std::string& text = "\n") const {
    const fs::path path = fs::path(directory_.path()) / file;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  Checkout Bitnet() const { return FindCheckout("bitnet.cpp", kBitnet, directory_.path()); }
  TemporaryDirectory directory_;
};

TEST_F(RunnerBuildTest, SaysWhatACheckoutLacks) {
  EXPECT_THAT(Bitnet().problem, HasSubstr("3rdparty/llama.cpp/include/llama.h is not there"));
  EXPECT_THAT(Bitnet().remedy, HasSubstr("submodules"));
  Write("3rdparty/llama.cpp/include/llama.h");
  EXPECT_THAT(Bitnet().problem, HasSubstr("libllama.so is in none of"));
  EXPECT_THAT(Bitnet().remedy, HasSubstr("BUILD_SHARED_LIBS"));
  Write("build/old/libllama.so");
  EXPECT_THAT(Bitnet().problem, HasSubstr("libggml.so is in none of"));
}

TEST_F(RunnerBuildTest, TellsTheGenerationsOfBitnetCppApart) {
  Write("3rdparty/llama.cpp/include/llama.h");
  Write("3rdparty/llama.cpp/ggml/include/ggml.h");
  Write("build/old/libllama.so");
  Write("build/old/libggml.so", std::string("\0...\0clang version 19.1.7 (\"x\")\0...", 35));
  EXPECT_EQ(Bitnet().problem, "");
  EXPECT_EQ(Bitnet().generation, "up to July 2026");
  EXPECT_EQ(Bitnet().libraries.size(), 2u);
  EXPECT_EQ(Bitnet().version, "unknown commit");
  EXPECT_EQ(Bitnet().compiler, "clang version 19.1.7 (x)");
  Write("3rdparty/llama.cpp/ggml/include/gguf.h");
  for (const char* name : {"libllama", "libggml", "libggml-base", "libggml-cpu"}) {
    Write(std::string("build/bin/") + name + ".so");
  }
  EXPECT_EQ(Bitnet().generation, "since July 2026");
  EXPECT_THAT(Bitnet().libraries, ElementsAre(EndsWith("bin/libllama.so"), EndsWith("bin/libggml.so"),
                                              EndsWith("bin/libggml-base.so"), EndsWith("bin/libggml-cpu.so")));
}

TEST_F(RunnerBuildTest, AVersionedLibraryTellsItsRelease) {
  Write("include/llama.h");
  Write("lib/libllama-common.so");
  Write("lib/libllama.b6845.so");
  Write("lib/libggml.b6845.so");
  const Checkout found = FindCheckout("llama.cpp", {.llama = ".", .libraries = {"lib"}}, directory_.path());
  EXPECT_EQ(found.problem, "");
  EXPECT_EQ(found.version, "b6845");
  EXPECT_EQ(found.generation, "");
}

TEST_F(RunnerBuildTest, NoCompiler) {
  Write("include/llama.h");
  Write("lib/libllama.so");
  Write("lib/libggml.so");
  const char* old = std::getenv("CXX");
  const std::optional<std::string> before = old == nullptr ? std::nullopt : std::optional<std::string>(old);
  setenv("CXX", "/nonexistent/c++", 1);
  const BuiltRunner built =
      BuildRunner(FindCheckout("llama.cpp", {.llama = ".", .libraries = {"lib"}}, directory_.path()));
  before ? setenv("CXX", before->c_str(), 1) : unsetenv("CXX");
  EXPECT_EQ(built.program, "");
  EXPECT_THAT(built.problem, AllOf(HasSubstr("no C++ compiler"), HasSubstr("/nonexistent/c++")));
  EXPECT_THAT(built.remedy, HasSubstr("CXX"));
}

}  // namespace
}  // namespace parity
