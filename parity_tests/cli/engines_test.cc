// The commands about engines and their captures, as a user runs them: preflight, setup-cpp-auto, check-capture, record
// and tokenize. Engines that are there or broken in some way are small scripts, damaged copies of the runner, and the
// live runner, without which the tests that need it are skipped with the reason.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "reference/capture/capture.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/backend.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const std::string kModel = PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf";
const std::string kRecorded = PARITY_SOURCE_DIR "/fixtures/recorded/llama_cpp.kjv_bitnet_tq2_0.hello.batch";

// A value of the environment until the end of a scope.
class Environment {
 public:
  Environment(const std::string& name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name.c_str())) old_ = old;
    setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() { old_ ? setenv(name_.c_str(), old_->c_str(), 1) : unsetenv(name_.c_str()); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_;
  std::optional<std::string> old_;
};

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteProgram(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
  fs::permissions(path, fs::perms::owner_all);
}

ProcessResult RunParity(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), BITNET_PARITY_PROGRAM);
  const Environment one_thread("BITNET_DETERMINISTIC", "1");
  return RunProcess(arguments, std::chrono::seconds(120));
}

class EnginesTest : public testing::Test {
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

// Which of the two runners are there. Nothing is installed: npm is a script that fails.
class Engines {
 public:
  Engines(const std::string& scratch, const std::string& llama_cpp, const std::string& bitnet_cpp,
          const std::string& required = "")
      : llama_cpp_("PARITY_LLAMA_CPP_RUNNER", llama_cpp),
        bitnet_cpp_("PARITY_BITNET_CPP_RUNNER", bitnet_cpp),
        required_("PARITY_REQUIRE", required),
        path_("PATH", scratch + "/bin:" + (std::getenv("PATH") ? std::getenv("PATH") : "")) {
    WriteProgram(scratch + "/bin/npm", "#!/bin/sh\necho no registry here >&2\nexit 1\n");
  }

