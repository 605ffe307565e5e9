#include "reference/engines/runner_build.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <stdexcept>

#include "reference/capture/hash.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/whole_file.h"
#include "reference/engines/process.h"
#include "reference/engines/program_files.h"
#include "reference/engines/turn.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr seconds kCompileLimit{600};
constexpr std::chrono::minutes kFailureCounts{10};

// What is compiled, as one file.
constexpr const char* kSources[] = {"reference/engines/serve.cc",       "reference/llama_family/node_map.cc",
                                    "reference/llama_family/engine.cc", "reference/llama_family/observer.cc",
                                    "reference/llama_family/run.cc",    "reference/llama_family/main.cc"};

std::string Contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

RunnerSources FindSources() {
  if (const std::optional<fs::path> sources = SourceTree()) {
    const fs::path build = *BuildTree();
    return {*sources,
            {},
            {build / "reference/capture/libbitnet_parity_capture.a", build / "libbitnet_parity_blake3.a", "-lfmt"}};
  }
  const fs::path share = DataDirectory("runner"), prefix = share.parent_path().parent_path().parent_path();
  RunnerSources found{share, {share / "include"}, {}};
  for (const char* name : {"libbitnet_parity_capture.a", "libbitnet_parity_blake3.a"}) {
    found.libraries.push_back(prefix / "lib" / name);
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(prefix / "lib/bitnet-parity", error)) {
    if (entry.path().filename().string().starts_with("libfmt.so")) {
      found.libraries.push_back(entry.path());
      return found;
    }
  }
  found.libraries.push_back("-lfmt");
  return found;
}

fs::path CacheFolder() {
  const std::string xdg = EnvironmentVariable("XDG_CACHE_HOME"), home = EnvironmentVariable("HOME");
  // A relative one is to be ignored, by the XDG specification. A folder that others can write to is never taken.
  if (xdg.starts_with('/')) return fs::path(xdg) / "bitnet-parity/runners";
  if (!home.empty()) return fs::path(home) / ".cache/bitnet-parity/runners";
  throw std::runtime_error("neither XDG_CACHE_HOME nor HOME is set");
}

// CXX as a shell reads it, as make does ("ccache g++ -m64"); or the path of a compiler, with blanks in it or not.
std::string Compiler() {
  const std::string given = EnvironmentVariable("CXX");
  if (given.empty()) return "c++";
  const bool is_path = given.find('/') != std::string::npos && access(given.c_str(), X_OK) == 0;
  return is_path ? "\"" + given + "\"" : given;
}

// All that it says comes as one text, and not its last lines alone.
ProcessResult RunCompiler(const std::vector<std::string>& arguments, seconds limit) {
  std::vector<std::string> shell = {"sh", "-c", fmt::format("exec {} \"$@\" 2>&1", Compiler()), "sh"};
  shell.insert(shell.end(), arguments.begin(), arguments.end());
  return RunProcess(shell, limit);
}

std::vector<std::string> Arguments(const Checkout& checkout, const RunnerSources& sources, const std::string& source,
                                   const std::string& program) {
  std::vector<std::string> arguments = {"-std=c++20", "-O1", "-ffp-contract=off", "-I" + sources.root};
  for (const std::vector<std::string>* folders : {&sources.includes, &checkout.headers}) {
    for (const std::string& folder : *folders) arguments.insert(arguments.end(), {"-isystem", folder});
  }
  for (const auto& [name, value] :
       {std::pair{"NAME", &checkout.engine}, {"VERSION", &checkout.version}, {"COMPILER", &checkout.compiler}}) {
    arguments.push_back(fmt::format("-DPARITY_ENGINE_{}=\"{}\"", name, *value));
  }
  arguments.push_back(source);
  for (const std::vector<std::string>* files : {&sources.libraries, &checkout.libraries}) {
    arguments.insert(arguments.end(), files->begin(), files->end());
    for (const std::string& file : *files) {
      if (file.ends_with(".a") || file.starts_with("-l")) continue;
      // Not -Wl,: a path may have a comma.
      arguments.insert(arguments.end(), {"-Xlinker", "-rpath", "-Xlinker", fs::path(file).parent_path().string()});
    }
  }
  // A library of theirs may lack what it never calls here (flash attention that was left out): that is found when it is
  // called, if ever. What our own part lacks is an error.
  for (const char* option : {"--allow-shlib-undefined", "-z", "lazy"}) {
    arguments.insert(arguments.end(), {"-Xlinker", option});
  }
  arguments.insert(arguments.end(), {"-ldl", "-pthread", "-o", program});
  return arguments;
}

