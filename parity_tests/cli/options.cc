#include "parity_tests/cli/options.h"

#include <CLI/CLI.hpp>

namespace parity {
namespace {

template <typename T>
CLI::Option* AddOption(CLI::App& command, const std::string& names, T& value, const std::string& help,
                       const Rules& rules) {
  CLI::Option* option = command.add_option(names, value, help);
  if (!rules.words.empty()) option->check(CLI::IsMember(rules.words));
  if (rules.range) option->check(CLI::Range(rules.range->first, rules.range->second));
  if (rules.at_least) option->check(*rules.at_least == 0 ? CLI::NonNegativeNumber : CLI::PositiveNumber);
  if (!rules.environment.empty()) option->envname(rules.environment);
  if (!rules.excludes.empty()) option->excludes(command.get_option(rules.excludes));
  if (rules.show_default && !rules.required && rules.without_value.empty()) option->capture_default_str();
  if (!rules.without_value.empty()) option->expected(0, 1)->default_str(rules.without_value);
  return option->required(rules.required);
}

}  // namespace

Options::Options(CLI::App& app, const std::string& name, const std::string& what)
    : command_(app.add_subcommand(name, what)) {}

void Options::Add(const std::string& names, std::string& value, const std::string& help, const Rules& rules) {
  AddOption(*command_, names, value, help, rules);
}
void Options::Add(const std::string& names, int& value, const std::string& help, const Rules& rules) {
  AddOption(*command_, names, value, help, rules);
}
void Options::Add(const std::string& names, uint64_t& value, const std::string& help, const Rules& rules) {
  AddOption(*command_, names, value, help, rules);
}
void Options::Add(const std::string& names, float& value, const std::string& help, const Rules& rules) {
  AddOption(*command_, names, value, help, rules);
}
void Options::Add(const std::string& names, std::optional<std::string>& value, const std::string& help,
                  const Rules& rules) {
  AddOption(*command_, names, value, help, rules);
}
void Options::Add(const std::string& names, std::optional<double>& value, const std::string& help, const Rules& rules) {
  AddOption(*command_, names, value, help, rules);
}
void Options::Add(const std::string& names, std::vector<std::string>& values, const std::string& help,
                  const Rules& rules) {
  CLI::Option* option = command_->add_option(names, values, help)->expected(1)->take_all();
  if (rules.commas) option->delimiter(',');
  if (rules.show_default && !values.empty()) option->capture_default_str();
}
void Options::Files(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  command_->add_option(name, values, help)->required();
}
void Options::Add(const std::string& names, std::vector<int32_t>& values, const std::string& help, const Rules& rules) {
  CLI::Option* option = command_->add_option(names, values, help)->delimiter(',');
  if (!rules.excludes.empty()) option->excludes(command_->get_option(rules.excludes));
}

void Options::Flag(const std::string& names, bool& value, const std::string& help, const std::string& environment) {
  CLI::Option* flag = command_->add_flag(names, value, help);
  if (!environment.empty()) flag->envname(environment);
}

void Options::Run(int& exit_code, std::function<int()> run) {
  command_->callback([&exit_code, run = std::move(run)] { exit_code = run(); });
}

}  // namespace parity
