// Options that subcommands share.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_COMMON_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_COMMON_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "parity_tests/judge/thresholds.h"

namespace parity {

// How an engine runs: --threads, --seed, --deterministic, --timeout, --cpu-variant, --n-ubatch; and the environment
// variables BITNET_SEED, BITNET_DETERMINISTIC, CROSSVAL_TIMEOUT_SECS, over which the flags win.
struct RunOptions {
  int threads = 0;  // 0: one if deterministic, else as many as the machine has
  uint64_t seed = 42;
  bool deterministic = false;
  int timeout_seconds = 0;  // 0: CROSSVAL_TIMEOUT_SECS, or 180
  std::string cpu_variant;

  void AddTo(CLI::App& command);
  int Threads() const;
  void ApplyTimeout() const;  // for the backends, which read CROSSVAL_TIMEOUT_SECS
};

// What judges: --profile, --threshold, --cos-tol, --thresholds.
struct ProfileOptions {
  std::string file;
  std::string name;  // empty: as the caller decides
  std::vector<std::string> thresholds;
  std::optional<double> cos_tol;

  void AddTo(CLI::App& command);
  // `otherwise`: the profile where --profile is not given. With every override.
  Profile Load(const std::string& otherwise) const;
};

// JSON with two spaces; bytes that are no UTF-8 become U+FFFD.
std::string DumpJson(const nlohmann::json& json);

// A line on standard error that the next one replaces; nothing where standard error is no terminal. Cleared at the end.
class Progress {
 public:
  ~Progress();
  void Show(const std::string& line);
};

// True where standard output is a terminal and NO_COLOR is not set.
bool ColorWanted();

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_COMMON_H_
