// What a model file may say of itself beside its shape, against a live llama.cpp, bit for bit.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/model/model_for_test.h"
#include "parity_tests/suites/live_reference.h"

namespace parity {
namespace {

using bitnet::TensorType;
using bitnet::TinyModel;
using bitnet::TinyShape;

struct Saying {
  std::string name;
  TinyShape shape;
  std::function<void(TinyModel&)> change;
};

// As gtest prints it.
void PrintTo(const Saying& saying, std::ostream* out) { *out << saying.name; }

class LlamaCppMetadata : public LiveReference, public testing::WithParamInterface<Saying> {
 protected:
  LlamaCppMetadata() : LiveReference("llama.cpp") {}
};

TEST_P(LlamaCppMetadata, GivesTheSameBits) {
  TinyModel model(GetParam().shape);
  model.metadata["tokenizer.ggml.model"] = std::string("no_vocab");
  model.metadata[model.shape.architecture + ".vocab_size"] = model.shape.n_vocab;
  GetParam().change(model);
  Request request;
  request.model = model.Write();
  std::mt19937 random(7);
  request.token_ids = RandomTokens(random, 40, model.shape.n_vocab);
  request.max_tokens = 4;
  for (const char* variant : {"", "haswell"}) {
    request.cpu_variant = variant;
    ExpectSameBitsOf(request, GetParam().name);
  }
}

std::function<void(TinyModel&)> Keys(std::map<std::string, bitnet::MetadataValue> keys) {
  return [keys](TinyModel& m) {
    for (const auto& [key, value] : keys) m.metadata[m.shape.architecture + "." + key] = value;
  };
}

// Numbers from 1 to 8.
bitnet::TinyTensor Divisors(size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = 1.0f + 7.0f * static_cast<float>(i) / static_cast<float>(n);
  return {TensorType::kF32, {n}, std::move(values)};
}

const Saying kSayings[] = {
    {"linear_1", {}, Keys({{"rope.scaling.type", std::string("linear")}, {"rope.scaling.factor", 1.0f}})},
    {"linear_3", {}, Keys({{"rope.scaling.type", std::string("linear")}, {"rope.scaling.factor", 3.0f}})},
    {"a_factor_without_a_type", {}, Keys({{"rope.scaling.factor", 2.5f}})},
    {"scale_linear", {.architecture = "llama"}, Keys({{"rope.scale_linear", 7.0f}})},
    {"none_with_a_factor", {}, Keys({{"rope.scaling.type", std::string("none")}, {"rope.scaling.factor", 4.0f}})},
    {"attention_factor", {}, Keys({{"rope.scaling.attn_factor", 1.25f}})},
    {"yarn", {}, Keys({{"rope.scaling.type", std::string("yarn")}, {"rope.scaling.factor", 4.0f}})},
    {"yarn_of_its_own_context",
     {.architecture = "llama", .rope_base = 500000.0f},
     Keys({{"rope.scaling.type", std::string("yarn")},
           {"rope.scaling.factor", 40.0f},
           {"rope.scaling.attn_factor", 0.75f},
           {"rope.scaling.original_context_length", uint32_t{4096}},
           {"rope.scaling.yarn_beta_fast", 16.0f}})},
    {"yarn_that_shrinks", {}, Keys({{"rope.scaling.type", std::string("yarn")}, {"rope.scaling.factor", 0.7f}})},
    {"part_of_a_head_turns", {}, Keys({{"rope.dimension_count", uint32_t{24}}})},
    {"rope_freqs", {.architecture = "llama"}, [](TinyModel& m) { m.tensors["rope_freqs.weight"] = Divisors(32); }},
    {"rope_freqs_and_a_factor",
     {.architecture = "llama"},
     [](TinyModel& m) {
       m.tensors["rope_freqs.weight"] = Divisors(32);
       m.metadata["llama.rope.scaling.factor"] = 3.0f;
     }},
};

INSTANTIATE_TEST_SUITE_P(Live, LlamaCppMetadata, testing::ValuesIn(kSayings),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace parity
