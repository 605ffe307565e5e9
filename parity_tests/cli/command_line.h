// All commands and their options as one application of CLI11, and what is said of a command line that it does not take.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_COMMAND_LINE_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_COMMAND_LINE_H_

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace parity {

std::string_view ProgramVersion();

// Adds them to `app`; `exit_code` takes what the command returns.
void AddCommands(CLI::App& app, int& exit_code);

// Names what is wrong with these arguments, and the nearest command or option.
std::string UsageError(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& arguments);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_COMMAND_LINE_H_
