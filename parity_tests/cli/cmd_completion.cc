// `completion bash|zsh|fish`: what a shell needs to complete a command line, from the options' own descriptions.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "parity_tests/cli/app_names.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/options.h"
#include "parity_tests/cli/shell_word.h"
#include "parity_tests/harness/engines.h"

namespace parity {
namespace {

// What may stand behind an option.
struct Values {
  bool flag = false;
  bool files = false;
  bool directories = false;
  std::vector<std::string> words = {};
};

Values ValuesOf(const CLI::Option& option) {
  Values values;
  values.flag = option.get_expected_max() == 0;
  values.words = WordsOf(option);
  const std::string type = option.get_type_name();
  if (type.starts_with("ENGINE")) {
    for (const EngineRow& row : Engines())
      values.words.push_back(std::string(row.name) + (row.needs_argument ? ":" : ""));
  }
  values.directories = type.starts_with("DIR");
  values.files = !values.flag && !values.directories && values.words.empty() &&
                 (type.starts_with("TEXT") || type.starts_with("FILE"));
  return values;
}

std::string Joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

// With the two dashes, the command's own first.
std::vector<std::string> Flags(const CLI::App& command, const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* a : {&command, &app}) {
    for (const std::string& name : OptionNames(*a)) {
      if (std::find(names.begin(), names.end(), "--" + name) == names.end()) names.push_back("--" + name);
    }
  }
  return names;
}

std::string BashValues(const CLI::App& command, const std::string& name) {
  std::string out;
  for (const CLI::Option* option : OptionsOf(command)) {
    const Values values = ValuesOf(*option);
    if (values.flag || option->get_lnames().empty()) continue;
    std::vector<std::string> patterns;
    for (const std::string& flag : option->get_lnames()) patterns.push_back(fmt::format("{}:--{}", name, flag));
    const std::string reply = !values.words.empty() ? "-W " + ShellWord(Joined(values.words))
                              : values.directories  ? "-d"
                              : values.files        ? "-f"
                                                    : "-W ''";
    out += fmt::format("    {}) _bitnet_parity_reply {}; return ;;\n", fmt::join(patterns, "|"), reply);
  }
  return out;
}

// The words that may stand without an option in front of them.
std::vector<std::string> PositionalWords(const CLI::App& command) {
  for (const CLI::Option* option : OptionsOf(command)) {
    if (option->get_positional()) return ValuesOf(*option).words;
  }
  return {};
}

std::string Bash(const CLI::App& app) {
  std::string values, flags, positional;
  for (const CLI::App* command : CommandsOf(app)) {
    values += BashValues(*command, command->get_name());
    flags += fmt::format("    {}) flags={} ;;\n", command->get_name(), ShellWord(Joined(Flags(*command, app))));
  }
  for (const CLI::App* command : CommandsOf(app)) {
    const std::vector<std::string> words = PositionalWords(*command);
    if (!words.empty()) {
      positional +=
          fmt::format("      {}) _bitnet_parity_reply -W {} ;;\n", command->get_name(), ShellWord(Joined(words)));
    }
  }
  values += BashValues(app, "*");
  return fmt::format(R"(# Completion of bitnet-parity for bash, as `bitnet-parity completion bash` prints it.
_bitnet_parity_reply() {{
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$@" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
_bitnet_parity() {{
  local command= word previous=${{COMP_WORDS[COMP_CWORD-1]}} flags={1}
  local commands={0}
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    if [[ " $commands " == *" $word "* ]]; then command=$word; break; fi
  done
  case $command:$previous in
{2}  esac
  case $command in
{3}  esac
  if [[ -z $command ]]; then
    _bitnet_parity_reply -W "$commands $flags"
  elif [[ ${{COMP_WORDS[COMP_CWORD]}} == -* ]]; then
    _bitnet_parity_reply -W "$flags"
  else
    case $command in
{4}      *) _bitnet_parity_reply -f ;;
    esac
  fi
}}
complete -F _bitnet_parity bitnet-parity
)",
                     ShellWord(Joined(CommandNames(app))), ShellWord(Joined(Flags(app, app))), values, flags,
                     positional);
}

// In single quotes, where [ ] : and \ have a meaning for _arguments.
std::string ZshText(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += std::string(std::string_view("[]:\\").find(c) != std::string_view::npos ? "\\" : "") + c;
  return out;
}

std::string ZshOptions(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : OptionsOf(app)) {
    const Values values = ValuesOf(*option);
    for (const std::string& name : option->get_lnames()) {
      std::string spec = fmt::format("*--{}[{}]", name, ZshText(option->get_description()));
      if (!values.flag) {
        std::vector<std::string> words;
        for (const std::string& word : values.words) words.push_back(ZshText(word));
        spec += !words.empty()       ? fmt::format(":value:({})", fmt::join(words, " "))
                : values.directories ? ":directory:_files -/"
                : values.files       ? ":file:_files"
                                     : ":value:";
      }
      out += " \\\n        " + ShellWord(spec);
    }
  }
  return out;
}

