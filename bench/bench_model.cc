// Tokens per second of a whole model: prompts as one batch, and decoding a token at a time.
//
//   bench_model --model 2b-4t.gguf --threads 2 --benchmark_repetitions=5
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/kernels/targets.h"
#include "engine/model/model.h"

namespace parity {
namespace {

// Ids spread over the vocabulary, the same ones each time.
std::vector<int32_t> SomeTokens(size_t n, uint32_t n_vocab) {
  std::vector<int32_t> ids(n);
  for (size_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>((i * 7919 + 13) % n_vocab);
  return ids;
}

void BenchPrompt(benchmark::State& state, const bitnet::Model& model, size_t threads, size_t n) {
  const std::vector<int32_t> ids = SomeTokens(n, model.hyperparameters.n_vocab);
  std::vector<float> logits(model.hyperparameters.n_vocab);
  for (auto _ : state) {
    state.PauseTiming();
    auto context = std::make_unique<bitnet::Context>(model, bitnet::ContextOptions{.n_ctx = n, .threads = threads});
    state.ResumeTiming();
    context->Forward(ids, bitnet::LogitsFor::kLast, logits);
    state.PauseTiming();
    context.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * n));
}

// Each token at a position between 64 and 128.
void BenchDecode(benchmark::State& state, const bitnet::Model& model, size_t threads) {
  const std::vector<int32_t> prompt = SomeTokens(64, model.hyperparameters.n_vocab);
  std::vector<float> logits(model.hyperparameters.n_vocab);
  std::unique_ptr<bitnet::Context> context;
  for (auto _ : state) {
    if (context == nullptr || context->n_past() == context->n_ctx()) {
      state.PauseTiming();
      context = std::make_unique<bitnet::Context>(model, bitnet::ContextOptions{.n_ctx = 128, .threads = threads});
      context->Forward(prompt, bitnet::LogitsFor::kNone, {});
      state.ResumeTiming();
    }
    const int32_t id = prompt[context->n_past() % prompt.size()];
    context->Forward({&id, 1}, bitnet::LogitsFor::kLast, logits);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

int Run(int argc, char** argv) {
  std::string path;
  size_t threads = std::max(1u, std::thread::hardware_concurrency());
  std::vector<size_t> prompts = {64, 256};
  CLI::App app("Tokens per second (items_per_second) of a model; takes Google Benchmark's flags too");
  app.option_defaults()->always_capture_default();
  app.add_option("--model", path, "GGUF file")->required();
  app.add_option("--threads", threads, "Threads")->check(CLI::Range(1, 1024));
  app.add_option("--prompt", prompts, "Lengths of the prompts, in tokens")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const bitnet::Model model = bitnet::Model::Load(path);
  benchmark::AddCustomContext("simd", bitnet::TargetName());
  benchmark::AddCustomContext("model", path);
  for (const size_t n : prompts) {
    benchmark::RegisterBenchmark(fmt::format("prompt/{}/threads:{}", n, threads).c_str(),
                                 [&model, threads, n](benchmark::State& s) { BenchPrompt(s, model, threads, n); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark(fmt::format("decode/threads:{}", threads).c_str(),
                               [&model, threads](benchmark::State& s) { BenchDecode(s, model, threads); })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
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
    fmt::print(stderr, "bench_model: {}\n", error.what());
    return 2;
  }
}
