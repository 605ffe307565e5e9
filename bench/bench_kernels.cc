// Every kernel at the shapes of BitNet b1.58 2B-4T: 2560 wide, 6912 in the feed-forward part, 20 query heads and 5 key
// heads of 128.
//
//   bench_kernels --benchmark_filter='matmul/TQ2_0/.*threads:2'
//
// items/s are multiply-adds (products, attention) or elements (the others), bytes/s those of the weights.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/formats/codec.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/order.h"
#include "engine/kernels/rms_norm.h"
#include "engine/kernels/rope.h"
#include "engine/kernels/targets.h"

namespace parity {
namespace {

using bitnet::ActivationKind;
using bitnet::TensorType;

constexpr size_t kEmbd = 2560;
constexpr size_t kFf = 6912;
constexpr size_t kHeads = 20;
constexpr size_t kHeadsKv = 5;
constexpr size_t kHeadDim = 128;

std::vector<float> RandomFloats(size_t n, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& v : x) v = normal(generator);
  return x;
}

const bitnet::ArithmeticOrder& OrderFor(TensorType type) {
  return bitnet::FindOrder(type == TensorType::kI2_S ? "bitnet.cpp-avx512" : "llama.cpp-avx512");
}

// One position reads each weight once: only a matrix that is not in the cache tells what a token costs.
constexpr size_t kBeyondCaches = size_t{256} << 20;

std::vector<std::byte> EncodedWeights(TensorType type, size_t rows, size_t cols) {
  std::mt19937 generator(7);
  if (!bitnet::FormatOf(type).holds_ternary()) {
    std::vector<std::byte> data(bitnet::TensorBytes(type, rows, cols));
    bitnet::QuantizeTensor(type, RandomFloats(rows * cols, 7), rows, cols, data);
    return data;
  }
  bitnet::TernaryTensor tensor{.rows = rows, .cols = cols, .scale = 0.0625f, .codes = {}};
  tensor.codes.resize(rows * cols);
  for (int8_t& code : tensor.codes) code = static_cast<int8_t>(generator() % 3) - 1;
  return bitnet::EncodeTernary(type, tensor);
}

void BenchMatMul(benchmark::State& state, TensorType type, size_t rows, size_t cols) {
  const size_t n = state.range(0);
  bitnet::ThreadPool pool(state.range(1));
  const std::vector<std::byte> encoded = EncodedWeights(type, rows, cols);
  const size_t copies = n > 1 ? 1 : kBeyondCaches / encoded.size() + 1;
  std::vector<std::byte> weights;
  weights.reserve(copies * encoded.size());
  for (size_t i = 0; i < copies; ++i) weights.insert(weights.end(), encoded.begin(), encoded.end());

  const bitnet::ArithmeticOrder& order = OrderFor(type);
  const std::vector<float> x = RandomFloats(n * cols, 1);
  std::vector<float> y(n * rows);
  bitnet::WeightMatrix w{
      .type = type, .rows = rows, .cols = cols, .data = nullptr, .scale = bitnet::TensorScale(type, encoded)};
  bitnet::Activations activations;
  activations.Prepare(x.data(), n, cols, bitnet::ActivationKindFor(w, n, order), pool);
  size_t copy = 0;
  for (auto _ : state) {
    w.data = weights.data() + copy * encoded.size();
    bitnet::MatMul(w, activations, order, y.data(), pool);
    benchmark::DoNotOptimize(y.data());
    copy = copy + 1 == copies ? 0 : copy + 1;
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * n * rows * cols));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * encoded.size()));
}

void BenchPrepare(benchmark::State& state, ActivationKind kind, size_t cols) {
  const size_t n = state.range(0);
  bitnet::ThreadPool pool(1);
  const std::vector<float> x = RandomFloats(n * cols, 2);
  bitnet::Activations activations;
  for (auto _ : state) {
    activations.Prepare(x.data(), n, cols, kind, pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * n * cols));
}

void BenchRmsNorm(benchmark::State& state) {
  const size_t n = state.range(0);
  bitnet::ThreadPool pool(1);
  const std::vector<float> x = RandomFloats(n * kEmbd, 3);
  const std::vector<float> gamma = RandomFloats(kEmbd, 4);
  std::vector<float> y(n * kEmbd);
  for (auto _ : state) {
    bitnet::RmsNorm(x.data(), n, kEmbd, gamma.data(), 1e-5f, y.data(), pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * n * kEmbd));
}

