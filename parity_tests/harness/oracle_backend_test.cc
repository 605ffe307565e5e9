// Without a mistake the oracle leaves what the native engine leaves, bit for bit: two forward passes, written apart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <filesystem>

#include "engine/kernels/order.h"
#include "engine/model/model_for_test.h"
#include "fixtures/generate.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

std::vector<uint32_t> Bits(const Matrix& m) {
  std::vector<uint32_t> bits;
  for (const float v : m.data) bits.push_back(std::bit_cast<uint32_t>(v));
  return bits;
}

void ExpectSameCaptures(const Request& request, const std::string& order = "", bool kernels = false) {
  const auto native = MakeNativeBackend(order), oracle = MakeOracleBackend({.order = order, .kernels = kernels});
  const Capture a = native->Run(request), b = oracle->Run(request);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.pieces, b.pieces);
  EXPECT_EQ(a.generated, b.generated);
  EXPECT_TRUE(Bits(a.logits) == Bits(b.logits));
  EXPECT_TRUE(Bits(a.decode_logits) == Bits(b.decode_logits));
  EXPECT_EQ(a.model.hyperparameters, b.model.hyperparameters);
  EXPECT_EQ(a.shapes.attends, b.shapes.attends);
  EXPECT_EQ(a.shapes.n_ctx, b.shapes.n_ctx);
  EXPECT_EQ(a.shapes.kv_cells, b.shapes.kv_cells);
  EXPECT_EQ(a.shapes.n_embd_k, b.shapes.n_embd_k);
  EXPECT_EQ(a.shapes.logits, b.shapes.logits);
  ASSERT_EQ(a.traces.size(), b.traces.size());
  for (size_t i = 0; i < a.traces.size(); ++i) {
    EXPECT_EQ(a.traces[i].name, b.traces[i].name);
    EXPECT_EQ(a.traces[i].shape, b.traces[i].shape) << a.traces[i].name;
    ASSERT_EQ(a.traces[i].blake3, b.traces[i].blake3) << a.traces[i].name;
  }
  if (!a.traces.empty()) {
    EXPECT_EQ(ReadTensor(a, a.traces[0]), ReadTensor(b, b.traces[0]));
  }
}

Request OnTrained(const std::string& file) {
  Request request;
  request.model = PARITY_BINARY_DIR "/fixtures/models/" + file;
  request.prompt = request.text = "In the beginning";
  request.max_tokens = 3;
  request.trace = "full";
  request.raw_tensors = true;
  return request;
}

TEST(Oracle, IsTheNativeOneOnTrainedModels) {
  for (const char* file : {"kjv-bitnet.tq2_0.gguf", "kjv-bitnet-b1.58.tq2_0.gguf", "kjv-bitnet.i2_s.gguf",
                           "kjv-bitnet.tq1_0.gguf", "kjv-bitnet.f16.gguf", "kjv-bitnet.f32.gguf",
                           "kjv-bitnet.bf16.gguf", "kjv-bitnet.q8_0.gguf", "kjv-bitnet.i2_s-q8_0.gguf"}) {
    SCOPED_TRACE(file);
    ExpectSameCaptures(OnTrained(file));
    ExpectSameCaptures(OnTrained(file), "", /*kernels=*/true);
  }
}

TEST(Oracle, IsTheNativeOneInEveryOrderAndSchedule) {
  for (const bitnet::ArithmeticOrder& order : bitnet::AllOrders()) {
    SCOPED_TRACE(order.name);
    Request request = OnTrained("kjv-bitnet.tq2_0.gguf");
    request.schedule = Schedule::kTokenByToken;
    ExpectSameCaptures(request, std::string(order.name));
    request.schedule = Schedule::kBatch;
    request.n_ubatch = 3;
    request.trace = "none";
    ExpectSameCaptures(request, std::string(order.name));
  }
}

TEST(Oracle, IsTheNativeOneOnAnUntiedModelWithoutSubNorms) {
  GenerateOptions options;
  options.output = (std::filesystem::temp_directory_path() / "oracle_backend_test.gguf").string();
  options.architecture = "llama";
  options.untied = true;
  options.n_layer = 3;
  options.n_vocab = 64;
  GenerateModel(options);
  Request request;
  request.model = options.output;
  request.token_ids = std::vector<int32_t>{1, 5, 9, 33, 2};
  request.max_tokens = 2;
  request.trace = "full";
  request.raw_tensors = true;
  ExpectSameCaptures(request);
  std::filesystem::remove(options.output);
}

