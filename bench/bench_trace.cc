// What tracing costs: one record, and decoding with and without it.
//
//   bench_trace                                   records alone
//   bench_trace --model 2b-4t.gguf --threads 2    decoding too: no sink, a sink that wants nothing, core, full
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/kernels/targets.h"
#include "engine/model/model.h"
#include "parity_tests/harness/capture_sink.h"
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
      traces.Add(i, 3, Point::kAttnNorm, {static_cast<int64_t>(data.size())}, data, state.range(1) != 0);
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

struct Decoder {
  std::unique_ptr<TimedSink> sink;
  std::unique_ptr<bitnet::Context> context;
  std::vector<double> token_ms;
  double sink_ms = 0;
};

double Median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// The same tokens with each of the sinks, which take turns at every token: what the machine does beside meets all.
void CompareDecoding(const bitnet::Model& model, size_t threads, int rounds) {
  constexpr size_t kPrompt = 64, kDecoded = 64;
  std::vector<float> logits(model.hyperparameters.n_vocab);
  std::vector<int32_t> prompt(kPrompt);
  for (size_t i = 0; i < prompt.size(); ++i) {
    prompt[i] = static_cast<int32_t>((i * 7919 + 13) % model.hyperparameters.n_vocab);
  }
  std::vector<Decoder> decoders(4);
  const std::vector<std::string> specs = {"", "none", "core", "full"};
  const TemporaryDirectory root;
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < decoders.size(); ++i) {
      Decoder& d = decoders[i];
      d.context.reset();
      // Records that still wait are dropped with their sink: writing them is not decoding.
      if (!specs[i].empty()) {
        d.sink = std::make_unique<TimedSink>(specs[i], fmt::format("{}/{}.{}", root.path(), specs[i], round), false);
      }
      d.context = std::make_unique<bitnet::Context>(
          model, bitnet::ContextOptions{.n_ctx = kPrompt + kDecoded, .threads = threads, .trace = d.sink.get()});
      d.context->Forward(prompt, bitnet::LogitsFor::kNone, {});
      if (d.sink) d.sink->Take();
    }
    for (size_t token = 0; token < kDecoded; ++token) {
      for (Decoder& d : decoders) {
        const Clock::time_point start = Clock::now();
        d.context->Forward({&prompt[token], 1}, bitnet::LogitsFor::kLast, logits);
        d.token_ms.push_back(Milliseconds(start));
        if (d.sink) d.sink_ms += d.sink->Take();
      }
    }
  }
  fmt::print("| decoding | ms a token | to no sink | in the sink |\n| --- | --- | --- | --- |\n");
  for (size_t i = 0; i < decoders.size(); ++i) {
    const Decoder& d = decoders[i];
    // Turn by turn against the token without a sink just before.
    std::vector<double> ratios;
    double total_ms = 0;
    for (size_t t = 0; t < d.token_ms.size(); ++t) {
      ratios.push_back(d.token_ms[t] / decoders[0].token_ms[t]);
      total_ms += d.token_ms[t];
    }
    fmt::print("| {} | {:.1f} | {:.3f} | {:.2f} % |\n",
               i == 0   ? "no sink"
               : i == 1 ? "wants nothing"
                        : specs[i],
               Median(d.token_ms), Median(ratios), 100 * d.sink_ms / total_ms);
  }
}

int Run(int argc, char** argv) {
  std::string path;
  size_t threads = 1;
  int rounds = 5;
  CLI::App app("Cost of tracing; takes Google Benchmark's flags too");
  app.add_option("--model", path, "GGUF file");
  app.add_option("--threads", threads, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--rounds", rounds, "Rounds of 64 tokens")->check(CLI::Range(1, 1000))->capture_default_str();
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
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  if (!path.empty()) {
    CompareDecoding(bitnet::Model::Load(path), threads, rounds);
  }
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
