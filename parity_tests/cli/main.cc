// bitnet-parity: the ladder at the command line. Exit codes: 0 parity, 1 divergence, 2 error.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "parity_tests/cli/commands.h"
#include "parity_tests/harness/engines.h"

namespace {

// This program's version, and the engines that it finds with theirs.
std::string Versions() {
  std::string text = "bitnet-parity " PARITY_VERSION;
  for (const parity::EngineRow& row : parity::Engines()) {
    if (row.needs_argument) continue;
    const parity::ProbeResult probe = parity::MakeEngine(std::string(row.name))->Probe();
    text += fmt::format("\n  {} {}", row.name, probe.available ? probe.version : "(not available)");
    if (probe.available && row.runner.program.empty()) text += fmt::format(", {}", fmt::join(probe.found, ", "));
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Parity of 1-bit LLM inference engines, stage by stage.\nExit codes: 0 parity, 1 divergence, 2 error.",
               "bitnet-parity");
  app.require_subcommand(0, 1);  // none is looked at below: a misspelt one is to be named
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("--version", Versions, "this program's version, and those of the engines that it finds");
  int exit_code = 0;
  parity::AddLadderCommand(app, exit_code);
  parity::AddMatrixCommand(app, exit_code);
  parity::AddSweepCommand(app, exit_code);
  parity::AddMergeCommand(app, exit_code);
  parity::AddGenerateCommand(app, exit_code);
  parity::AddInspectCommand(app, exit_code);
  parity::AddCompatCheckCommand(app, exit_code);
  parity::AddDiffModelsCommand(app, exit_code);
  parity::AddRecordCommand(app, exit_code);
  parity::AddPreflightCommand(app, exit_code);
  parity::AddCheckCaptureCommand(app, exit_code);
  parity::AddMakeRequestCommand(app, exit_code);
  parity::AddTokenizeCommand(app, exit_code);
  parity::AddTraceDiffCommand(app, exit_code);
  parity::AddReplayCommand(app, exit_code);
  parity::AddBisectCommand(app, exit_code);
  parity::AddWhatbugCommand(app, exit_code);
  parity::AddNoiseCommand(app, exit_code);
  parity::AddCalibrateCommand(app, exit_code);
  parity::AddBenchmarkCommand(app, exit_code);
  parity::AddVerifyReceiptCommand(app, exit_code);
  parity::AddReceiptsCommand(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // --help is no error
  } catch (const std::exception& error) {
    fmt::print(stderr, "bitnet-parity: {}\n", error.what());
    return 2;
  }
  if (app.get_subcommands().empty()) {
    fmt::print(stderr, "bitnet-parity: a subcommand is missing\n\n{}", app.help());
    return 2;
  }
  return exit_code;
}
