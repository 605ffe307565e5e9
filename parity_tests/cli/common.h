// Options that subcommands share.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_COMMON_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_COMMON_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "parity_tests/cli/console.h"
#include "parity_tests/cli/options.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/engines.h"
#include "reference/capture/request.h"

namespace parity {

// How an engine runs: --threads, --seed, --deterministic, --timeout, --cpu-variant, --override-kv; and the environment
// variables BITNET_SEED, BITNET_DETERMINISTIC, CROSSVAL_TIMEOUT_SECS, over which the flags win.
struct RunOptions {
  int threads = 0;  // 0: see Threads
  uint64_t seed = 42;
  bool deterministic = false;
  int timeout_seconds = 0;  // 0: CROSSVAL_TIMEOUT_SECS, or 180
  std::string cpu_variant;
  std::vector<std::string> override_kv;
  std::string i2s_layout;

  void AddTo(Options& options);
  void AddNativeTo(Options& options);  // what the native engine alone takes: no --timeout, no --cpu-variant
  // As many as --threads says; else one if deterministic, or where the model's file is small: there the threads of
  // llama.cpp wait for each other in a loop most of the time, and for long if another program has the core. Else as
  // many as the machine has.
  int Threads(const std::string& model) const;
  void ApplyTimeout() const;  // for the backends, which read CROSSVAL_TIMEOUT_SECS
};

// Throws where --model names no file.
void CheckModel(const std::string& model);

// What judges: --profile, --threshold, --cos-tol, --thresholds.
void AddProfileOptions(Options& options, ProfileChoice& choice);

// --accept-known-faults.
void AddKnownFaultsOption(Options& options, bool& accept);

// A flag that puts a file in the place of a built-in one; empty without it.
void AddSettingsOption(Options& options, const char* flag, std::string& file, const char* help);

// --candidate and --reference, with the engines that there are in their help.
void AddCandidateOption(Options& options, std::string& spec, Which which = Which::kAll);
void AddReferenceOption(Options& options, std::string& spec, Which which = Which::kAll);

// What a user says of engines that show little: --text-begin, --text-end, --allow-remote, --logits-at,
// --cut-padded-head, --require-coverage.
struct ShownOptions {
  EngineOptions engine = {};
  bool cut_padded_head = false;
  std::vector<std::string> require_coverage = {};  // names of stages

  void AddTo(Options& options);
  std::vector<Rung> Required() const;
};

// --schedule batch|token, and with `both` that too.
void AddScheduleOption(Options& options, std::string& word, bool both = false);
std::vector<Schedule> SchedulesOf(const std::string& word);

// --format, one of these.
void AddFormatOption(Options& options, std::string& format, const std::vector<std::string>& formats);

// JSON with two spaces; bytes that are no UTF-8 become U+FFFD.
std::string DumpJson(const nlohmann::json& json);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_COMMON_H_
