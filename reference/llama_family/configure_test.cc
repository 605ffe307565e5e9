// What configure says of an engine that is not whole: PARITY_CMAKE and LLAMA_SOURCE are set by CMake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// What configure says, from a project that holds nothing but the search.
class ConfigureTest : public testing::Test {
 protected:
  void SetUp() override { setenv("BITNET_CPP_LIB_DIR", "", 1); }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string Configure(const std::string& module, const std::string& languages, const std::string& option) {
    fs::create_directories(Path("tiny"));
    std::ofstream(Path("tiny/CMakeLists.txt"))
        << "cmake_minimum_required(VERSION 3.22)\nproject(tiny LANGUAGES " << languages << ")\ninclude("
        << PARITY_SOURCE_DIR "/reference/llama_family/" << module << ")\n";
    const ProcessResult result = RunProcess(
        {"sh", "-c", "exec \"$0\" \"$@\" 2>&1", PARITY_CMAKE, "-S", Path("tiny"), "-B", Path("tiny/build"), option},
        std::chrono::seconds(120));
    EXPECT_EQ(result.exit_code, 0) << result.output;  // whatever is wrong, the rest of the project is built
    return std::regex_replace(result.output, std::regex("\\s+"), " ");  // CMake breaks the lines of a warning
  }

  TemporaryDirectory directory_;
};

TEST_F(ConfigureTest, HeadersWithoutLibraries) {
  fs::create_directories(Path("llama/include"));
  std::ofstream(Path("llama/include/llama.h")) << "\n";
  EXPECT_THAT(Configure("FindLlamaCpp.cmake", "NONE", "-DLLAMA_CPP_DIR=" + Path("llama")),
              AllOf(HasSubstr("libllama.so not found in"), HasSubstr("BUILD_SHARED_LIBS=ON")));
  fs::create_directories(Path("bitnet/3rdparty/llama.cpp/include"));
  std::ofstream(Path("bitnet/3rdparty/llama.cpp/include/llama.h")) << "\n";
  EXPECT_THAT(Configure("FindBitnetCpp.cmake", "NONE", "-DBITNET_CPP_DIR=" + Path("bitnet")),
              AllOf(HasSubstr("libllama.so not found in"), HasSubstr("BUILD_SHARED_LIBS=ON")));
}

TEST_F(ConfigureTest, NoCheckout) {
  EXPECT_THAT(Configure("FindBitnetCpp.cmake", "NONE", "-DBITNET_CPP_DIR=" + Path("none")),
              HasSubstr("3rdparty/llama.cpp/include/llama.h is not there"));
  setenv("HOME", directory_.path().c_str(), 1);
  unsetenv("BITNET_CPP_DIR");
  EXPECT_THAT(Configure("FindBitnetCpp.cmake", "NONE", "-DBITNET_CPP_DIR="),
              HasSubstr("the bitnet.cpp suites will be skipped (BITNET_CPP_DIR names one)"));
}

// The linker's words are part of the warning.
TEST_F(ConfigureTest, LibrariesOfAnotherArchitecture) {
  const std::string source = LLAMA_SOURCE;
  if (source.empty()) GTEST_SKIP() << "llama.cpp's headers are not here";
  fs::create_directories(Path("llama/lib"));
  fs::create_symlink(source + "/include", Path("llama/include"));
  fs::create_symlink(source + "/ggml", Path("llama/ggml"));
  std::string elf(
      "\x7f"
      "ELF\x02\x01\x01",
      7);  // 64 bits, little-endian
  elf.resize(64);
  elf[16] = 3;  // e_type: ET_DYN
  elf[18] = static_cast<char>(
#if defined(__aarch64__)
      62  // e_machine: EM_X86_64
#else
      183  // EM_AARCH64
#endif
  );
  elf[20] = 1;   // e_version
  elf[52] = 64;  // e_ehsize
  for (const std::string name : {"libllama", "libggml", "libggml-base"}) {
    std::ofstream(Path("llama/lib/" + name + ".so"), std::ios::binary) << elf;
  }
  const std::string said = Configure("FindLlamaCpp.cmake", "CXX", "-DLLAMA_CPP_DIR=" + Path("llama"));
  EXPECT_THAT(said, AllOf(HasSubstr("the runner does not compile against"), HasSubstr("libllama.so")));
}

}  // namespace
}  // namespace parity
