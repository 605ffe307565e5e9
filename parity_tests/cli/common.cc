#include "parity_tests/cli/common.h"

#include <fmt/format.h>
#include <unistd.h>

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

void ProfileOptions::AddTo(CLI::App& command) {
  file = PARITY_SOURCE_DIR "/fixtures/thresholds.json";
  command.add_option("--profile", name, "limits that judge: strict (default), cosine, exact");
  command.add_option("--threshold", thresholds, "one limit, as positions.mse=1e-5; may be repeated")
      ->expected(1)
      ->take_all();
  command.add_option("--cos-tol", cos_tol, "least cosine of the first logits and of every position");
  command.add_option("--thresholds", file, "file of profiles")->capture_default_str();
}

Profile ProfileOptions::Load(const std::string& otherwise) const {
  Profile profile = LoadProfile(file, name.empty() ? otherwise : name);
  for (const std::string& threshold : thresholds) Override(profile, threshold);
  if (cos_tol) OverrideCosine(profile, *cos_tol);
  return profile;
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

bool ColorWanted() { return isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr; }

}  // namespace parity
