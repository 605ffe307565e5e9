// A subcommand and its options. Over CLI11, whose header takes longer to compile than a command of ours.
//
//   Options options(app, "noise", "How far a reference is from itself");
//   options.Add("--reference", command->reference, "an engine");       // what it holds is the default
//   options.Add("--max-tokens", command->max_tokens, "greedy tokens", {.at_least = 0});
//   options.Flag("--raw", command->raw, "raw tensors must be there");
//   options.Run(exit_code, [command] { return Run(*command); });
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_OPTIONS_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace parity {

struct Rules {
  std::vector<std::string> words = {};            // the only values that it takes
  std::optional<std::pair<int, int>> range = {};  // of a number
  std::optional<int> at_least = {};               // of a number: 0 or 1
  bool required = false;
  bool commas = false;             // of texts: one value may be several, separated by commas
  bool show_default = true;        // in the help
  std::string environment = {};    // a variable of the same meaning; the flag wins
  std::string excludes = {};       // an option that may not stand beside it
  std::string value = {};          // what it takes, in the help and for completion: FILE, DIR, ENGINE
  std::string without_value = {};  // of a text: what the option alone means
};

class Options {
 public:
  Options(CLI::App& app, const std::string& name, const std::string& what);

  void Alias(const std::string& name);  // another name of the command

  // `names`: "--model", "model,--model", "--dump-ref-ids,--dump-cpp-ids".
  void Add(const std::string& names, std::string& value, const std::string& help, const Rules& rules = {});
  void Add(const std::string& names, int& value, const std::string& help, const Rules& rules = {});
  void Add(const std::string& names, uint64_t& value, const std::string& help, const Rules& rules = {});
  void Add(const std::string& names, float& value, const std::string& help, const Rules& rules = {});
  void Add(const std::string& names, std::optional<std::string>& value, const std::string& help,
           const Rules& rules = {});
  void Add(const std::string& names, std::optional<double>& value, const std::string& help, const Rules& rules = {});
  // May be given more than once.
  void Add(const std::string& names, std::vector<std::string>& values, const std::string& help,
           const Rules& rules = {});
  // Files or folders that stand without a flag, at least one.
  void Files(const std::string& name, std::vector<std::string>& values, const std::string& help);
  // Separated by commas.
  void Add(const std::string& names, std::vector<int32_t>& values, const std::string& help, const Rules& rules = {});
  void Flag(const std::string& names, bool& value, const std::string& help, const std::string& environment = "");

  // What stands on the command line, as words of a shell, but for these options: " --model 'a.gguf' --threads '2'". To
  // be asked when the command runs. An option that an environment variable gave is there too.
  std::function<std::string()> GivenWithout(std::vector<std::string> names) const;

  // What the command does; `exit_code` takes what it returns.
  void Run(int& exit_code, std::function<int()> run);

 private:
  CLI::App* command_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_OPTIONS_H_
