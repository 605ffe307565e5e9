#include "reference/engines/program_files.h"

#include <fstream>

namespace parity {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCache = "CMakeCache.txt";
constexpr const char* kRunners = "reference/llama_family";  // of a build tree
constexpr const char* kShare = "share/bitnet-parity";       // of an installation

fs::path ProgramDirectory() { return fs::read_symlink("/proc/self/exe").parent_path(); }

}  // namespace

std::optional<fs::path> BuildTree() {
  const fs::path above = ProgramDirectory().parent_path();
  if (fs::exists(above / kShare)) return std::nullopt;  // installed, maybe inside a build tree
  // BUILD/bench/PROGRAM or BUILD/parity_tests/cli/PROGRAM
  for (const fs::path& root : {above, above.parent_path()}) {
    if (fs::exists(root / kCache) && fs::exists(root / kRunners)) return root;
  }
  return std::nullopt;
}

std::optional<fs::path> SourceTree() {
  const std::optional<fs::path> build = BuildTree();
  if (!build) return std::nullopt;
  const std::string key = "CMAKE_HOME_DIRECTORY:INTERNAL=";
  std::ifstream cache(*build / kCache);
  for (std::string line; std::getline(cache, line);) {
    if (line.starts_with(key)) return line.substr(key.size());
  }
  return std::nullopt;
}

std::vector<std::string> RunnerPlaces(const std::string& program) {
  const fs::path here = ProgramDirectory();
  std::vector<std::string> places = {here / program};
  if (const std::optional<fs::path> build = BuildTree()) {
    places.push_back(*build / kRunners / program);
  } else {
    places.push_back(here.parent_path() / "libexec/bitnet-parity" / program);
  }
  return places;
}

std::string DataDirectory(const std::string& name) {
  if (const std::optional<fs::path> build = BuildTree()) return *build / "fixtures" / name;
  return ProgramDirectory().parent_path() / kShare / name;
}

}  // namespace parity
