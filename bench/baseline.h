// Two runs of Google Benchmark, compared. Noise only ever makes a run slower, so each benchmark counts with the fastest
// of its repetitions.
#ifndef BITNET_PARITY_BENCH_BASELINE_H_
#define BITNET_PARITY_BENCH_BASELINE_H_

#include <map>
#include <string>
#include <vector>

namespace parity {

// Nanoseconds of one iteration (real time) by benchmark name, the minimum over repetitions, from the file that
// --benchmark_out=FILE writes. Throws std::runtime_error naming file and field if it is not such a file, if a benchmark
// reported an error, or if it holds no benchmark.
std::map<std::string, double> ReadBenchmarkTimes(const std::string& path);

struct BenchmarkRatio {
  std::string name;
  double baseline_ns;
  double current_ns;
  double ratio;  // current / baseline: above 1 is slower
};

struct BaselineComparison {
  std::vector<BenchmarkRatio> ratios;  // those in both runs, by name
  std::vector<std::string> only_in_baseline;
  std::vector<std::string> only_in_current;
};

BaselineComparison CompareWithBaseline(const std::map<std::string, double>& baseline,
                                       const std::map<std::string, double>& current);

}  // namespace parity

#endif  // BITNET_PARITY_BENCH_BASELINE_H_
