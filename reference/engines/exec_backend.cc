#include "reference/engines/exec_backend.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "reference/engines/engine_process.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

// The file that a word of a command names: a path, or a program in PATH. "" where there is none.
std::string FindFile(const std::string& word) {
  std::error_code error;
  if (word.find('/') != std::string::npos) return fs::is_regular_file(word, error) ? word : "";
  const char* path = std::getenv("PATH");
  std::stringstream directories(path ? path : "");
  for (std::string directory; std::getline(directories, directory, ':');) {
    const std::string file = directory + "/" + word;
    if (fs::is_regular_file(file, error) && access(file.c_str(), X_OK) == 0) return file;
  }
  return fs::is_regular_file(word, error) ? word : "";
}

class ExecBackend : public DirectoryBackend {
 public:
  explicit ExecBackend(std::string command) : command_(std::move(command)) {
    std::stringstream words(command_);
    for (std::string word; words >> word;) words_.push_back(word);
  }

  std::string name() const override { return "exec:" + command_; }

  ProbeResult Probe() override {
    ProbeResult result;
    if (words_.empty()) {
      result.problem = "the command is empty";
      result.remedy = "name a program: exec:COMMAND";
      return result;
    }
    result.looked_in = {words_[0]};
    // A command that begins with a quote or a variable is left to the shell.
    if (words_[0].find_first_of("'\"$`\\=({") == std::string::npos) {
      const std::string file = FindFile(words_[0]);
      if (file.empty() || access(file.c_str(), X_OK) != 0) {
        result.problem = fmt::format("'{}' is no program that can be run", words_[0]);
        result.remedy = "name an executable file, or a program in PATH";
        return result;
      }
      result.found.push_back(file);
    }
    result.available = true;
    return result;
  }

  // The command's text, and the contents of every file that it names.
  std::string Identity(const FileHasher& hash) override {
    std::string identity = name() + "\n";
    for (const std::string& word : words_) {
      if (const std::string file = FindFile(word); !file.empty()) identity += fmt::format("{} {}\n", word, hash(file));
    }
    return identity;
  }

  void RunTo(const Request& request, const std::string& directory) override {
    RunEngineProcess(name(), request, directory, [&](const std::string& request_file, const std::string& out) {
      return std::vector<std::string>{"/bin/sh", "-c", command_ + " \"$@\"", "sh", request_file, out};
    });
  }

 private:
  std::string command_;
  std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<Backend> MakeExecBackend(const std::string& command) { return std::make_unique<ExecBackend>(command); }

}  // namespace parity
