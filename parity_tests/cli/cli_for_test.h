// What the tests of commands share: the program, its environment, and engines that are there or not.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_CLI_FOR_TEST_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_CLI_FOR_TEST_H_

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "reference/engines/process.h"
#include "reference/engines/registry.h"

namespace parity {

inline const std::string kTrainedModel = PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf";
inline const std::string kTrainedTokenizer = PARITY_SOURCE_DIR "/fixtures/models/kjv-tokenizer.json";
// What llama.cpp said of that model.
inline const std::string kRecordedHello = PARITY_SOURCE_DIR "/fixtures/recorded/llama_cpp.kjv_bitnet_tq2_0.hello.batch";

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

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void WriteProgram(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

// `bitnet-parity` with these arguments.
inline ProcessResult RunParity(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), BITNET_PARITY_PROGRAM);
  return RunProcess(arguments, std::chrono::seconds(120));
}

// These two runners, and no other, are there. Nothing is installed: npm is a script that fails.
class Runners {
 public:
  Runners(const std::string& scratch, const std::string& llama_cpp, const std::string& bitnet_cpp,
          const std::string& required = "")
      : required_("PARITY_REQUIRE", required),
        path_("PATH", scratch + "/bin:" + (std::getenv("PATH") ? std::getenv("PATH") : "")) {
    WriteProgram(scratch + "/bin/npm", "#!/bin/sh\necho no registry here >&2\nexit 1\n");
    for (const EngineRow& row : ReferenceEngines()) {
      if (row.runner.program.empty()) continue;
      const std::string& path = row.name == "llama.cpp" ? llama_cpp : row.name == "bitnet.cpp" ? bitnet_cpp : "/none";
      runners_.emplace_back(row.runner.variable, path);
    }
  }

 private:
  Environment required_, path_;
  std::list<Environment> runners_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_CLI_FOR_TEST_H_