TEST(Oracle, IsTheNativeOneOnScaledAnglesAndSideTensors) {
  bitnet::TinyModel tiny({.architecture = "llama", .type = bitnet::TensorType::kTQ2_0});
  tiny.metadata["llama.rope.scaling.type"] = std::string("yarn");
  tiny.metadata["llama.rope.scaling.factor"] = 4.0f;
  tiny.metadata["llama.hidden_activation"] = std::string("relu2");
  std::vector<float> numbers(512);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = 1.0f + static_cast<float>(i) / 100;
  const auto f32 = bitnet::TensorType::kF32;
  tiny.tensors["rope_freqs.weight"] = {f32, {32}, {numbers.begin(), numbers.begin() + 32}};
  tiny.tensors["blk.0.attn_k.scale"] = {f32, {1}, {1.3f}};
  tiny.tensors["blk.1.ffn_down.scale"] = {f32, {1}, {0.7f}};
  tiny.tensors["blk.1.ffn_up.bias"] = {f32, {512}, numbers};
  Request request;
  request.model = tiny.Write();
  request.token_ids = std::vector<int32_t>{1, 5, 9, 33, 2};
  request.max_tokens = 2;
  request.trace = "full";
  request.raw_tensors = true;
  ExpectSameCaptures(request);
  ExpectSameCaptures(request, "", /*kernels=*/true);
}

// Whether this model has a place for the mistake, at position 0.
bool HasAChange(const Mistake& mistake, const bitnet::Model& model) {
  const Point point = (mistake.made_in.empty() ? mistake.points : mistake.made_in).first();
  return !mistake.changes({model, point, bitnet::InfoOf(point).in_layer ? 3 : -1, 0}).empty();
}

TEST(Oracle, EveryMistakeChangesSomethingAndTheSameOnKernels) {
  Request request = OnTrained("kjv-bitnet.tq2_0.gguf");
  request.trace = "none";
  request.prompt = request.text = "the LORD.\nAnd he<|end_of_text|>";  // a special token may be spelled out
  const Capture expected = MakeOracleBackend()->Run(request);
  const bitnet::Model model = bitnet::Model::Load(request.model);
  for (const Mistake& mistake : AllMistakes()) {
    if (mistake.changes == nullptr && mistake.tokens == nullptr) continue;
    if (mistake.changes != nullptr && (mistake.habit || !HasAChange(mistake, model))) continue;
    const OracleSpec spec{.mistake = std::string(mistake.id), .layer = mistake.InLayer() ? 3 : -1};
    const Capture wrong = MakeOracleBackend(spec)->Run(request);
    // Rows of trained models are too short to fill 16 bits; the fault suite has a model whose rows do.
    if (mistake.id != "narrow_sums") {
      EXPECT_TRUE(wrong.tokens != expected.tokens || Bits(wrong.logits) != Bits(expected.logits)) << mistake.id;
    }
    if (mistake.id == "uninitialized") continue;  // another number each time
    OracleSpec on_kernels = spec;
    on_kernels.kernels = true;
    EXPECT_TRUE(Bits(wrong.logits) == Bits(MakeOracleBackend(on_kernels)->Run(request).logits)) << mistake.id;
  }
}

TEST(Oracle, RefusesWhatItCannotMake) {
  EXPECT_THROW(MakeOracleBackend({.mistake = "no_such_mistake", .layer = 0}), std::runtime_error);
  EXPECT_THROW(MakeOracleBackend({.mistake = "rope_base"}), std::runtime_error);
  EXPECT_THROW(MakeOracleBackend({.mistake = "bos_twice", .layer = 0}), std::runtime_error);
  const auto backend = MakeOracleBackend({.mistake = "rope_base", .layer = 99});
  EXPECT_THROW(backend->Run(OnTrained("kjv-bitnet.tq2_0.gguf")), std::runtime_error);
}

}  // namespace
}  // namespace parity
