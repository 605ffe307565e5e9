#include "reference/engines/checkout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

const CheckoutLayout kBitnet = {.llama = "3rdparty/llama.cpp",
                                .libraries = {"build/bin", "build/old"},
                                .variable = "BITNET_CPP_DIR",
                                .libraries_variable = "PARITY_TEST_LIB_DIR"};
const CheckoutLayout kLlama = {.llama = ".", .libraries = {"lib"}, .variable = "LLAMA_CPP_DIR"};

class CheckoutTest : public testing::Test {
 protected:
  void TearDown() override { unsetenv("PARITY_TEST_LIB_DIR"); }
  void Write(const std::string& file, const std::string& text = "\n") const {
    const fs::path path = fs::path(directory_.path()) / file;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  Checkout Bitnet() const { return FindCheckout("bitnet.cpp", kBitnet, directory_.path()); }
  TemporaryDirectory directory_;
};

TEST_F(CheckoutTest, SaysWhatACheckoutLacks) {
  EXPECT_THAT(Bitnet().problem, HasSubstr("3rdparty/llama.cpp/include/llama.h is not there"));
  EXPECT_THAT(Bitnet().remedy, AllOf(HasSubstr("set BITNET_CPP_DIR to"), HasSubstr("submodules")));
  Write("3rdparty/llama.cpp/include/llama.h");
  EXPECT_THAT(Bitnet().problem, HasSubstr("libllama.so is in none of"));
  EXPECT_THAT(Bitnet().remedy, AllOf(HasSubstr("BUILD_SHARED_LIBS"), HasSubstr("set PARITY_TEST_LIB_DIR to")));
  Write("build/old/libllama.so");
  EXPECT_THAT(Bitnet().problem, HasSubstr("libggml.so is in none of"));
}

TEST_F(CheckoutTest, ARemedyNamesTheVariableOfThatEngine) {
  const Checkout found = FindCheckout("llama.cpp", kLlama, directory_.path());
  EXPECT_THAT(found.problem, HasSubstr("include/llama.h is not there"));
  EXPECT_THAT(found.remedy, AllOf(HasSubstr("set LLAMA_CPP_DIR to"), Not(HasSubstr("submodules"))));
}

TEST_F(CheckoutTest, TellsTheGenerationsOfBitnetCppApart) {
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

TEST_F(CheckoutTest, LibrariesElsewhereAreNamedByAVariable) {
  Write("3rdparty/llama.cpp/include/llama.h");
  for (const char* folder : {"build/bin/", "elsewhere/"}) {
    for (const char* name : {"libllama.so", "libggml.so"}) Write(std::string(folder) + name);
  }
  setenv("PARITY_TEST_LIB_DIR", (directory_.path() + "/elsewhere").c_str(), 1);
  EXPECT_THAT(Bitnet().libraries, ElementsAre(EndsWith("elsewhere/libllama.so"), EndsWith("elsewhere/libggml.so")));
  setenv("PARITY_TEST_LIB_DIR", (directory_.path() + "/3rdparty").c_str(), 1);  // those of the build do not count
  EXPECT_THAT(Bitnet().problem, AllOf(HasSubstr("libllama.so is in none of"), HasSubstr("/3rdparty")));
  EXPECT_THAT(Bitnet().remedy, HasSubstr("set PARITY_TEST_LIB_DIR to"));
}

TEST_F(CheckoutTest, AVersionedLibraryTellsItsRelease) {
  Write("include/llama.h");
  Write("lib/libllama-common.so");
  Write("lib/libllama.b6845.so");
  Write("lib/libggml.b6845.so");
  const Checkout found = FindCheckout("llama.cpp", kLlama, directory_.path());
  EXPECT_EQ(found.problem, "");
  EXPECT_EQ(found.version, "b6845");
  EXPECT_EQ(found.generation, "");
}

TEST_F(CheckoutTest, AFolderThatIsNamedRelativelyIsMadeAbsolute) {
  Write("include/llama.h");
  Write("lib/libllama.so");
  Write("lib/libggml.so");
  const std::string relative = fs::relative(directory_.path()).string() + "/";
  ASSERT_FALSE(relative.starts_with('/'));
  const Checkout found = FindCheckout("llama.cpp", kLlama, relative);
  EXPECT_EQ(found.problem, "");
  EXPECT_EQ(fs::weakly_canonical(found.directory), fs::weakly_canonical(directory_.path()));
  for (const std::string& path : found.headers) EXPECT_THAT(path, testing::StartsWith("/"));
  for (const std::string& path : found.libraries) EXPECT_THAT(path, testing::StartsWith("/"));
}

TEST_F(CheckoutTest, AFolderThatCannotBeReadIsAProblemToo) {
  const Checkout found = FindCheckout("llama.cpp", kLlama, "/" + std::string(5000, 'x'));
  EXPECT_THAT(found.problem, HasSubstr("cannot be read"));
  EXPECT_THAT(found.remedy, HasSubstr("LLAMA_CPP_DIR"));
}

// A program cannot be told to look for libraries there.
TEST_F(CheckoutTest, AColonInThePathIsSaid) {
  Write("a:b/include/llama.h");
  Write("a:b/lib/libllama.so");
  Write("a:b/lib/libggml.so");
  const Checkout found = FindCheckout("llama.cpp", kLlama, directory_.path() + "/a:b");
  EXPECT_THAT(found.problem, HasSubstr("has a ':'"));
  EXPECT_THAT(found.remedy, AllOf(HasSubstr("LLAMA_CPP_DIR"), HasSubstr("symbolic link")));
}

}  // namespace
}  // namespace parity
