#include "reference/engines/command_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

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

std::vector<std::string> WordsOf(const std::string& command) {
  std::vector<std::string> words;
  std::stringstream text(command);
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

}  // namespace

ProbeResult ProbeCommand(const std::string& name, const std::string& command) {
  const std::vector<std::string> words = WordsOf(command);
  ProbeResult result;
  if (words.empty()) {
    result.problem = "the command is empty";
    result.remedy = fmt::format("name a program: {}:COMMAND", name);
    return result;
  }
  result.looked_in = {words[0]};
  if (words[0].find_first_of("'\"$`\\=({") == std::string::npos) {
    const std::string file = FindFile(words[0]);
    if (file.empty() || access(file.c_str(), X_OK) != 0) {
      result.problem = fmt::format("'{}' is no program that can be run", words[0]);
      result.remedy = "name an executable file, or a program in PATH";
      return result;
    }
    result.found.push_back(file);
  }
  result.available = true;
  return result;
}

std::string CommandIdentity(const std::string& command, const FileHasher& hash) {
  std::string identity = command + "\n";
  for (const std::string& word : WordsOf(command)) {
    if (const std::string file = FindFile(word); !file.empty()) identity += fmt::format("{} {}\n", word, hash(file));
  }
  return identity;
}

}  // namespace parity
