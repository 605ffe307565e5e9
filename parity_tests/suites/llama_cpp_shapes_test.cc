// Shapes and lengths against a live llama.cpp, bit for bit: random models of every weight type in its AVX-512 and AVX2
// builds, prompts around and past its batch of 512, and a full context of 4,096.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "parity_tests/suites/live_reference.h"

namespace parity {
namespace {

using bitnet::TensorType;

class LlamaCpp : public LiveReference {
 protected:
  LlamaCpp() : LiveReference("llama.cpp") {}
};

class Shapes {
 public:
  // Wider models show no more, and most of the time would go into making them.
  static constexpr uint32_t kWidest = 512;

  explicit Shapes(unsigned seed) : random_(seed) {}

  uint32_t Pick(const std::vector<uint32_t>& values) { return values[random_() % values.size()]; }

  // Heads odd in number and not, one to eight query heads to a KV head; for types without blocks any width.
  GenerateOptions Model(TensorType type) {
    const uint32_t block = bitnet::FormatOf(type).block_weights;
    const bool blocks = block == 256;
    GenerateOptions o;
    static constexpr const char* kArchitectures[] = {"bitnet", "llama", "qwen3", "gemma3"};
    o.architecture = kArchitectures[random_() % std::size(kArchitectures)];
    const bool any_width = o.architecture != "bitnet";
    o.untied = any_width && random_() % 2 == 0;
    if (o.architecture == "gemma3") o.window = Pick({0, 3, 20});
    o.type = type;
    o.n_head_kv = blocks ? Pick({1, 2, 3, 5}) : Pick({1, 2, 3, 5, 7});
    o.n_head = o.n_head_kv * (o.n_head_kv > 3 ? Pick({1, 2}) : Pick({1, 2, 3, 4, 8}));
    uint32_t head_dim = blocks ? Pick({32, 64, 80, 128, 256}) : Pick({32, 64, 80, 128});
    if (o.n_head_kv * head_dim > kWidest && head_dim == 256) head_dim = 128;
    if (blocks && o.n_head_kv > 2 && head_dim == 80) head_dim = 64;  // only 16 heads of 80, or 32, are whole blocks
    while (o.n_head * head_dim > kWidest && o.n_head > o.n_head_kv) o.n_head -= o.n_head_kv;
    while (o.n_head * head_dim % block != 0) o.n_head *= 2;
    o.n_embd = o.n_head * head_dim;
    if (any_width) {
      o.head_dim = head_dim;
      o.n_embd = block > 1 ? block * Pick({1, 2, 3}) : Pick({40, 96, 200, 256, 336});
    }
    o.n_ff = block > 1 ? block * Pick({1, 3, 5}) : Pick({1, 8, 24, 32}) * Pick({3, 5, 7, 11, 13});
    o.n_layer = Pick({1, 2});
    o.n_vocab = 256 + random_() % 256;  // seldom a multiple of eight: a head that the reference does not repack
    std::vector<TensorType> embeddings = bitnet::TypesWhere(
        [&](const bitnet::Format& f) { return f.holds_embeddings() && o.n_embd % f.block_weights == 0; });
    o.embedding_type = embeddings[random_() % embeddings.size()];
    o.seed = random_();
    return o;
  }

  Request Prompt(const GenerateOptions& model) {
    Request request;
    request.n_ubatch = static_cast<int>(Pick({1, 2, 3, 4, 5, 6, 7, 8, 512}));
    request.token_ids = RandomTokens(random_, Pick({1, 2, 3, 4, 5, 6, 7, 8, 17, 33}), model.n_vocab);
    request.max_tokens = 4;
    request.cpu_variant = random_() % 2 == 0 ? "" : "haswell";
    return request;
  }

 private:
  std::mt19937 random_;
};

// LLAMA_CPP_SHAPES=N: so many of each weight type in place of four.
int ShapesOfAType() {
  const char* n = std::getenv("LLAMA_CPP_SHAPES");
  if (n == nullptr) return 4;
  const int shapes = std::atoi(n);
  if (shapes < 1) throw std::runtime_error(fmt::format("LLAMA_CPP_SHAPES: found '{}', expected a number from 1 on", n));
  return shapes;
}

class LlamaCppShapes : public LlamaCpp, public testing::WithParamInterface<TensorType> {};

TEST_P(LlamaCppShapes, GiveTheSameBits) {
  Shapes shapes(static_cast<unsigned>(GetParam()));
  for (int i = 0; i < ShapesOfAType() && !IsSkipped(); ++i) {
    const GenerateOptions model = shapes.Model(GetParam());
    ExpectSameBits(model, shapes.Prompt(model));
  }
}

// I2_S is bitnet.cpp's.
const auto kTypes = testing::ValuesIn(
    bitnet::TypesWhere([](const bitnet::Format& f) { return f.has_codec() && f.type != TensorType::kI2_S; }));
std::string NameOfType(const testing::TestParamInfo<TensorType>& info) {
  return std::string(bitnet::TypeName(info.param));
}
INSTANTIATE_TEST_SUITE_P(Random, LlamaCppShapes, kTypes, NameOfType);

// A model that is quick at thousands of positions.
GenerateOptions Small(TensorType type) {
  GenerateOptions o;
  o.type = type;
  o.n_embd = o.n_ff = 256;
  o.n_layer = 1;
  o.n_head = 4;
  o.n_head_kv = 2;
  o.n_vocab = 64;
  return o;
}

class LlamaCppLengths : public LlamaCpp, public testing::WithParamInterface<TensorType> {};

TEST_P(LlamaCppLengths, AroundTheBatchOf512) {
  std::mt19937 random(512);
  for (const uint32_t n : {511, 512, 513, 1024}) {
    const GenerateOptions model = Small(GetParam());
    Request request;
    request.token_ids = RandomTokens(random, n, model.n_vocab);
    request.max_tokens = 4;
    ExpectSameBits(model, request);
  }
}
INSTANTIATE_TEST_SUITE_P(Long, LlamaCppLengths, kTypes, NameOfType);

class LlamaCppContext : public LlamaCpp, public testing::WithParamInterface<const char*> {};

TEST_P(LlamaCppContext, Of4096IsFilled) {
  std::mt19937 random(4096);
  GenerateOptions model = Small(TensorType::kTQ2_0);
  model.n_head = 8;  // of 32
  model.n_head_kv = 1;
  Request request;
  request.token_ids = RandomTokens(random, 4092, model.n_vocab);
  request.n_ctx = 4096;
  request.max_tokens = 4;
  request.cpu_variant = GetParam();
  ExpectSameBits(model, request);
}
INSTANTIATE_TEST_SUITE_P(Long, LlamaCppContext, testing::Values("", "haswell"), [](const auto& info) {
  return std::string(info.param).empty() ? std::string("own_choice") : std::string(info.param);
});

}  // namespace
}  // namespace parity
