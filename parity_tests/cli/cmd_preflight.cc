// `preflight`: which engines are here, and what to do about those that are not. `setup-cpp-auto`: the environment that
// makes them usable.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/harness/native_backend.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBackends[] = {"native", "llama.cpp", "bitnet.cpp"};

std::vector<std::string> Required() {
  std::vector<std::string> names;
  const char* value = std::getenv("PARITY_REQUIRE");
  std::stringstream list(value == nullptr ? "" : value);
  for (std::string name; std::getline(list, name, ',');) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

struct Found {
  std::string name;
  ProbeResult probe;
};

std::vector<Found> ProbeAll() {
  std::vector<std::string> specs(std::begin(kBackends), std::end(kBackends));
  for (const std::string& name : Required()) {
    if (std::find(specs.begin(), specs.end(), name) == specs.end()) specs.push_back(name);
  }
  std::vector<Found> all;
  for (const std::string& spec : specs) all.push_back({spec, MakeAnyBackend(spec)->Probe()});
  return all;
}

int Preflight(bool verbose, const std::string& format) {
  const std::vector<Found> all = ProbeAll();
  const std::vector<std::string> required = Required();
  const auto is_required = [&](const std::string& name) {
    return std::find(required.begin(), required.end(), name) != required.end();
  };
  bool all_there = true;
  nlohmann::json json = nlohmann::json::array();
  for (const auto& [name, probe] : all) {
    const bool missing = !probe.available && is_required(name);
    all_there = all_there && !missing;
    if (format == "json") {
      json.push_back({{"backend", name},
                      {"available", probe.available},
                      {"required", is_required(name)},
                      {"version", probe.version},
                      {"looked_in", probe.looked_in},
                      {"found", probe.found},
                      {"details", probe.details},
                      {"problem", probe.problem},
                      {"remedy", probe.remedy}});
      continue;
    }
    fmt::print("{:10}  {}{}\n", name, probe.available ? "available" : "NOT AVAILABLE",
               probe.available     ? " " + probe.version
               : is_required(name) ? " (PARITY_REQUIRE asks for it)"
                                   : "");
    if (!probe.available) fmt::print("            {}\n            to do: {}\n", probe.problem, probe.remedy);
    if (!verbose) continue;
    for (const std::string& place : probe.looked_in) fmt::print("            looked at {}\n", place);
    for (const std::string& thing : probe.found) fmt::print("            found {}\n", thing);
    for (const std::string& detail : probe.details) fmt::print("            {}\n", detail);
  }
  if (format == "json") fmt::print("{}", DumpJson(json));
  return all_there ? 0 : 2;
}

// A value as a shell's literal.
std::string Quoted(const std::string& shell, const std::string& value) {
  const char* const quote = shell == "pwsh" ? "''" : shell == "fish" ? "\\'" : "'\\''";
  std::string text = "'";
  for (const char c : value) {
    // fish reads a backslash as an escape between single quotes; the others do not.
    if (c == '\\' && shell == "fish") text += '\\';
    text += c == '\'' ? quote : std::string(1, c);
  }
  return text + "'";
}

void Emit(const std::string& shell, const std::string& name, const std::string& value) {
  if (shell == "sh") fmt::print("export {}={}\n", name, Quoted(shell, value));
  if (shell == "fish") fmt::print("set -gx {} {}\n", name, Quoted(shell, value));
  if (shell == "pwsh") fmt::print("$env:{} = {}\n", name, Quoted(shell, value));
}

// The packaged llama.cpp, where it was not installed yet. What npm says goes to standard error.
void InstallPackage() {
  const std::string package = PARITY_SOURCE_DIR "/reference/llama_family/package";
  if (fs::exists(package + "/node_modules/@node-llama-cpp")) return;
  fmt::print(stderr, "installing the packaged llama.cpp in {}\n", package);
  const ProcessResult npm =
      RunProcess({"npm", "ci", "--ignore-scripts", "--prefix", package}, std::chrono::seconds(600));
  if (!npm.ok()) {
    fmt::print(stderr, "npm ci {}:\n{}\n", npm.Describe(), npm.last_words);
    return;
  }
  fmt::print(stderr, "installed; configure and build again so that its runner is made\n");
}

int SetupCppAuto(const std::string& shell) {
  if (!MakeAnyBackend("llama.cpp")->Probe().available) InstallPackage();
  std::set<std::string> directories;
  std::vector<std::string> available;
  for (const auto& [name, probe] : ProbeAll()) {
    if (name == "native") continue;
    if (!probe.available) {
      fmt::print(stderr, "{}: not available: {}; {}\n", name, probe.problem, probe.remedy);
      continue;
    }
    available.push_back(name);
    // found: the runner, then the libraries that it loads.
    Emit(shell, name == "llama.cpp" ? "PARITY_LLAMA_CPP_RUNNER" : "PARITY_BITNET_CPP_RUNNER", probe.found.front());
    for (size_t i = 1; i < probe.found.size(); ++i) directories.insert(fs::path(probe.found[i]).parent_path());
    if (name != "bitnet.cpp") continue;
    const char* given = std::getenv("BITNET_CPP_DIR");
    const char* home = std::getenv("HOME");
    Emit(shell, "BITNET_CPP_DIR",
         given != nullptr ? given : fmt::format("{}/.cache/bitnet_cpp", home == nullptr ? "" : home));
  }
  if (!available.empty()) Emit(shell, "PARITY_REQUIRE", fmt::format("{}", fmt::join(available, ",")));
  fmt::print(stderr, "libraries in {}\n", fmt::join(directories, ", "));
  return available.empty() ? 2 : 0;
}

}  // namespace

void AddPreflightCommand(CLI::App& app, int& exit_code) {
  struct Options {
    bool verbose = false;
    std::string format = "text", emit = "sh";
  };
  auto o = std::make_shared<Options>();
  CLI::App& preflight =
      *app.add_subcommand("preflight", "Which engines are here; exit code 0 where all are that PARITY_REQUIRE names");
  preflight.add_flag("--verbose", o->verbose, "Where each was looked for, and what was found");
  preflight.add_option("--format", o->format, "text or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  preflight.callback([o, &exit_code] { exit_code = Preflight(o->verbose, o->format); });

  CLI::App& setup = *app.add_subcommand(
      "setup-cpp-auto", "Install the packaged llama.cpp where it is missing, and print the environment for eval");
  setup.add_option("--emit", o->emit, "sh, fish or pwsh")
      ->capture_default_str()
      ->check(CLI::IsMember({"sh", "fish", "pwsh"}));
  setup.callback([o, &exit_code] { exit_code = SetupCppAuto(o->emit); });
}

}  // namespace parity