std::string Zsh(const CLI::App& app) {
  std::string commands, cases;
  for (const CLI::App* command : CommandsOf(app)) {
    commands += "    " + ShellWord(ZshText(command->get_name()) + ":" + command->get_description()) + "\n";
    const std::vector<std::string> words = PositionalWords(*command);
    const std::string positional = words.empty() ? "*:file:_files" : fmt::format("1:value:({})", Joined(words));
    cases += fmt::format("      {}) _arguments{} $global {} ;;\n", command->get_name(), ZshOptions(*command),
                         ShellWord(positional));
  }
  return fmt::format(R"(#compdef bitnet-parity
# Completion of bitnet-parity for zsh, as `bitnet-parity completion zsh` prints it.
_bitnet_parity() {{
  local context state state_descr line
  typeset -A opt_args
  local -a commands=(
{0}  )
  local -a global=({1})
  _arguments -C $global ':command:->command' '*::argument:->arguments'
  case $state in
    command) _describe command commands ;;
    arguments)
      case $line[1] in
{2}      esac ;;
  esac
}}
if [[ $funcstack[1] == _bitnet-parity ]]; then _bitnet_parity "$@"; else compdef _bitnet_parity bitnet-parity; fi
)",
                     commands, ZshOptions(app), cases);
}

std::string FishOptions(const CLI::App& app, const std::string& condition) {
  std::string out;
  for (const CLI::Option* option : OptionsOf(app)) {
    const Values values = ValuesOf(*option);
    const std::string takes = values.flag             ? ""
                              : !values.words.empty() ? " -x -a " + ShellWord(Joined(values.words))
                              : values.directories    ? " -x -a '(__fish_complete_directories)'"
                              : values.files          ? " -r -F"
                                                      : " -x";
    for (const std::string& name : option->get_lnames()) {
      out += fmt::format("complete -c bitnet-parity{} -l {}{} -d {}\n", condition, name, takes,
                         ShellWord(option->get_description()));
    }
  }
  return out;
}

std::string Fish(const CLI::App& app) {
  std::string out =
      "# Completion of bitnet-parity for fish, as `bitnet-parity completion fish` prints it.\n" + FishOptions(app, "");
  for (const CLI::App* command : CommandsOf(app)) {
    out += fmt::format("complete -c bitnet-parity -n __fish_use_subcommand -f -a {} -d {}\n", command->get_name(),
                       ShellWord(command->get_description()));
    const std::string condition = fmt::format(" -n '__fish_seen_subcommand_from {}'", command->get_name());
    if (const std::vector<std::string> words = PositionalWords(*command); !words.empty()) {
      out += fmt::format("complete -c bitnet-parity{} -f -a {}\n", condition, ShellWord(Joined(words)));
    }
    out += FishOptions(*command, condition);
  }
  return out;
}

}  // namespace

void AddCompletionCommand(CLI::App& app, int& exit_code) {
  auto shell = std::make_shared<std::string>();
  Options options(app, "completion", "Print the completion of command lines for a shell");
  options.Add("shell", *shell, "bash, zsh or fish", {.words = {"bash", "zsh", "fish"}, .required = true});
  options.Run(exit_code, [shell, &app] {
    fmt::print("{}", *shell == "bash" ? Bash(app) : *shell == "zsh" ? Zsh(app) : Fish(app));
    return 0;
  });
}

}  // namespace parity
