#include "parity_tests/cli/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

namespace parity {

void RunOptions::AddTo(Options& options) {
  AddNativeTo(options);
  options.Add("--timeout", timeout_seconds, "seconds that one run of an engine may take (180)",
              {.range = {{1, 86400}}, .show_default = false, .environment = "CROSSVAL_TIMEOUT_SECS"});
  options.Add("--cpu-variant", cpu_variant, "build of the reference's kernels to use, as zen4 or haswell");
}

void RunOptions::AddNativeTo(Options& options) {
  options.Add("--threads", threads,
              "threads of each engine; 0: as many as the machine has, and one for a model below 64 MiB",
              {.range = {{0, 1024}}, .show_default = false});
  options.Add("--seed", seed, "seed given to the engines (greedy decoding does not use it)",
              {.show_default = false, .environment = "BITNET_SEED"});
  options.Flag("--deterministic", deterministic, "one thread, unless --threads says otherwise", "BITNET_DETERMINISTIC");
  options.Add(
      "--override-kv", override_kv,
      "KEY=TYPE:VALUE in place of what the model's file says, for both engines; TYPE is int, float, bool or str; "
      "may be repeated, or several with commas",
      {.commas = true});
  options.Add(
      "--i2s-layout", i2s_layout,
      "how the native engine reads I2_S weights: x86 (without it), arm, neighbours, neighbours-low or four-rows; "
      "with /0+- behind it where the codes 0, 1, 2 mean that");
}

int RunOptions::Threads(const std::string& model) const {
  if (threads > 0) return threads;
  constexpr uintmax_t kSmall = 64 << 20;
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(model, error);
  return deterministic || (!error && bytes < kSmall)
             ? 1
             : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

void CheckModel(const std::string& model) {
  if (std::filesystem::is_regular_file(model)) return;
  throw std::runtime_error(fmt::format("--model: {}: {}, expected a GGUF file", model,
                                       std::filesystem::exists(model) ? "no regular file" : "no such file"));
}

void RunOptions::ApplyTimeout() const {
  if (timeout_seconds > 0) setenv("CROSSVAL_TIMEOUT_SECS", std::to_string(timeout_seconds).c_str(), 1);
}

void AddProfileOptions(Options& options, ProfileChoice& choice) {
  options.Add("--profile", choice.name,
              "limits that judge: strict (default; cosine for an engine that shows text alone), cosine, exact");
  options.Add("--threshold", choice.thresholds, "one limit, as positions.mse=1e-5; may be repeated");
  options.Add("--cos-tol", choice.cos_tol, "least cosine of the first logits and of every position");
  AddSettingsOption(options, "--thresholds", choice.file, "file of profiles");
}

void AddKnownFaultsOption(Options& options, bool& accept) {
  options.Flag("--accept-known-faults", accept,
               "where the reference has a fault that is known of its version, judge the candidate beside it");
}

void AddSettingsOption(Options& options, const char* flag, std::string& file, const char* help) {
  options.Add(flag, file, std::string(help) + "; without it the built-in one", {.show_default = false});
}

void AddCandidateOption(Options& options, std::string& spec, Which which) {
  options.Add("--candidate", spec, "engine under test: " + EngineHelp(which), {.value = "ENGINE"});
}

void AddReferenceOption(Options& options, std::string& spec, Which which) {
  options.Add("--reference", spec, EngineHelp(which), {.value = "ENGINE"});
}

void ShownOptions::AddTo(Options& options) {
  options.Add("--text-begin", engine.text_begin,
              "of text:COMMAND: a regular expression; the answer begins behind its first match (else behind the prompt "
              "where the program repeats it)");
  options.Add("--text-end", engine.text_end, "of text:COMMAND: a regular expression; the answer ends before its match");
  options.Flag("--allow-remote", engine.allow_remote, "of http://...: a server on another machine may get the prompt");
  options.Add("--logits-at", engine.logits_at,
              "of npy:FILE: the prompt positions of its rows: first, last, or one for each row, as 0,4,-1");
  options.Flag("--cut-padded-head", cut_padded_head,
               "where the candidate's logits are more than the reference's, cut them to its number");
  options.Add("--require-coverage", require_coverage,
              "stages that must be judged, with commas: an engine that does not show what they compare is an error",
              {.commas = true});
}

std::vector<Rung> ShownOptions::Required() const {
  std::vector<Rung> rungs;
  for (const std::string& name : require_coverage) rungs.push_back(RungFromName(name));
  return rungs;
}

void AddScheduleOption(Options& options, std::string& word, bool both) {
  if (both) {
    options.Add("--schedule", word, "the prompt as one batch, a token at a time, or both",
                {.words = {"batch", "token", "both"}});
  } else {
    options.Add("--schedule", word, "the prompt as one batch or a token at a time", {.words = {"batch", "token"}});
  }
}

std::vector<Schedule> SchedulesOf(const std::string& word) {
  std::vector<Schedule> schedules;
  if (word != "token") schedules.push_back(Schedule::kBatch);
  if (word != "batch") schedules.push_back(Schedule::kTokenByToken);
  return schedules;
}

void AddFormatOption(Options& options, std::string& format, const std::vector<std::string>& formats) {
  std::string help;
  for (size_t i = 0; i < formats.size(); ++i) {
    help += (i == 0 ? "" : i + 1 == formats.size() ? " or " : ", ") + formats[i];
  }
  options.Add("--format", format, help, {.words = formats});
}

std::string DumpJson(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace parity