// The files that a text includes, as it names them.
std::vector<std::string> IncludesIn(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream lines(text);
  const auto skip = [](const std::string& line, size_t at) { return line.find_first_not_of(" \t", at); };
  for (std::string line; std::getline(lines, line);) {
    size_t at = skip(line, 0);
    if (at == std::string::npos || line[at] != '#') continue;
    at = skip(line, at + 1);
    if (at == std::string::npos || line.compare(at, 7, "include") != 0) continue;
    at = skip(line, at + 7);
    if (at == std::string::npos || (line[at] != '"' && line[at] != '<')) continue;
    const size_t end = line.find(line[at] == '"' ? '"' : '>', at + 1);
    if (end != std::string::npos) names.push_back(line.substr(at + 1, end - at - 1));
  }
  return names;
}

// Our sources and every file that they include, from whichever folder of `folders` or beside the includer. The
// system's, which are in none of them, are the compiler's affair.
std::set<fs::path> FilesOf(const fs::path& root, const std::vector<std::string>& folders) {
  std::set<fs::path> files;
  std::vector<fs::path> todo;
  for (const char* source : kSources) todo.push_back(root / source);
  while (!todo.empty()) {
    const fs::path file = todo.back().lexically_normal();
    todo.pop_back();
    std::error_code error;
    if (!fs::is_regular_file(file, error) || !files.insert(file).second) continue;
    for (const std::string& name : IncludesIn(Contents(file))) {
      todo.push_back(file.parent_path() / name);
      for (const std::string& folder : folders) todo.push_back(fs::path(folder) / name);
    }
  }
  return files;
}

// Changes with all that the program depends on.
std::string KeyOf(const Checkout& checkout, const RunnerSources& sources, const std::string& compiler_version) {
  std::string text =
      fmt::format("{}\n{}\n{}\n", Compiler(), compiler_version, fmt::join(Arguments(checkout, sources, "", ""), "\n"));
  for (const std::vector<std::string>* libraries : {&checkout.libraries, &sources.libraries}) {
    for (const std::string& library : *libraries) {
      if (!library.starts_with("-l") && fs::exists(library)) text += HashFile(library) + "\n";
    }
  }
  std::vector<std::string> folders = {sources.root};
  folders.insert(folders.end(), sources.includes.begin(), sources.includes.end());
  folders.insert(folders.end(), checkout.headers.begin(), checkout.headers.end());
  for (const fs::path& file : FilesOf(sources.root, folders)) {
    text += fmt::format("{} {}\n", file.string(), HashText(Contents(file)));
  }
  return HashText(text).substr(0, 16);
}

// The first line that tells an error; the last line where none does.
std::string FirstError(const std::string& said) {
  std::istringstream lines(said);
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    for (const char* sign : {"error:", "undefined reference", "cannot find", "file not recognized"}) {
      if (line.find(sign) != std::string::npos) return line;
    }
    if (!line.empty()) last = line;
  }
  return last;
}

// Where a runner is, or why there is none.
class Place {
 public:
  Place(const Checkout& checkout, const std::string& key)
      : checkout_(checkout), folder_((CacheFolder() / fmt::format("{}-{}", checkout.engine, key)).string()) {}

