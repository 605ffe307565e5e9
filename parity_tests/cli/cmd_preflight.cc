// `preflight`: which engines are here, and what to do about those that are not. `setup-cpp-auto`: the environment that
// makes them usable.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/shell_word.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/report/color.h"
#include "reference/engines/process.h"
#include "reference/engines/program_files.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

struct Found {
  std::string name;
  ProbeResult probe;
};

// The engines whose name alone is a spec, and what else PARITY_REQUIRE names.
std::vector<Found> ProbeAll() {
  std::vector<std::string> specs;
  for (const EngineRow& row : Engines()) {
    if (!row.needs_argument) specs.push_back(row.name);
  }
  for (const std::string& name : RequiredEngines()) {
    if (std::find(specs.begin(), specs.end(), name) == specs.end()) specs.push_back(name);
  }
  std::vector<Found> all;
  for (const std::string& spec : specs) all.push_back({spec, MakeEngine(spec)->Probe()});
  return all;
}

int Preflight(bool verbose, const std::string& format) {
  const std::vector<Found> all = ProbeAll();
  bool all_there = true;
  nlohmann::json json = nlohmann::json::array();
  for (const auto& [name, probe] : all) {
    const bool missing = !probe.available && IsRequired(name);
    all_there = all_there && !missing;
    if (format == "json") {
      json.push_back({{"backend", name},
                      {"available", probe.available},
                      {"required", IsRequired(name)},
                      {"version", probe.version},
                      {"looked_in", probe.looked_in},
                      {"found", probe.found},
                      {"details", probe.details},
                      {"known_faults", probe.known_faults},
                      {"problem", probe.problem},
                      {"remedy", probe.remedy}});
      continue;
    }
    fmt::print("{:10}  {}{}\n", name,
               Paint(probe.available ? "available" : "NOT AVAILABLE",
                     probe.available ? Color::kGreen
                     : missing       ? Color::kRed
                                     : Color::kYellow,
                     ColorWanted()),
               probe.available    ? " " + probe.version
               : IsRequired(name) ? " (PARITY_REQUIRE asks for it)"
                                  : "");
    if (!probe.available) fmt::print("            {}\n            to do: {}\n", probe.problem, probe.remedy);
    for (const std::string& fault : probe.known_faults) fmt::print("            known fault: {}\n", fault);
    if (!verbose) continue;
    for (const std::string& place : probe.looked_in) fmt::print("            looked at {}\n", place);
    for (const std::string& thing : probe.found) fmt::print("            found {}\n", thing);
    for (const std::string& detail : probe.details) fmt::print("            {}\n", detail);
  }
  if (format == "json") fmt::print("{}", DumpJson(json));
  return all_there ? 0 : 2;
}

void Emit(const std::string& shell, const std::string& name, const std::string& value) {
  if (shell == "sh") fmt::print("export {}={}\n", name, ShellWord(value, shell));
  if (shell == "fish") fmt::print("set -gx {} {}\n", name, ShellWord(value, shell));
  if (shell == "pwsh") fmt::print("$env:{} = {}\n", name, ShellWord(value, shell));
}

// An engine that comes as a package, where it was not installed yet. What npm says goes to standard error.
void InstallPackage(const EngineRow& row) {
  const std::optional<fs::path> sources = SourceTree();
  if (!sources) return;  // an installed program has its runners beside it, or none
  const std::string package = *sources / row.runner.package;
  if (fs::exists(package + "/node_modules")) return;
  fmt::print(stderr, "installing the packaged {} in {}\n", row.name, package);
  const ProcessResult npm =
      RunProcess({"npm", "ci", "--ignore-scripts", "--prefix", package}, std::chrono::seconds(600));
  if (!npm.ok()) {
    fmt::print(stderr, "npm ci {}:\n{}\n", npm.Describe(), npm.last_words);
    return;
  }
  fmt::print(stderr, "installed; configure and build again so that its runner is made\n");
}

int SetupCppAuto(const std::string& shell) {
  std::set<std::string> directories;
  std::vector<std::string> available;
  for (const EngineRow& row : Engines()) {
    const Runner& runner = row.runner;
    if (runner.program.empty()) continue;
    const ProbeResult probe = MakeEngine(row.name)->Probe();
    if (!probe.available) {
      if (!runner.package.empty()) InstallPackage(row);
      fmt::print(stderr, "{}: not available: {}; {}\n", row.name, probe.problem, probe.remedy);
      continue;
    }
    available.push_back(row.name);
    // found: the runner, then the libraries that it loads.
    Emit(shell, runner.variable, probe.found.front());
    for (size_t i = 1; i < probe.found.size(); ++i) directories.insert(fs::path(probe.found[i]).parent_path());
    const CheckoutLayout& layout = runner.layout;
    const std::string given = EnvironmentVariable(layout.variable),
                      libraries = EnvironmentVariable(layout.libraries_variable);
    const std::string usual = fmt::format("{}/{}", EnvironmentVariable("HOME"), runner.checkout);
    if (!given.empty() || !runner.checkout.empty()) Emit(shell, layout.variable, given.empty() ? usual : given);
    if (!libraries.empty()) Emit(shell, layout.libraries_variable, libraries);
  }
  if (!available.empty()) Emit(shell, "PARITY_REQUIRE", fmt::format("{}", fmt::join(available, ",")));
  fmt::print(stderr, "libraries in {}\n", fmt::join(directories, ", "));
  return available.empty() ? 2 : 0;
}

}  // namespace

void AddPreflightCommand(CLI::App& app, int& exit_code) {
  struct Command {
    bool verbose = false;
    std::string format = "text", emit = "sh";
  };
  auto o = std::make_shared<Command>();
  Options preflight(app, "preflight", "Which engines are here; exit code 0 where all are that PARITY_REQUIRE names");
  preflight.Flag("--verbose", o->verbose, "Where each was looked for, and what was found");
  AddFormatOption(preflight, o->format, {"text", "json"});
  preflight.Run(exit_code, [o] { return Preflight(o->verbose, o->format); });

  Options setup(app, "setup-cpp-auto",
                "Install the packaged llama.cpp where it is missing, and print the environment for eval");
  setup.Add("--emit", o->emit, "sh, fish or pwsh", {.words = {"sh", "fish", "pwsh"}});
  setup.Run(exit_code, [o] { return SetupCppAuto(o->emit); });
}

}  // namespace parity
