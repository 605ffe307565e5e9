// `man`: the manual page, from the commands' own descriptions.
#include <fmt/format.h>

#include <map>
#include <sstream>

#include "parity_tests/cli/app_names.h"
#include "parity_tests/cli/command_line.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/options.h"

namespace parity {
namespace {

// Text of a line of troff: no escape, no request.
std::string Roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\n') {
      out += "\n.br\n";
    } else {
      out += c;
    }
  }
  return out.starts_with(".") || out.starts_with("'") ? "\\&" + out : out;
}

std::string OptionParagraph(const CLI::Option& option) {
  std::string names;
  for (const std::string& name : option.get_snames())
    names += (names.empty() ? "" : ", ") + ("\\fB\\-" + name + "\\fR");
  for (const std::string& name : option.get_lnames()) {
    names += (names.empty() ? "" : ", ") + ("\\fB" + Roff("--" + name) + "\\fR");
  }
  if (names.empty()) names = "\\fI" + Roff(PositionalName(option)) + "\\fR";
  const std::vector<std::string> words = WordsOf(option);
  std::string about = Roff(option.get_description());
  if (!words.empty()) about += fmt::format("\n.br\none of: {}", Roff(fmt::format("{}", fmt::join(words, ", "))));
  if (!option.get_default_str().empty()) about += fmt::format("\n.br\ndefault: {}", Roff(option.get_default_str()));
  if (!option.get_envname().empty()) about += fmt::format("\n.br\nenvironment: \\fB{}\\fR", Roff(option.get_envname()));
  const std::string type = option.get_type_name();
  const std::string value =
      option.get_expected_max() == 0 ? "" : " \\fI" + Roff(type.substr(0, type.find(':'))) + "\\fR";
  return fmt::format(".TP\n{}{}\n{}\n", names, option.get_lnames().empty() ? "" : value, about);
}

std::string Environment(const CLI::App& app) {
  std::map<std::string, std::string> variables;
  for (const CLI::App* command : CommandsOf(app)) {
    for (const CLI::Option* option : OptionsOf(*command)) {
      if (!option->get_envname().empty()) variables.emplace(option->get_envname(), "--" + option->get_lnames().front());
    }
  }
  std::string out;
  for (const auto& [name, option] : variables) {
    out += fmt::format(".TP\n.B {}\nas {}, which wins\n", Roff(name), Roff(option));
  }
  return out;
}

std::string Page(const CLI::App& app) {
  std::string commands;
  for (const CLI::App* command : CommandsOf(app)) {
    commands += fmt::format(".SS {}\n{}\n", Roff(command->get_name()), Roff(command->get_description()));
    for (const CLI::Option* option : OptionsOf(*command)) {
      if (option->get_name() != "--help") commands += OptionParagraph(*option);
    }
  }
  std::string everywhere;
  for (const CLI::Option* option : OptionsOf(app)) everywhere += OptionParagraph(*option);
  return fmt::format(R"(.TH BITNET\-PARITY 1 "" "bitnet\-parity {}" "User Commands"
.SH NAME
bitnet\-parity \- parity of 1\-bit LLM inference engines, stage by stage
.SH SYNOPSIS
.B bitnet\-parity
\fICOMMAND\fR [\fIOPTIONS\fR]
.SH DESCRIPTION
Runs two inference engines on one model and prompt, climbs a ladder of stages from tokens to greedy decoding, stops at the
first that fails, and says where and why. The result goes to standard output, all else to standard error.
.SH OPTIONS OF EVERY COMMAND
{}.SH COMMANDS
{}.SH EXIT STATUS
.TP
.B 0
parity
.TP
.B 1
divergence
.TP
.B 2
error: nothing was compared, or the result could not be written
.SH ENVIRONMENT
{}.TP
.B NO_COLOR
no colours, unless \-\-color always
.SH FILES
.TP
.I bitnet\-parity.toml
in the working directory: options, as \fBmodel = "m.gguf"\fR for every command that has them, or below \fB[ladder]\fR for
one. The command line wins.
)",
                     ProgramVersion(), everywhere, commands, Environment(app));
}

}  // namespace

void AddManCommand(CLI::App& app, int& exit_code) {
  Options options(app, "man", "Print the manual page: bitnet-parity man | man -l -");
  options.Run(exit_code, [&app] {
    fmt::print("{}", Page(app));
    return 0;
  });
}

}  // namespace parity
