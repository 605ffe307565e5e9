// bitnet-parity: the ladder at the command line. Exit codes: 0 parity, 1 divergence, 2 error.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "parity_tests/cli/command_line.h"
#include "parity_tests/cli/console.h"
#include "reference/capture/leftovers.h"

namespace {

constexpr int kError = 2;

int Run(CLI::App& app, const int& exit_code, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    app.exit(wanted);
    parity::CheckStandardOutput();
    return 0;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "bitnet-parity: {}\n", parity::UsageError(app, error, {argv + 1, argv + argc}));
    return kError;
  }
  if (app.get_subcommands().empty()) {
    fmt::print(stderr, "{}\nbitnet-parity: a subcommand is missing\n", app.help());
    return kError;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  parity::KeepStandardDescriptors();
  parity::StartJanitor();
  try {
    CLI::App app("Parity of 1-bit LLM inference engines, stage by stage.\nExit codes: 0 parity, 1 divergence, 2 error.",
                 "bitnet-parity");
    int exit_code = 0;
    parity::AddCommands(app, exit_code);
    const int code = Run(app, exit_code, argc, argv);
    return code == kError ? parity::TheConsole().error_exit_code : code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bitnet-parity: {}\n", error.what());
    return parity::TheConsole().error_exit_code;
  }
}