 private:
  Environment llama_cpp_, bitnet_cpp_, required_, path_;
};

TEST_F(EnginesTest, NothingThere) {
  const std::string llama = Path("none/llama"), bitnet = Path("none/bitnet");
  {
    const Engines engines(directory_.path(), llama, bitnet);
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
  const Engines engines(directory_.path(), llama, bitnet, "bitnet.cpp");
  const ProcessResult required = RunParity({"preflight"});
  EXPECT_EQ(required.exit_code, 2);
  EXPECT_THAT(required.output, HasSubstr("bitnet.cpp  NOT AVAILABLE (PARITY_REQUIRE asks for it)"));
}

TEST_F(EnginesTest, LlamaCppAlone) {
  const std::string runner = Runner("llama_cpp");
  for (const auto& [required, exit_code] : {std::pair("llama.cpp", 0), {"llama.cpp,bitnet.cpp", 2}, {"", 0}}) {
    const Engines engines(directory_.path(), runner, Path("none"), required);
    const ProcessResult result = RunParity({"preflight", "--verbose"});
    EXPECT_EQ(result.exit_code, exit_code) << required;
    EXPECT_THAT(result.output, AllOf(HasSubstr("llama.cpp   available 9.llama_cpp"), HasSubstr("found " + runner),
                                     HasSubstr("found /opt/llama_cpp/lib/libllama.so"), HasSubstr("features: AVX2 = 1"),
                                     HasSubstr("bitnet.cpp  NOT AVAILABLE")));
    const nlohmann::json json = nlohmann::json::parse(RunParity({"preflight", "--format", "json"}).output);
    ASSERT_EQ(json.size(), 3u);
    EXPECT_EQ(json[1]["backend"], "llama.cpp");
    EXPECT_EQ(json[1]["available"], true);
    EXPECT_EQ(json[2]["available"], false);
    EXPECT_EQ(json[2]["required"], exit_code == 2);
  }
  const Engines engines(directory_.path(), runner, Path("none"));
  const ProcessResult setup = RunParity({"setup-cpp-auto"});
  EXPECT_EQ(setup.exit_code, 0) << setup.last_words;
  EXPECT_THAT(setup.output, AllOf(HasSubstr("export PARITY_REQUIRE='llama.cpp'\n"), Not(HasSubstr("BITNET_CPP"))));
}

TEST_F(EnginesTest, BothInEveryShell) {
  const std::string llama = Runner("llama_cpp"), bitnet = Runner("bitnet_cpp");
  const Engines engines(directory_.path(), llama, bitnet, "llama.cpp,bitnet.cpp,native");
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

TEST_F(EnginesTest, ARequiredEngineThatNobodyKnowsIsAnError) {
  const Engines engines(directory_.path(), Path("none"), Path("none"), "llama.ccp");
  const ProcessResult result = RunParity({"preflight"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.last_words, HasSubstr("llama.ccp"));
}

TEST_F(EnginesTest, ARunnerThatCrashesOrTalksNonsense) {
  WriteProgram(Path("crash"), "#!/bin/sh\necho illegal instruction in vpdpbusd >&2\nkill -ILL $$\n");
  WriteProgram(Path("other"), "#!/bin/sh\necho I am something else\n");
  const Engines engines(directory_.path(), Path("crash"), Path("other"));
  EXPECT_THAT(RunParity({"preflight"}).output, AllOf(HasSubstr("SIGILL"), HasSubstr("illegal instruction in vpdpbusd"),
                                                     HasSubstr("not the answer of a")));
}

// The live runner where it is: a damaged copy of it, or of its libraries, says what the dynamic loader finds.
class LiveLlamaCpp : public EnginesTest {
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
    const std::string from = libraries_ + '\0';
    const size_t at = program.find(from);
    if (at == std::string::npos || libraries.size() > libraries_.size()) return "";
    program.replace(at, libraries_.size(), libraries + std::string(libraries_.size() - libraries.size(), '\0'));
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
    const Engines engines(directory_.path(), runner, Path("none"), "llama.cpp");
    const ProcessResult result = RunParity({"preflight"});
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_EQ(RunParity({"setup-cpp-auto"}).exit_code, 2);
    return result.output;
  }

  std::string runner_, libraries_;
};

TEST_F(LiveLlamaCpp, IsUsable) {
  MakeLibraries([](std::string whole) { return whole; });
  const std::string copy = RunnerOf(Path("L"));
  if (copy.empty()) GTEST_SKIP() << runner_ << ": does not name " << libraries_ << " as the place of its libraries";
  for (const std::string& runner : {runner_, copy}) {
    const Engines engines(directory_.path(), runner, Path("none"), "llama.cpp");
    const ProcessResult result = RunParity({"preflight", "--verbose"});
    EXPECT_EQ(result.exit_code, 0) << result.output;
    EXPECT_THAT(result.output, AllOf(HasSubstr("libllama."), HasSubstr("cpu_variant: "), HasSubstr("features: ")));
    EXPECT_EQ(RunParity({"setup-cpp-auto"}).exit_code, 0);
  }
}

TEST_F(LiveLlamaCpp, ALibraryThatIsBroken) {
  const std::string copy = RunnerOf(Path("L"));
  if (copy.empty()) GTEST_SKIP() << runner_ << ": does not name " << libraries_ << " as the place of its libraries";
  EXPECT_THAT(Problem(copy), AllOf(HasSubstr("libllama."), HasSubstr("No such file")));
  MakeLibraries([](const std::string& whole) { return whole.substr(0, 40); });
  EXPECT_THAT(Problem(copy), AllOf(HasSubstr("libllama."), HasSubstr("file too short")));
}

// The loader passes over libraries of other machines: to it there is none.
TEST_F(LiveLlamaCpp, ALibraryOfAnotherArchitecture) {
  const std::string copy = RunnerOf(Path("L"));
  if (copy.empty()) GTEST_SKIP() << runner_ << ": does not name " << libraries_ << " as the place of its libraries";
  MakeLibraries([](const std::string& whole) {
    // e_machine, 16 bits: EM_X86_64 is 62, EM_AARCH64 183.
    const std::string other = whole.substr(18, 1) == "\x3e" ? std::string("\xb7\0", 2) : std::string("\x3e\0", 2);
    return whole.substr(0, 18) + other + whole.substr(20);
  });
  EXPECT_THAT(Problem(copy), AllOf(HasSubstr("libllama."), HasSubstr("cannot open shared object file")));
}

// What configure says, from a project that holds nothing but the search.
class ConfigureTest : public EnginesTest {
 protected:
  std::string Configure(const std::string& module, const std::string& languages, const std::string& option) {
    fs::create_directories(Path("tiny"));
    std::ofstream(Path("tiny/CMakeLists.txt"))
        << "cmake_minimum_required(VERSION 3.22)\nproject(tiny LANGUAGES " << languages << ")\ninclude("
        << PARITY_SOURCE_DIR "/reference/" << module << ")\n";
    const ProcessResult result = RunProcess(
        {"sh", "-c", "exec \"$0\" \"$@\" 2>&1", PARITY_CMAKE, "-S", Path("tiny"), "-B", Path("tiny/build"), option},
        std::chrono::seconds(120));
    EXPECT_EQ(result.exit_code, 0) << result.output;  // whatever is wrong, the rest of the project is built
    return std::regex_replace(result.output, std::regex("\\s+"), " ");  // CMake breaks the lines of a warning
  }

  Environment no_library_directory_{"BITNET_CPP_LIB_DIR", ""};
};

TEST_F(ConfigureTest, HeadersWithoutLibraries) {
  fs::create_directories(Path("llama/include"));
  std::ofstream(Path("llama/include/llama.h")) << "\n";
  EXPECT_THAT(Configure("llama_family/FindLlamaCpp.cmake", "NONE", "-DLLAMA_CPP_DIR=" + Path("llama")),
              AllOf(HasSubstr("libllama.so not found in"), HasSubstr("BUILD_SHARED_LIBS=ON")));
  fs::create_directories(Path("bitnet/3rdparty/llama.cpp/include"));
  std::ofstream(Path("bitnet/3rdparty/llama.cpp/include/llama.h")) << "\n";
  EXPECT_THAT(Configure("llama_family/FindBitnetCpp.cmake", "NONE", "-DBITNET_CPP_DIR=" + Path("bitnet")),
              AllOf(HasSubstr("libllama.so not found in"), HasSubstr("BUILD_SHARED_LIBS=ON")));
}

TEST_F(ConfigureTest, NoCheckout) {
  EXPECT_THAT(Configure("llama_family/FindBitnetCpp.cmake", "NONE", "-DBITNET_CPP_DIR=" + Path("none")),
              HasSubstr("3rdparty/llama.cpp/include/llama.h is not there"));
  const Environment home("HOME", directory_.path()), unset("BITNET_CPP_DIR", "");
  EXPECT_THAT(Configure("llama_family/FindBitnetCpp.cmake", "NONE", "-DBITNET_CPP_DIR="),
              HasSubstr("the bitnet.cpp suites will be skipped (BITNET_CPP_DIR names one)"));
}

// The linker's words are part of the warning.
TEST_F(ConfigureTest, LibrariesOfAnotherArchitecture) {
  const std::string source = PARITY_LLAMA_CPP_SOURCE;
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
  const std::string said = Configure("llama_family/FindLlamaCpp.cmake", "CXX", "-DLLAMA_CPP_DIR=" + Path("llama"));
  EXPECT_THAT(said, AllOf(HasSubstr("the runner does not compile against"), HasSubstr("libllama.so")));
}

class CheckCaptureTest : public EnginesTest {
 protected:
  void SetUp() override { fs::copy(kRecorded, Path("capture"), fs::copy_options::recursive); }
  ProcessResult Check() { return RunParity({"check-capture", Path("capture")}); }
  // capture.json, changed.
  void Change(const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json json = ReadJsonFile(Path("capture/capture.json"));
    change(json);
    WriteJsonFile(Path("capture/capture.json"), json);
  }
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
                                   HasSubstr("t1/blk0/attn_scores_softmax: shape: found [4, 2], expected [3, 2]")));
}

TEST_F(CheckCaptureTest, WhatCannotBeReadIsTwo) {
  const auto expect_two = [&](const std::string& words) {
    const ProcessResult result = Check();
    EXPECT_EQ(result.exit_code, 2) << words;
    EXPECT_THAT(result.last_words, HasSubstr(words));
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

class RecordTest : public LiveLlamaCpp {
 protected:
  void SetUp() override {}
  // Recorded once, and climbed from there without the engine.
  void RecordAndClimb(const std::string& engine) {
    const std::string out = Path(engine + "/recorded");
    const ProcessResult made = RunParity({"record", "--reference", engine, "--model", kModel, "--prompt", "In the",
                                          "--out", out, "--max-tokens", "4", "--trace", "core"});
    ASSERT_EQ(made.exit_code, 0) << made.last_words;
    EXPECT_EQ(ReadCapture(out).model.path, "kjv-bitnet.tq2_0.gguf");  // without this machine's directories
    EXPECT_EQ(RunParity({"check-capture", out}).exit_code, 0);
    const std::vector<std::string> ladder = {"ladder",      "--model",     kModel,
                                             "--prompt",    "In the",      "--prompt-template",
                                             "raw",         "--reference", "recorded:" + Path(engine),
                                             "--max-tokens"};
    const auto with = [&](const std::string& max_tokens) {
      std::vector<std::string> arguments = ladder;
      arguments.push_back(max_tokens);
      return RunParity(arguments);
    };
    const ProcessResult climbed = with("4");
    EXPECT_EQ(climbed.exit_code, 0) << climbed.output << climbed.last_words;
    EXPECT_THAT(climbed.output, HasSubstr("4 of 4 greedy tokens equal"));
    EXPECT_THAT(with("5").output, HasSubstr("4 generated tokens only"));
  }
};

TEST_F(RecordTest, Native) { RecordAndClimb("native"); }

TEST_F(RecordTest, LlamaCpp) {
  LiveLlamaCpp::SetUp();
  if (!IsSkipped()) RecordAndClimb("llama.cpp");
}

TEST_F(RecordTest, WhatIsMissingIsSaid) {
  const ProcessResult no_out = RunParity({"record", "--reference", "native", "--model", kModel, "--prompt", "a"});
  EXPECT_EQ(no_out.exit_code, 2);
  EXPECT_THAT(no_out.last_words, HasSubstr("--out"));
  const Engines engines(directory_.path(), Path("none"), Path("none"));
  const ProcessResult absent =
      RunParity({"record", "--reference", "bitnet.cpp", "--model", kModel, "--prompt", "a", "--out", Path("out")});
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.last_words, HasSubstr("no runner at"));
  EXPECT_FALSE(fs::exists(Path("out")));
}

class TokenizeTest : public LiveLlamaCpp {
 protected:
  void SetUp() override {}
  ProcessResult Tokenize(const std::string& reference, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "tokenize",          "--model", kModel,        "--prompt", ReadCapture(kRecorded).request.text,
        "--prompt-template", "raw",     "--reference", reference};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
  }
};

TEST_F(TokenizeTest, TheSameIds) {
  const ProcessResult result = Tokenize("recorded:" + kRecorded);
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
  EXPECT_THAT(result.output,
              AllOf(StartsWith("4 ids, the same from native and llama.cpp"),
                    HasSubstr("2032 \"<|begin_of_text|>\"  2032 \"<|begin_of_text|>\"\n"), Not(HasSubstr(">      "))));
  const ProcessResult file =
      Tokenize("recorded:" + kRecorded,
               {"--tokenizer", PARITY_SOURCE_DIR "/fixtures/models/kjv-tokenizer.json", "--format", "json"});
  EXPECT_EQ(file.exit_code, 0) << file.last_words;
  const nlohmann::json json = nlohmann::json::parse(file.output);
  EXPECT_EQ(json["equal"], true);
  EXPECT_EQ(json["native"]["ids"], json["reference"]["ids"]);
  EXPECT_EQ(json["native"]["pieces"], json["reference"]["pieces"]);
}

TEST_F(TokenizeTest, TheFirstDifferenceIsPointedAt) {
  Capture capture = ReadCapture(kRecorded);
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

TEST_F(TokenizeTest, Live) {
  LiveLlamaCpp::SetUp();
  if (IsSkipped()) return;
  const ProcessResult result = RunParity({"tokenize", "--model", kModel, "--prompt", "Kings 12:3 — naïve 👍🏽",
                                          "--prompt-template", "llama3-chat"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("<|start_header_id|>"));
}

TEST_F(TokenizeTest, ErrorsAreTwo) {
  const ProcessResult absent = Tokenize("recorded:" + Path("none"));
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.last_words, HasSubstr("the directory holds no capture"));
  EXPECT_EQ(RunParity({"tokenize", "--model", "/none.gguf", "--prompt", "a"}).exit_code, 2);
  EXPECT_EQ(RunParity({"tokenize", "--model", kModel}).exit_code, 2);
}

}  // namespace
}  // namespace parity