// Queries at the end of `keys` positions. A query at position p counts p + 1 keys, each in K.q and in the sum of V.
void BenchAttention(benchmark::State& state) {
  const size_t n = state.range(0);
  const size_t keys = state.range(1);
  bitnet::ThreadPool pool(state.range(2));
  const bitnet::ArithmeticOrder& order = OrderFor(TensorType::kTQ2_0);
  const bitnet::AttentionShape shape{.n_head = kHeads, .n_head_kv = kHeadsKv, .head_dim = kHeadDim};
  const size_t n_cells = (keys + 255) / 256 * 256;
  const size_t width = kHeadsKv * kHeadDim;
  const std::vector<float> values = RandomFloats(keys * width, 5);
  std::vector<uint16_t> k(n_cells * width);
  std::vector<uint16_t> v(n_cells * width);
  bitnet::RoundToF16(values.data(), values.size(), k.data());
  for (size_t d = 0; d < width; ++d) {
    for (size_t i = 0; i < keys; ++i) v[d * n_cells + i] = k[i * width + d];
  }
  const std::vector<float> q = RandomFloats(n * kHeads * kHeadDim, 6);
  std::vector<float> out(q.size());
  for (auto _ : state) {
    bitnet::Attention(q.data(), n, keys - n, {.k = k.data(), .v = v.data(), .n_cells = n_cells}, shape, order,
                      out.data(), pool);
    benchmark::ClobberMemory();
  }
  size_t attended = 0;
  for (size_t i = 0; i < n; ++i) attended += keys - n + i + 1;
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * 2 * attended * kHeads * kHeadDim));
}

void BenchSoftmax(benchmark::State& state) {
  const size_t n = state.range(0);
  const std::vector<float> x = RandomFloats(n, 8);
  std::vector<float> row(n);
  for (auto _ : state) {
    std::copy(x.begin(), x.end(), row.begin());
    bitnet::SoftmaxRow(row.data(), n, 1.0f, OrderFor(TensorType::kTQ2_0));
    benchmark::DoNotOptimize(row.data());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * n));
}

void BenchGate(benchmark::State& state, bool silu) {
  const std::vector<float> gate = RandomFloats(kFf, 9);
  const std::vector<float> up = RandomFloats(kFf, 10);
  std::vector<float> out(kFf);
  for (auto _ : state) {
    if (silu) {
      bitnet::SiluMul(gate.data(), up.data(), kFf, OrderFor(TensorType::kTQ2_0), out.data());
    } else {
      bitnet::SquaredReluMul(gate.data(), up.data(), kFf, out.data());
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kFf));
}

void BenchRope(benchmark::State& state) {
  const bitnet::RopeAngles angles = bitnet::ComputeRopeAngles(100, kHeadDim, 500000.0f);
  std::vector<float> x = RandomFloats(kHeads * kHeadDim, 11);
  for (auto _ : state) {
    bitnet::Rope(x.data(), kHeads, kHeadDim, kHeadDim, angles);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kHeads * kHeadDim));
}

void RegisterAll() {
  const int64_t cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  const std::set<int64_t> threads = {1, cores};
  struct Shape {
    size_t rows, cols;
  };
  for (const bitnet::Format& format : bitnet::AllFormats()) {
    const TensorType type = format.type;
    if (!bitnet::HasMatMul(type)) continue;
    for (const Shape shape : {Shape{kEmbd, kEmbd}, Shape{kFf, kEmbd}, Shape{kEmbd, kFf}}) {
      auto* b = benchmark::RegisterBenchmark(
          fmt::format("matmul/{}/{}x{}", bitnet::TypeName(type), shape.rows, shape.cols).c_str(),
          [=](benchmark::State& state) { BenchMatMul(state, type, shape.rows, shape.cols); });
      b->ArgNames({"n", "threads"})->UseRealTime();
      for (const int64_t n : {1, 16, 64, 256}) {
        for (const int64_t t : threads) b->Args({n, t});
      }
    }
  }
  for (const auto& [name, kind] : {std::pair{"q8_k", ActivationKind::kQ8K}, std::pair{"i8_row", ActivationKind::kI8Row},
                                   std::pair{"f16", ActivationKind::kF16}}) {
    for (const size_t cols : {kEmbd, kFf}) {
      benchmark::RegisterBenchmark(fmt::format("prepare/{}/{}", name, cols).c_str(),
                                   [kind = kind, cols](benchmark::State& state) { BenchPrepare(state, kind, cols); })
          ->ArgName("n")
          ->Arg(1)
          ->Arg(64);
    }
  }
  benchmark::RegisterBenchmark("rms_norm/2560", BenchRmsNorm)->ArgName("n")->Arg(1)->Arg(64);
  auto* attention = benchmark::RegisterBenchmark("attention", BenchAttention);
  attention->ArgNames({"n", "keys", "threads"})->UseRealTime();
  for (const int64_t keys : {64, 256, 1024}) {
    for (const int64_t t : threads) attention->Args({1, keys, t})->Args({64, keys, t});
  }
  benchmark::RegisterBenchmark("softmax", BenchSoftmax)->ArgName("n")->Arg(64)->Arg(256)->Arg(1024);
  benchmark::RegisterBenchmark("silu_mul/6912", [](benchmark::State& state) { BenchGate(state, true); });
  benchmark::RegisterBenchmark("squared_relu_mul/6912", [](benchmark::State& state) { BenchGate(state, false); });
  benchmark::RegisterBenchmark("rope/20x128", BenchRope);
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("simd", bitnet::TargetName());
  parity::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
