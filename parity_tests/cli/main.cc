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

// --error-exit-code counts where the rest of the command line is not understood, too.
int ErrorExitCode(const CLI::App& app) {
  const CLI::Option* option = app.get_option("--error-exit-code");
  int code = kError;
  if (option->count() > 0 && CLI::detail::lexical_cast(option->results().back(), code) && code >= 2 && code <= 125) {
    return code;
  }
  return kError;
}

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
  CLI::App app("Parity of 1-bit LLM inference engines, stage by stage.\nExit codes: 0 parity, 1 divergence, 2 error.",
               "bitnet-parity");
  int exit_code = 0;
  try {
    parity::AddCommands(app, exit_code);
    exit_code = Run(app, exit_code, argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bitnet-parity: {}\n", error.what());
    exit_code = kError;
  }
  return exit_code == kError ? ErrorExitCode(app) : exit_code;
}
