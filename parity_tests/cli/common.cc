#include "parity_tests/cli/common.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

namespace parity {

void RunOptions::AddTo(CLI::App& command) {
  command.add_option("--threads", threads, "threads of each engine; 0: as many as the machine has")
      ->check(CLI::Range(0, 1024));
  command.add_option("--seed", seed, "seed given to the engines (greedy decoding does not use it)")
      ->envname("BITNET_SEED");
  command.add_flag("--deterministic", deterministic, "one thread, unless --threads says otherwise")
      ->envname("BITNET_DETERMINISTIC");
  command.add_option("--timeout", timeout_seconds, "seconds that one run of an engine may take (180)")
      ->envname("CROSSVAL_TIMEOUT_SECS")
      ->check(CLI::Range(1, 86400));
  command.add_option("--cpu-variant", cpu_variant, "build of the reference's kernels to use, as zen4 or haswell");
}

int RunOptions::Threads() const {
  if (threads > 0) return threads;
  return deterministic ? 1 : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

void RunOptions::ApplyTimeout() const {
  if (timeout_seconds > 0) setenv("CROSSVAL_TIMEOUT_SECS", std::to_string(timeout_seconds).c_str(), 1);
}

void AddProfileOptions(CLI::App& command, ProfileChoice& choice) {
  command.add_option("--profile", choice.name, "limits that judge: strict (default), cosine, exact");
  command.add_option("--threshold", choice.thresholds, "one limit, as positions.mse=1e-5; may be repeated")
      ->expected(1)
      ->take_all();
  command.add_option("--cos-tol", choice.cos_tol, "least cosine of the first logits and of every position");
  AddSettingsOption(command, "--thresholds", choice.file, "file of profiles");
}

void AddSettingsOption(CLI::App& command, const char* flag, std::string& file, const char* help) {
  command.add_option(flag, file, std::string(help) + "; without it the built-in one");
}

void AddCandidateOption(CLI::App& command, std::string& spec, Which which) {
  command.add_option("--candidate", spec, "engine under test: " + EngineHelp(which))->capture_default_str();
}

void AddReferenceOption(CLI::App& command, std::string& spec, Which which) {
  command.add_option("--reference", spec, EngineHelp(which))->capture_default_str();
}

void AddScheduleOption(CLI::App& command, std::string& word, bool both) {
  command
      .add_option(
          "--schedule", word,
          both ? "the prompt as one batch, a token at a time, or both" : "the prompt as one batch or a token at a time")
      ->check(CLI::IsMember(both ? std::vector<std::string>{"batch", "token", "both"}
                                 : std::vector<std::string>{"batch", "token"}))
      ->capture_default_str();
}

std::vector<Schedule> SchedulesOf(const std::string& word) {
  std::vector<Schedule> schedules;
  if (word != "token") schedules.push_back(Schedule::kBatch);
  if (word != "batch") schedules.push_back(Schedule::kTokenByToken);
  return schedules;
}

void AddFormatOption(CLI::App& command, std::string& format, std::initializer_list<const char*> formats) {
  std::string help;
  for (const char* const* name = formats.begin(); name != formats.end(); ++name) {
    help += (name == formats.begin() ? "" : name + 1 == formats.end() ? " or " : ", ") + std::string(*name);
  }
  command.add_option("--format", format, help)
      ->check(CLI::IsMember(std::vector<std::string>(formats.begin(), formats.end())))
      ->capture_default_str();
}

std::string DumpJson(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Progress::~Progress() { Show(""); }

void Progress::Show(const std::string& line) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  if (!terminal) return;
  fmt::print(stderr, "\r\x1b[K{}", line);
  std::fflush(stderr);
}

bool ColorWanted() {
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

}  // namespace parity
