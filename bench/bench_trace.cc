// What tracing costs: one record, and decoding with and without it.
//
//   bench_trace                                   records alone
//   bench_trace --model 2b-4t.gguf --threads 2    decoding too: no sink, a sink that wants nothing, core, full
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/kernels/targets.h"
#include "engine/model/model.h"
#include "parity_tests/candidate/directory_sink.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

std::vector<float> SomeNumbers(size_t n) {
  std::vector<float> data(n);
  for (size_t i = 0; i < n; ++i) data[i] = static_cast<float>(i % 251) * 0.01f - 1.25f;
  return data;
}

// Hash, RMS and what describes the tensor; no file.
void BenchRecord(benchmark::State& state) {
  const std::vector<float> data = SomeNumbers(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(MakeTraceRecord(0, 3, "attn_norm", {static_cast<int64_t>(data.size())}, data));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * data.size() * sizeof(float)));
}

// The same and its .trace file; with a second argument of 1 its .npy too. Files are written a thousand at a time.
void BenchRecordFile(benchmark::State& state) {
  const std::vector<float> data = SomeNumbers(static_cast<size_t>(state.range(0)));
  constexpr int kRecords = 1000;
  const TemporaryDirectory root;
  int run = 0;
  for (auto _ : state) {
    TraceDirectory traces(fmt::format("{}/{}", root.path(), run++));
    for (int i = 0; i < kRecords; ++i) {
      traces.Add(i, 3, "attn_norm", {static_cast<int64_t>(data.size())}, data, state.range(1) != 0);
    }
    traces.Finish({});
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kRecords);
}

using Clock = std::chrono::steady_clock;
double Milliseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
}

// A directory's sink, and the time that is spent in it.
class TimedSink : public DirectorySink {
 public:
  using DirectorySink::DirectorySink;
  void OnTensor(const bitnet::TracedTensor& tensor) override {
    const Clock::time_point start = Clock::now();
    DirectorySink::OnTensor(tensor);
    milliseconds_ += Milliseconds(start);
  }
  double Take() { return std::exchange(milliseconds_, 0); }

 private:
  double milliseconds_ = 0;
};

// Each token at a position between 64 and 128. `spec` empty: no sink. The counter is the share of that time which the
// sink took: two runs of a shared machine differ by more than `core` costs.
void BenchDecode(benchmark::State& state, const bitnet::Model& model, size_t threads, const std::string& spec) {
  std::vector<float> logits(model.hyperparameters.n_vocab);
  std::vector<int32_t> prompt(64);
  for (size_t i = 0; i < prompt.size(); ++i) {
    prompt[i] = static_cast<int32_t>((i * 7919 + 13) % model.hyperparameters.n_vocab);
  }
  const TemporaryDirectory root;
  std::optional<TimedSink> sink;
  std::unique_ptr<bitnet::Context> context;
  int run = 0;
  double sink_ms = 0, total_ms = 0;
  for (auto _ : state) {
    if (context == nullptr || context->n_past() == context->n_ctx()) {
      state.PauseTiming();
      context.reset();
      // Records that still wait are dropped with their sink: writing them is not decoding.
      if (!spec.empty()) sink.emplace(spec, fmt::format("{}/{}", root.path(), run++), /*keep_raw=*/false);
      context = std::make_unique<bitnet::Context>(
          model, bitnet::ContextOptions{.n_ctx = 128, .threads = threads, .trace = sink ? &*sink : nullptr});
      context->Forward(prompt, bitnet::LogitsFor::kNone, {});
      if (sink) sink->Take();
      state.ResumeTiming();
    }
    const int32_t id = prompt[context->n_past() % prompt.size()];
    const Clock::time_point start = Clock::now();
    context->Forward({&id, 1}, bitnet::LogitsFor::kLast, logits);
    total_ms += Milliseconds(start);
    if (sink) sink_ms += sink->Take();
  }
  state.counters["sink_percent"] = 100 * sink_ms / total_ms;
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

int Run(int argc, char** argv) {
  std::string path;
  size_t threads = 1;
  CLI::App app("Cost of tracing; takes Google Benchmark's flags too");
  app.add_option("--model", path, "GGUF file");
  app.add_option("--threads", threads, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  benchmark::RegisterBenchmark("record", BenchRecord)->Arg(2560)->Arg(128256)->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("record_file", BenchRecordFile)
      ->Args({2560, 0})
      ->Args({2560, 1})
      ->Unit(benchmark::kMillisecond);
  std::optional<bitnet::Model> model;
  if (!path.empty()) {
    if (!bitnet::CpuIsSupported()) throw std::runtime_error("this CPU lacks AVX2 or FMA");
    model.emplace(bitnet::Model::Load(path));
    for (const auto& [name, spec] : std::vector<std::pair<std::string, std::string>>{
             {"no_sink", ""}, {"wants_nothing", "none"}, {"core", "core"}, {"full", "full"}}) {
      benchmark::RegisterBenchmark(
          fmt::format("decode/{}/threads:{}", name, threads).c_str(),
          [&model, threads, spec = spec](benchmark::State& s) { BenchDecode(s, *model, threads, spec); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  try {
    return parity::Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_trace: {}\n", error.what());
    return 2;
  }
}
