#include "reference/engines/checkout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "reference/engines/process.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

std::string Absolute(const std::string& path) {
  std::string text = fs::absolute(path).lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

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
  return git.ok() ? git.output.substr(0, git.output.find('\n')) : "";
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
  std::ifstream file(library, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  for (const char* sign : {"clang version ", "GCC: ("}) {
    const size_t at = bytes.find(sign);
    if (at == std::string::npos) continue;
    std::string text = bytes.substr(at, std::min(bytes.find('\0', at) - at, size_t{80}));
    std::erase_if(text, [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32; });
    return text;
  }
  return "unknown compiler";
}

// The variable that names it, for a remedy: "set BITNET_CPP_DIR to".
std::string Set(const std::string& variable) { return variable.empty() ? "name" : fmt::format("set {} to", variable); }

void FindLibraries(const CheckoutLayout& layout, Checkout& found) {
  const std::string own = EnvironmentVariable(layout.libraries_variable);
  std::vector<std::string> folders;
  if (!own.empty()) folders.push_back(Absolute(own));
  for (const std::string& folder : layout.libraries) {
    if (own.empty()) folders.push_back(found.directory + "/" + folder);
  }
  for (const char* name : {"libllama", "libggml", "libggml-base", "libggml-cpu"}) {
    const std::string file = FindLibrary(folders, name);
    if (!file.empty()) found.libraries.push_back(file);
    const bool needed = std::string_view(name).find('-') == std::string_view::npos;  // the others came later
    if (!file.empty() || !needed) continue;
    found.problem = fmt::format("{}: {}.so is in none of {}", found.directory, name, fmt::join(folders, ", "));
    found.remedy = own.empty() ? fmt::format("build the checkout with -DBUILD_SHARED_LIBS=ON{}",
                                             layout.libraries_variable.empty()
                                                 ? ""
                                                 : fmt::format(", or set {} to the folder of its shared libraries",
                                                               layout.libraries_variable))
                               : fmt::format("{} the folder of its shared libraries", Set(layout.libraries_variable));
    return;
  }
  for (const std::string& library : found.libraries) {
    if (library.find(':') == std::string::npos) continue;
    found.problem = fmt::format("{}: its path has a ':', which separates the folders that a program looks in", library);
    found.remedy =
        fmt::format("{} a symbolic link without one", Set(own.empty() ? layout.variable : layout.libraries_variable));
    return;
  }
}

void Find(const CheckoutLayout& layout, Checkout& found) {
  found.directory = Absolute(found.directory);
  const std::string llama = layout.llama == "." ? found.directory : found.directory + "/" + layout.llama;
  if (!fs::exists(llama + "/include/llama.h")) {
    found.problem = fmt::format("{}: {}/include/llama.h is not there", found.directory, llama);
    found.remedy = layout.llama == "."
                       ? fmt::format(
                             "{} the folder of a checkout of llama.cpp, or of an installation, that holds "
                             "include/llama.h",
                             Set(layout.variable))
                       : fmt::format("{} the folder of a checkout with its submodules", Set(layout.variable));
    return;
  }
  for (const char* folder : {"/include", "/ggml/include"}) {
    if (fs::is_directory(llama + folder)) found.headers.push_back(llama + folder);
  }
  const bool since_2025 = std::any_of(found.headers.begin(), found.headers.end(),
                                      [](const std::string& h) { return fs::exists(h + "/gguf.h"); });
  if (found.engine == "bitnet.cpp") found.generation = since_2025 ? "since July 2026" : "up to July 2026";
  FindLibraries(layout, found);
  if (!found.problem.empty()) return;
  found.version = VersionOf(found, llama);
  found.compiler = CompilerOf(found.libraries.back());
}

}  // namespace

Checkout FindCheckout(const std::string& engine, const CheckoutLayout& layout, const std::string& directory) {
  Checkout found{.engine = engine, .directory = directory};
  try {
    Find(layout, found);
  } catch (const std::exception& error) {
    found.problem = fmt::format("{}: cannot be read: {}", directory, error.what());
    found.remedy = fmt::format("{} a folder that can be read", Set(layout.variable));
  }
  return found;
}

std::string EnvironmentVariable(const std::string& name) {
  const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

}  // namespace parity