  // A runner that is there, or a failure that still counts.
  std::optional<BuiltRunner> Kept() const {
    const std::string program = folder_ + "/runner";
    if (access(program.c_str(), X_OK) == 0) return BuiltRunner{.program = program};
    std::error_code error;
    const fs::file_time_type failed = fs::last_write_time(Failed(), error);
    const fs::file_time_type now = fs::file_time_type::clock::now();
    if (error || failed > now || now - failed > kFailureCounts) return std::nullopt;
    return Failure(Contents(Failed()));
  }

  BuiltRunner Compile(const RunnerSources& sources) const {
    fs::create_directories(fs::path(folder_).parent_path());
    const Turn turn(folder_ + ".lock", kCompileLimit, [this] { return Kept().has_value(); });
    if (const std::optional<BuiltRunner> kept = Kept()) return *kept;  // somebody else's, meanwhile
    if (isatty(STDERR_FILENO) != 0) {
      fmt::print(stderr, "compiling a runner for {} at {}, once ...\n", checkout_.engine, checkout_.directory);
    }
    const TemporaryDirectory work;
    const std::string source = work.path() + "/runner.cc", program = work.path() + "/runner";
    std::ofstream all(source);
    for (const char* file : kSources) all << "#include \"" << file << "\"\n";
    all.close();
    const std::vector<std::string> arguments = Arguments(checkout_, sources, source, program);
    const ProcessResult compiled = RunCompiler(arguments, kCompileLimit);
    fs::create_directories(folder_);
    WriteWhole(Log(), fmt::format("{} {}\n\n{}", Compiler(), fmt::join(arguments, " "), compiled.output));
    if (!compiled.ok()) {
      const std::string error = FirstError(compiled.output);
      WriteWhole(Failed(), error.empty() ? compiled.Describe() : error);
      return Failure(Contents(Failed()));
    }
    const std::string there = folder_ + "/runner", temporary = fmt::format("{}.{}", there, getpid());
    fs::copy_file(program, temporary, fs::copy_options::overwrite_existing);
    fs::rename(temporary, there);
    return {.program = there};
  }

 private:
  std::string Failed() const { return folder_ + "/failed.txt"; }
  std::string Log() const { return folder_ + "/compiler.txt"; }

  BuiltRunner Failure(const std::string& error) const {
    return {.problem = fmt::format("the runner for {} does not compile against {}: {}", checkout_.engine,
                                   checkout_.directory, error),
            .remedy = fmt::format("{} has all that the compiler said; its C API may be of a generation that this "
                                  "version does not know, or its libraries older than its headers: build the checkout "
                                  "again. It is not tried again for {} minutes, or until {} is removed",
                                  Log(), kFailureCounts.count(), Failed())};
  }

  const Checkout& checkout_;
  std::string folder_;
};

}  // namespace

BuiltRunner BuildRunner(const Checkout& checkout, const std::optional<RunnerSources>& own) {
  try {
    const ProcessResult version = RunCompiler({"--version"}, seconds(20));
    if (!version.ok()) {
      return {.problem = fmt::format("{}: no C++ compiler: `{} --version` {}: {}", checkout.directory, Compiler(),
                                     version.Describe(), version.last_words),
              .remedy =
                  "install g++ or clang++, or name a compiler of C++20 in CXX: a runner is compiled once against "
                  "the engine's own headers"};
    }
    const RunnerSources sources = own ? *own : FindSources();
    if (!fs::exists(fs::path(sources.root) / kSources[0])) {
      return {.problem = fmt::format("{}: the runner's sources are not there", sources.root),
              .remedy = "install bitnet-parity whole: share/bitnet-parity/runner belongs to it"};
    }
    const Place place(checkout, KeyOf(checkout, sources, version.output));
    if (const std::optional<BuiltRunner> kept = place.Kept()) return *kept;
    return place.Compile(sources);
  } catch (const std::exception& error) {
    return {.problem = fmt::format("{}: no runner could be built: {}", checkout.directory, error.what()),
            .remedy = "set XDG_CACHE_HOME to a folder that can be written"};
  }
}

}  // namespace parity
