#include "reference/engines/runner_build.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "reference/capture/hash.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"
#include "reference/engines/program_files.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

// What is compiled, as one file.
constexpr const char* kSources[] = {"reference/engines/serve.cc",       "reference/llama_family/node_map.cc",
                                    "reference/llama_family/engine.cc", "reference/llama_family/observer.cc",
                                    "reference/llama_family/run.cc",    "reference/llama_family/main.cc"};

std::string Contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// libllama.so, or libllama.b6845.so where only the versioned name is there; never libllama-common.so.
std::string FindLibrary(const std::vector<std::string>& folders, const std::string& name) {
  for (const std::string& folder : folders) {
    if (fs::exists(folder + "/" + name + ".so")) return folder + "/" + name + ".so";
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const std::string file = entry.path().filename();
      if (file.starts_with(name + ".") && file.ends_with(".so")) return entry.path();
    }
  }
  return "";
}

// "" where the folder is in no repository of its own.
std::string CommitOf(const std::string& directory) {
  if (!fs::exists(directory + "/.git")) return "";
  const ProcessResult git = RunProcess({"git", "-C", directory, "rev-parse", "--short=7", "HEAD"}, seconds(20));
  return git.ok() ? FirstLine(git.output) : "";
}

// A commit; of a bitnet.cpp that of the llama.cpp in it too, which says what the arithmetic is; or else what
// libllama.b6845.so says.
std::string VersionOf(const Checkout& checkout, const std::string& llama) {
  std::string version = CommitOf(checkout.directory);
  const std::string inner = llama == checkout.directory ? "" : CommitOf(llama);
  if (!inner.empty()) version += (version.empty() ? "" : ", ") + ("llama.cpp " + inner);
  if (!version.empty()) return version;
  const std::string file = fs::path(checkout.libraries.front()).filename();
  const std::string prefix = "libllama.", suffix = ".so";
  if (file.size() > prefix.size() + suffix.size()) {
    return file.substr(prefix.size(), file.size() - prefix.size() - suffix.size());
  }
  return checkout.engine == "llama.cpp" ? "" : "unknown commit";  // llama.cpp's library may tell
}

// The compiler's signature in a library: "clang version 19.1.7 (1)", "GCC: (Debian 12.2.0-14) 12.2.0".
std::string CompilerOf(const std::string& library) {
  const std::string bytes = Contents(library);
  for (const char* sign : {"clang version ", "GCC: ("}) {
    const size_t at = bytes.find(sign);
    if (at == std::string::npos) continue;
    std::string text = bytes.substr(at, std::min(bytes.find('\0', at) - at, size_t{80}));
    std::erase_if(text, [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32; });
    return text;
  }
  return "unknown compiler";
}

}  // namespace

Checkout FindCheckout(const std::string& engine, const CheckoutLayout& layout, const std::string& directory) {
  Checkout found{.engine = engine, .directory = directory};
  const std::string llama = layout.llama == "." ? directory : directory + "/" + layout.llama;
  if (!fs::exists(llama + "/include/llama.h")) {
    found.problem = fmt::format("{}: {}/include/llama.h is not there", directory, llama);
    found.remedy = "name the folder of a checkout with its submodules";
    return found;
  }
  for (const char* folder : {"/include", "/ggml/include"}) {
    if (fs::is_directory(llama + folder)) found.headers.push_back(llama + folder);
  }
  const bool since_2025 = std::any_of(found.headers.begin(), found.headers.end(),
                                      [](const std::string& h) { return fs::exists(h + "/gguf.h"); });
  if (engine == "bitnet.cpp") found.generation = since_2025 ? "since July 2026" : "up to July 2026";
  std::vector<std::string> folders;
  for (const std::string& folder : layout.libraries) folders.push_back(directory + "/" + folder);
  for (const char* name : {"libllama", "libggml", "libggml-base", "libggml-cpu"}) {
    const std::string file = FindLibrary(folders, name);
    if (!file.empty()) found.libraries.push_back(file);
    // The others came later.
    if (file.empty() && found.libraries.size() < 2 && std::string(name).find('-') == std::string::npos) {
      found.problem = fmt::format("{}: {}.so is in none of {}", directory, name, fmt::join(folders, ", "));
      found.remedy = "build the checkout with -DBUILD_SHARED_LIBS=ON";
      return found;
    }
  }
  found.version = VersionOf(found, llama);
  found.compiler = CompilerOf(found.libraries.back());
  return found;
}

namespace {

// Our sources, their headers, and the libraries that they need: of an installation or of a build tree.
struct RunnerSources {
  fs::path root;
  std::vector<std::string> includes;   // of headers that are not ours
  std::vector<std::string> libraries;  // files, or "-lfmt"
};

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
  const char *xdg = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  // A relative one is to be ignored, by the XDG specification. A folder that others can write to is never taken.
  if (xdg != nullptr && *xdg == '/') return fs::path(xdg) / "bitnet-parity/runners";
  if (home != nullptr && *home != '\0') return fs::path(home) / ".cache/bitnet-parity/runners";
  throw std::runtime_error("neither XDG_CACHE_HOME nor HOME is set");
}

std::string Compiler() {
  const char* given = std::getenv("CXX");
  return given != nullptr && *given != '\0' ? given : "c++";
}

