#include "bench/baseline.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace parity {
namespace {

double NanosecondsIn(const std::string& path, const std::string& name, const std::string& unit) {
  if (unit == "ns") return 1;
  if (unit == "us") return 1e3;
  if (unit == "ms") return 1e6;
  if (unit == "s") return 1e9;
  throw std::runtime_error(fmt::format("{}: {}: time_unit: found '{}', expected ns, us, ms or s", path, name, unit));
}

// The entry of one repetition; nothing for means, medians and deviations.
void AddRepetition(const std::string& path, const nlohmann::json& entry, std::map<std::string, double>& times) {
  if (entry.value("run_type", "iteration") != "iteration") return;
  const std::string name = entry.at(entry.contains("run_name") ? "run_name" : "name").get<std::string>();
  if (entry.value("error_occurred", false)) {
    throw std::runtime_error(fmt::format("{}: {} failed: {}", path, name, entry.value("error_message", "no message")));
  }
  const double ns = entry.at("real_time").get<double>() * NanosecondsIn(path, name, entry.at("time_unit"));
  if (!(ns > 0) || !std::isfinite(ns)) {
    throw std::runtime_error(fmt::format("{}: {}: real_time: found {}, expected a positive number", path, name,
                                         entry.at("real_time").dump()));
  }
  const auto [at, is_new] = times.emplace(name, ns);
  if (!is_new) at->second = std::min(at->second, ns);
}

}  // namespace

std::map<std::string, double> ReadBenchmarkTimes(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error(fmt::format("{}: cannot be opened", path));
  std::map<std::string, double> times;
  try {
    const nlohmann::json root = nlohmann::json::parse(in);
    for (const nlohmann::json& entry : root.at("benchmarks")) AddRepetition(path, entry, times);
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(
        fmt::format("{}: is not a file that --benchmark_out_format=json writes: {}", path, error.what()));
  }
  if (times.empty()) {
    throw std::runtime_error(fmt::format("{}: benchmarks: found none, expected at least one; see the filter", path));
  }
  return times;
}

BaselineComparison CompareWithBaseline(const std::map<std::string, double>& baseline,
                                       const std::map<std::string, double>& current) {
  BaselineComparison result;
  for (const auto& [name, ns] : baseline) {
    const auto at = current.find(name);
    if (at == current.end()) {
      result.only_in_baseline.push_back(name);
    } else {
      result.ratios.push_back({name, ns, at->second, at->second / ns});
    }
  }
  for (const auto& [name, ns] : current) {
    if (!baseline.contains(name)) result.only_in_current.push_back(name);
  }
  return result;
}

}  // namespace parity
