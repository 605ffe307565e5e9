#include "parity_tests/cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "parity_tests/cli/app_names.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/console.h"
#include "parity_tests/cli/project_file.h"
#include "parity_tests/harness/engines.h"
#include "reference/capture/suggest.h"
#include "reference/engines/machine.h"

namespace parity {
namespace {

// This program's version, the engines that it finds with theirs, and the CPU.
std::string Versions() {
  std::string text = fmt::format("bitnet-parity {}", ProgramVersion());
  for (const EngineRow& row : Engines()) {
    if (row.needs_argument) continue;
    const ProbeResult probe = MakeEngine(std::string(row.name))->Probe();
    text += fmt::format("\n  {} {}", row.name, probe.available ? probe.version : "(not available)");
    if (probe.available && row.runner.program.empty()) text += fmt::format(", {}", fmt::join(probe.found, ", "));
  }
  return text + fmt::format("\n  CPU {}", ThisMachine().cpu);
}

// The first argument that nothing takes; nullptr: there is none.
const std::string* FirstExtra(const CLI::App& app, const std::vector<std::string>& arguments) {
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  const auto is_extra = [&](const std::string& a) {
    return std::find(extras.begin(), extras.end(), a) != extras.end();
  };
  const auto found = std::find_if(arguments.begin(), arguments.end(), is_extra);
  return found != arguments.end() ? &*found : nullptr;
}

std::vector<std::string> Positionals(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : OptionsOf(command)) {
    if (option->get_positional()) names.push_back(PositionalName(*option));
  }
  return names;
}

// What is required and may stand without its option's name is asked for as such.
std::string MissingPositional(const std::vector<CLI::App*>& chosen, const CLI::ParseError& error) {
  if (chosen.empty() || dynamic_cast<const CLI::RequiredError*>(&error) == nullptr) return "";
  for (const CLI::Option* option : OptionsOf(*chosen.front())) {
    if (!option->get_required() || option->count() > 0 || !option->get_positional()) continue;
    return fmt::format("{} is missing: {}\nusage: bitnet-parity {} {} [OPTIONS]", PositionalName(*option),
                       option->get_description(), chosen.front()->get_name(),
                       fmt::join(Positionals(*chosen.front()), " "));
  }
  return "";
}

std::string UnexpectedArgument(const CLI::App& app, const std::string& extra) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (chosen.empty() && !extra.starts_with("-")) {
    return fmt::format("'{}' is no command{}\n`bitnet-parity --help` lists them", extra,
                       DidYouMean(extra, CommandNames(app)));
  }
  const std::string command = chosen.empty() ? "bitnet-parity" : "bitnet-parity " + chosen.front()->get_name();
  if (!extra.starts_with("-")) {
    return fmt::format("found '{}', which `{}` does not take; text of several words needs quotes", extra, command);
  }
  std::vector<std::string> names = OptionNames(app);
  if (!chosen.empty()) {
    const std::vector<std::string> own = OptionNames(*chosen.front());
    names.insert(names.begin(), own.begin(), own.end());
  }
  const std::string name = extra.substr(0, extra.find('='));
  const std::string nearest = Nearest(name.substr(std::min(name.find_first_not_of('-'), name.size())), names);
  return fmt::format("{} is no option of `{}`{}\n`{} --help` lists them", name, command,
                     nearest.empty() ? "" : fmt::format("; did you mean '--{}'?", nearest), command);
}

}  // namespace

std::string_view ProgramVersion() { return PARITY_VERSION; }

std::string UsageError(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& arguments) {
  // A misspelt name is also why what it stands for is missing.
  const bool about_names =
      dynamic_cast<const CLI::ExtrasError*>(&error) || dynamic_cast<const CLI::RequiredError*>(&error);
  if (const std::string* extra = about_names ? FirstExtra(app, arguments) : nullptr) {
    return UnexpectedArgument(app, *extra);
  }
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (const std::string missing = MissingPositional(chosen, error); !missing.empty()) return missing;
  const std::string help = chosen.empty() ? "--help" : chosen.front()->get_name() + " --help";
  return fmt::format("{}\n`bitnet-parity {}` says what it takes", error.what(), help);
}

void AddCommands(CLI::App& app, int& exit_code) {
  app.require_subcommand(0, 1);  // none is looked at by main: a misspelt one is to be named
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("--version", Versions,
                       "this program's version, those of the engines that it finds, and the CPU");
  Console& console = TheConsole();
  app.add_option("--output", console.output,
                 "file for the result (-: standard output); it is there whole, or as it was before")
      ->type_name("FILE");
  app.add_option("--color", console.color, "colours: auto (on a terminal, without NO_COLOR), always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_flag("--quiet", console.quiet, "no progress and no notes on standard error");
  app.add_flag("--dry-run", console.dry_run, "check the command line and the project file, and run nothing");
  app.add_option("--error-exit-code", "exit code of an error in place of 2; `git bisect run` passes over 125")
      ->check(CLI::Range(2, 125))
      ->type_name("INT");
  AddProjectFile(app);
  for (auto* add : {AddLadderCommand,    AddCompareCommand,       AddMatrixCommand,       AddSweepCommand,
                    AddGenerateCommand,  AddInspectCommand,       AddCompatCheckCommand,  AddDiffModelsCommand,
                    AddRecordCommand,    AddPreflightCommand,     AddCheckCaptureCommand, AddMakeRequestCommand,
                    AddTokenizeCommand,  AddTraceDiffCommand,     AddReplayCommand,       AddBisectCommand,
                    AddWhatbugCommand,   AddNoiseCommand,         AddCalibrateCommand,    AddMergeCommand,
                    AddBenchmarkCommand, AddVerifyReceiptCommand, AddReceiptsCommand,     AddSmokeCommand,
                    AddCtestInitCommand, AddCompletionCommand,    AddManCommand}) {
    add(app, exit_code);
  }
}

}  // namespace parity