std::vector<std::string> Command(const Checkout& checkout, const RunnerSources& sources, const std::string& source,
                                 const std::string& program) {
  std::vector<std::string> command = {Compiler(), "-std=c++20", "-O1", "-ffp-contract=off",
                                      "-I" + sources.root.string()};
  for (const std::string& folder : sources.includes) command.insert(command.end(), {"-isystem", folder});
  for (const std::string& folder : checkout.headers) command.insert(command.end(), {"-isystem", folder});
  for (const auto& [name, value] :
       {std::pair{"NAME", &checkout.engine}, {"VERSION", &checkout.version}, {"COMPILER", &checkout.compiler}}) {
    command.push_back(fmt::format("-DPARITY_ENGINE_{}=\"{}\"", name, *value));
  }
  command.push_back(source);
  command.insert(command.end(), sources.libraries.begin(), sources.libraries.end());
  command.insert(command.end(), checkout.libraries.begin(), checkout.libraries.end());
  for (const std::vector<std::string>* files : {&checkout.libraries, &sources.libraries}) {
    for (const std::string& file : *files) {
      if (file.ends_with(".a") || file.starts_with("-l")) continue;
      command.push_back("-Wl,-rpath," + fs::path(file).parent_path().string());
    }
  }
  command.insert(command.end(), {"-ldl", "-pthread", "-o", program});
  return command;
}

// Changes with all that the program depends on.
std::string KeyOf(const Checkout& checkout, const RunnerSources& sources, const std::string& compiler_version) {
  std::string text = compiler_version + fmt::format("{}", fmt::join(Command(checkout, sources, "", ""), "\n"));
  for (const std::string& library : checkout.libraries) text += HashFile(library);
  for (const std::string& folder : checkout.headers) {
    for (const char* header : {"llama.h", "ggml.h", "ggml-backend.h", "gguf.h"})
      text += Contents(folder + "/" + header);
  }
  for (const char* source : kSources) text += Contents(sources.root / source);
  text += Contents(sources.root / "reference/llama_family/api.h");
  for (const std::string& library : sources.libraries) {
    if (library.ends_with(".a") && fs::exists(library)) text += HashFile(library);
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

BuiltRunner CompileTo(const Checkout& checkout, const RunnerSources& sources, const fs::path& folder) {
  if (isatty(STDERR_FILENO) != 0) {
    std::fputs(fmt::format("compiling a runner for {} at {}, once ...\n", checkout.engine, checkout.directory).c_str(),
               stderr);
  }
  const TemporaryDirectory work;
  const std::string source = work.path() + "/runner.cc", program = work.path() + "/runner";
  std::ofstream all(source);
  for (const char* file : kSources) all << "#include \"" << file << "\"\n";
  all.close();
  const std::vector<std::string> command = Command(checkout, sources, source, program);
  // All that the compiler says, and not its last lines alone.
  std::vector<std::string> shell = {"sh", "-c", "exec \"$0\" \"$@\" 2>&1"};
  shell.insert(shell.end(), command.begin(), command.end());
  const ProcessResult compiled = RunProcess(shell, seconds(600));
  fs::create_directories(folder);
  const std::string log = (folder / "compiler.txt").string();
  std::ofstream(log) << fmt::format("{}\n\n{}", fmt::join(command, " "), compiled.output);
  if (!compiled.ok()) {
    return {
        .problem = fmt::format("the runner for {} does not compile against {}: {}", checkout.engine, checkout.directory,
                               FirstError(compiled.output)),
        .remedy = fmt::format("{} has all that the compiler said; its C API may be of a generation that this version "
                              "does not know, or its libraries older than its headers: build the checkout again",
                              log)};
  }
  const fs::path there = folder / "runner", temporary = fmt::format("{}.{}", there.string(), getpid());
  fs::copy_file(program, temporary, fs::copy_options::overwrite_existing);
  fs::rename(temporary, there);  // whoever else compiled it made the same
  return {.program = there};
}

}  // namespace

BuiltRunner BuildRunner(const Checkout& checkout) {
  try {
    const ProcessResult version = RunProcess({Compiler(), "--version"}, seconds(20));
    if (!version.ok()) {
      return {.problem = fmt::format("{}: no C++ compiler: `{} --version` {}{}", checkout.directory, Compiler(),
                                     version.Describe(), version.start_error.empty() ? "" : " " + version.start_error),
              .remedy =
                  "install g++ or clang++, or name a compiler of C++20 in CXX: a runner is compiled once against "
                  "the engine's own headers"};
    }
    const RunnerSources sources = FindSources();
    if (!fs::exists(sources.root / kSources[0])) {
      return {.problem = fmt::format("{}: the runner's sources are not there", sources.root.string()),
              .remedy = "install bitnet-parity whole: share/bitnet-parity/runner belongs to it"};
    }
    const fs::path folder =
        CacheFolder() / fmt::format("{}-{}", checkout.engine, KeyOf(checkout, sources, version.output));
    const fs::path program = folder / "runner";
    if (access(program.c_str(), X_OK) == 0) return {.program = program};
    return CompileTo(checkout, sources, folder);
  } catch (const std::exception& error) {
    return {.problem = fmt::format("{}: no runner could be built: {}", checkout.directory, error.what()),
            .remedy = "set XDG_CACHE_HOME to a folder that can be written"};
  }
}

}  // namespace parity
