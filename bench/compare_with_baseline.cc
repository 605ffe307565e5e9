// compare_with_baseline BASELINE.json CURRENT.json [--threshold 1.10]
// Exit codes: 0 nothing is slower than the threshold allows, 1 something is, 2 error.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "bench/baseline.h"

namespace {

int Run(int argc, char** argv) {
  std::string baseline, current;
  double threshold = 1.10;
  CLI::App app("Compares two runs of Google Benchmark, each benchmark by the fastest of its repetitions");
  app.option_defaults()->always_capture_default();
  app.add_option("baseline", baseline, "JSON file of the run to compare with")->required();
  app.add_option("current", current, "JSON file of the run to judge")->required();
  app.add_option("--threshold", threshold, "Slower than this many times the baseline is a regression")
      ->check(CLI::Range(1.0, 1e6));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const parity::BaselineComparison c =
      parity::CompareWithBaseline(parity::ReadBenchmarkTimes(baseline), parity::ReadBenchmarkTimes(current));
  if (c.ratios.empty()) {
    throw std::runtime_error(fmt::format("{} and {} have no benchmark in common", baseline, current));
  }
  size_t regressions = 0;
  fmt::print("{:>8} {:>14} {:>14}  benchmark\n", "ratio", "baseline us", "current us");
  for (const parity::BenchmarkRatio& r : c.ratios) {
    const bool slower = r.ratio > threshold;
    regressions += slower;
    fmt::print("{:8.3f} {:14.2f} {:14.2f}  {}{}\n", r.ratio, r.baseline_ns / 1e3, r.current_ns / 1e3, r.name,
               slower                    ? "  SLOWER"
               : r.ratio < 1 / threshold ? "  faster"
                                         : "");
  }
  for (const std::string& name : c.only_in_baseline) fmt::print("       -  only in the baseline: {}\n", name);
  for (const std::string& name : c.only_in_current) fmt::print("       -  not in the baseline: {}\n", name);
  fmt::print("{} compared, {} slower than {} times the baseline\n", c.ratios.size(), regressions, threshold);
  return regressions == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "compare_with_baseline: {}\n", error.what());
    return 2;
  }
}
