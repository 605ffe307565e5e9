#include "parity_tests/cli/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>

#include "parity_tests/cli/console.h"
#include "parity_tests/cli/shell_word.h"
#include "reference/capture/suggest.h"

namespace parity {
namespace {

// The whole of `text`, as no option's conversion does it: no sign in front of an unsigned number, no overflow.
template <typename T>
std::optional<T> Parse(const std::string& text) {
  T value = {};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || text.empty()) return std::nullopt;
  return value;
}

// A number of type T within the rules.
template <typename T>
CLI::Validator NumberOf(const Rules& rules) {
  constexpr bool kWhole = std::is_integral_v<T>;
  const T least = rules.range      ? static_cast<T>(rules.range->first)
                  : rules.at_least ? static_cast<T>(*rules.at_least)
                                   : std::numeric_limits<T>::lowest();
  const T most = rules.range ? static_cast<T>(rules.range->second) : std::numeric_limits<T>::max();
  std::string range = rules.range      ? fmt::format("{} to {}", least, most)
                      : rules.at_least ? fmt::format(">= {}", least)
                                       : "";
  const std::string expected = fmt::format("expected a {}number{}", kWhole ? "whole " : "",
                                           !range.empty() ? " " + (rules.range ? "from " + range : range)
                                           : kWhole && std::is_unsigned_v<T> ? fmt::format(" from 0 to {}", most)
                                           : kWhole && least != T(0) ? fmt::format(" from {} to {}", least, most)
                                                                     : "");
  const auto check = [=](std::string& text) -> std::string {
    const std::optional<T> value = Parse<T>(text);
    if (value && *value >= least && *value <= most) return "";  // a NaN is neither
    return fmt::format("found '{}', {}", text, expected);
  };
  return {check, range};
}

CLI::Validator OneOf(const std::vector<std::string>& words) {
  const auto check = [words](std::string& text) -> std::string {
    if (std::find(words.begin(), words.end(), text) != words.end()) return "";
    return fmt::format("found '{}', expected {}{}", text, fmt::join(words, ", "), DidYouMean(text, words));
  };
  return {check, fmt::format("{{{}}}", fmt::join(words, ","))};
}

template <typename T>
struct Inner {
  using type = T;
};
template <typename T>
struct Inner<std::optional<T>> {
  using type = T;
};
template <typename T>
struct Inner<std::vector<T>> {
  using type = T;
};

template <typename T>
CLI::Option* AddOption(CLI::App& command, const std::string& names, T& value, const std::string& help,
                       const Rules& rules) {
  CLI::Option* option = command.add_option(names, value, help);
  if (!rules.words.empty()) option->check(OneOf(rules.words));
  if constexpr (std::is_arithmetic_v<typename Inner<T>::type>) {
    option->check(NumberOf<typename Inner<T>::type>(rules));
  }
  if (!rules.environment.empty()) option->envname(rules.environment);
  if (!rules.excludes.empty()) option->excludes(command.get_option(rules.excludes));
  if (!rules.value.empty()) option->type_name(rules.value);
  if constexpr (std::is_same_v<T, typename Inner<T>::type>) {
    if (rules.show_default && !rules.required && rules.without_value.empty()) option->capture_default_str();
  }
  if (!rules.without_value.empty()) option->expected(0, 1)->default_str(rules.without_value);
  return option->required(rules.required);
}

}  // namespace

Options::Options(CLI::App& app, const std::string& name, const std::string& what)
    : command_(app.add_subcommand(name, what)) {
  command_->fallthrough();  // --output and what else every command takes
}

void Options::Alias(const std::string& name) { command_->alias(name); }

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
  CLI::Option* option = AddOption(*command_, names, values, help, rules)->expected(1)->take_all();
  if (rules.commas) option->delimiter(',');
  if (rules.show_default && !values.empty()) option->capture_default_str();
}
void Options::Files(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  command_->add_option(name, values, help)->required();
}
void Options::Add(const std::string& names, std::vector<int32_t>& values, const std::string& help, const Rules& rules) {
  AddOption(*command_, names, values, help, rules)->delimiter(',');
}

void Options::Flag(const std::string& names, bool& value, const std::string& help, const std::string& environment) {
  CLI::Option* flag = command_->add_flag(names, value, help);
  if (!environment.empty()) flag->envname(environment);
}

std::function<std::string()> Options::GivenWithout(std::vector<std::string> names) const {
  return [command = command_, names = std::move(names)] {
    std::string given;
    for (const CLI::Option* option : command->get_options()) {
      const std::string name = option->get_name();
      if (option->count() == 0 || std::find(names.begin(), names.end(), name) != names.end()) continue;
      const bool flag = option->get_expected_max() == 0;
      for (const std::string& value : option->results()) given += " " + name + (flag ? "" : " " + ShellWord(value));
    }
    return given;
  };
}

void Options::Run(int& exit_code, std::function<int()> run) {
  command_->callback([&exit_code, run = std::move(run)] { exit_code = RunWithOutput(run); });
}

}  // namespace parity
