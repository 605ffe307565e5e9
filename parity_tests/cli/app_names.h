// The names in an application of CLI11: for suggestions, the project file, completion and the manual page.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_APP_NAMES_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_APP_NAMES_H_

#include <CLI/CLI.hpp>
#include <cctype>
#include <string>
#include <vector>

namespace parity {

inline std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

inline std::vector<const CLI::Option*> OptionsOf(const CLI::App& app) {
  return app.get_options([](const CLI::Option*) { return true; });
}

inline std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : CommandsOf(app)) names.push_back(command->get_name());
  return names;
}

// Without the two dashes.
inline std::vector<std::string> OptionNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : OptionsOf(app)) {
    names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
  }
  return names;
}

// The words that an option takes, from its description ("TEXT:{a,b}"); none where it takes anything.
inline std::vector<std::string> WordsOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.rfind('}');
  if (open == std::string::npos || close == std::string::npos) return {};
  return CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
}

// "MODEL"
inline std::string PositionalName(const CLI::Option& option) {
  std::string name = option.get_name(/*positional=*/true);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_APP_NAMES_H_
