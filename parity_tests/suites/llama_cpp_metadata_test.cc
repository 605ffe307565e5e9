// What a model file may say of itself beside its shape, against a live llama.cpp, bit for bit.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/model/model_for_test.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/locate/replay.h"
#include "parity_tests/report/report.h"
#include "parity_tests/suites/live_reference.h"
#include "reference/engines/registry.h"

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

class LlamaCppFiles : public LiveReference {
 protected:
  LlamaCppFiles() : LiveReference("llama.cpp") {}
  Request RequestFor(TinyModel& model) {
    model.metadata["tokenizer.ggml.model"] = std::string("no_vocab");
    model.metadata[model.shape.architecture + ".vocab_size"] = model.shape.n_vocab;
    Request request;
    request.model = model.Write();
    std::mt19937 random(7);
    request.token_ids = RandomTokens(random, 40, model.shape.n_vocab);
    request.threads = 1;  // llama.cpp's wait for each other longer than so small a model takes
    return request;
  }
};

class LlamaCppMetadata : public LlamaCppFiles, public testing::WithParamInterface<Saying> {};

TEST_P(LlamaCppMetadata, GivesTheSameBits) {
  TinyModel model(GetParam().shape);
  GetParam().change(model);
  Request request = RequestFor(model);
  request.max_tokens = 4;
  for (const char* variant : {"", "haswell"}) {
    request.cpu_variant = variant;
    ExpectSameBitsOf(request, GetParam().name);
  }
}

// Each operation on the reference's own inputs, at tolerance 0.
TEST_P(LlamaCppMetadata, EachOperationGivesTheSameBits) {
  TinyModel model(GetParam().shape);
  GetParam().change(model);
  Request request = RequestFor(model);
  request.token_ids->resize(12);  // more than the widest window
  request.trace = "full";
  request.raw_tensors = true;
  const std::unique_ptr<Backend> engine = MakeEngine("llama.cpp");  // holds the files of its captures
  const Capture capture = engine->Run(request);
  const bitnet::Model ours = bitnet::Model::Load(request.model);
  const bitnet::ArithmeticOrder* order = KnownOrder(capture.backend, ours);
  if (order == nullptr) GTEST_SKIP() << "no order for " << capture.backend.build;
  Replay replay(ours, capture, *order);
  for (int layer = -1; layer < static_cast<int>(model.shape.n_layer); ++layer) {
    for (const ReplayResult& r : replay.Layer(layer)) {
      EXPECT_GT(r.elements, 0) << bitnet::PointName(r.place.point) << " of layer " << layer << ": " << r.missing;
      EXPECT_EQ(r.differing, 0) << bitnet::PointName(r.place.point) << " of layer " << layer;
    }
  }
}

std::function<void(TinyModel&)> Keys(std::map<std::string, bitnet::MetadataValue> keys) {
  return [keys](TinyModel& m) {
    for (const auto& [key, value] : keys) m.metadata[m.shape.architecture + "." + key] = value;
  };
}

// Numbers between the two.
bitnet::TinyTensor Numbers(size_t n, float from, float to) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = from + (to - from) * static_cast<float>(i) / static_cast<float>(n);
  return {TensorType::kF32, {n}, std::move(values)};
}

// One for each projection of each layer.
void AddSideTensors(TinyModel& m, const std::string& kind) {
  for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
    for (uint32_t layer = 0; layer < m.shape.n_layer; ++layer) {
      const std::string base = fmt::format("blk.{}.{}.", layer, name);
      const uint64_t rows = m.tensors.at(base + "weight").shape.at(1);
      const float scale = 0.9f + 1.0f / static_cast<float>(m.tensors.size());
      m.tensors[base + kind] = kind == "bias" ? Numbers(rows, -0.5f, 0.7f) : Numbers(1, scale, scale);
    }
  }
}

bitnet::MetadataValue ForEachLayer(const TinyModel& m, int32_t value) {
  return std::make_shared<bitnet::MetadataArray>(bitnet::MetadataArray{std::vector<int32_t>(m.shape.n_layer, value)});
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
    {"rope_freqs", {.architecture = "llama"}, [](TinyModel& m) { m.tensors["rope_freqs.weight"] = Numbers(32, 1, 8); }},
    {"rope_freqs_and_a_factor",
     {.architecture = "llama"},
     [](TinyModel& m) {
       m.tensors["rope_freqs.weight"] = Numbers(32, 1, 8);
       m.metadata["llama.rope.scaling.factor"] = 3.0f;
     }},
    {"scales", {.type = TensorType::kTQ2_0}, [](TinyModel& m) { AddSideTensors(m, "scale"); }},
    {"scales_of_llama", {.architecture = "llama"}, [](TinyModel& m) { AddSideTensors(m, "scale"); }},
    {"biases", {.architecture = "llama", .type = TensorType::kTQ2_0}, [](TinyModel& m) { AddSideTensors(m, "bias"); }},
    {"heads_for_each_layer",
     {},
     [](TinyModel& m) {
       m.metadata["bitnet.attention.head_count"] = ForEachLayer(m, 4);
       m.metadata["bitnet.attention.head_count_kv"] = ForEachLayer(m, 2);
     }},
    {"the_activation_that_it_has", {}, Keys({{"hidden_activation", std::string("silu")}})},
    {"qwen3", {.architecture = "qwen3", .type = TensorType::kTQ2_0}, Keys({})},
    {"qwen3_f16", {.architecture = "qwen3", .type = TensorType::kF16, .untied = true}, Keys({})},
    {"qwen3_scaled", {.architecture = "qwen3"}, Keys({{"rope.scaling.factor", 4.0f}})},
    {"qwen3_scales", {.architecture = "qwen3"}, [](TinyModel& m) { AddSideTensors(m, "scale"); }},
    {"gemma3", {.architecture = "gemma3", .type = TensorType::kTQ2_0}, Keys({})},
    {"gemma3_of_one_kv_head", {.architecture = "gemma3", .type = TensorType::kF16, .n_head_kv = 1}, Keys({})},
    {"gemma3_window", {.architecture = "gemma3", .n_layer = 7, .rope_base = 1e6f, .window = 9}, Keys({})},
    {"gemma3_window_and_a_factor",
     {.architecture = "gemma3", .n_layer = 7, .rope_base = 1e6f, .window = 9},
     Keys({{"rope.scaling.type", std::string("linear")},
           {"rope.scaling.factor", 8.0f},
           {"rope.freq_base_swa", 5000.0f}})},
    {"gemma3_window_of_a_pattern",
     {.architecture = "gemma3", .n_layer = 3, .window = 4},
     Keys({{"attention.sliding_window_pattern", uint32_t{2}}})},
    {"gemma3_window_layer_by_layer",
     {.architecture = "gemma3", .n_layer = 3, .window = 4},
     [](TinyModel& m) {
       m.metadata["gemma3.attention.sliding_window_pattern"] =
           std::make_shared<bitnet::MetadataArray>(bitnet::MetadataArray{std::vector<bool>{false, true, true}});
     }},
    {"gemma3_of_62_layers",
     {.architecture = "gemma3", .n_embd = 64, .n_layer = 62, .n_head = 2, .n_head_kv = 1, .n_ff = 32},
     Keys({{"attention.key_length", uint32_t{32}}})},
    {"a_window_that_nobody_reads", {.architecture = "llama"}, Keys({{"attention.sliding_window", uint32_t{4}}})},
};

// Every other tensor into another shard.
TEST_F(LlamaCppFiles, SplitInThreeIsOneModel) {
  TinyModel model;
  Request request = RequestFor(model);
  const bitnet::GgufFile whole = bitnet::GgufFile::Open(request.model);
  for (size_t shard = 0; shard < 3; ++shard) {
    bitnet::GgufWriter writer(Path(fmt::format("m-{:05}-of-00003.gguf", shard + 1)));
    if (shard == 0) {
      for (const auto& [key, value] : whole.metadata()) writer.Set(key, value);
    }
    writer.Set("split.no", static_cast<uint16_t>(shard));
    writer.Set("split.count", uint16_t{3});
    writer.Set("split.tensors.count", static_cast<int32_t>(whole.tensors().size()));
    for (const bool header : {true, false}) {
      if (!header) writer.WriteHeader();
      for (size_t i = shard; i < whole.tensors().size(); i += 3) {
        const bitnet::TensorInfo& t = whole.tensors()[i];
        if (header) {
          writer.DeclareTensor(t.name, t.type, t.shape);
        } else {
          writer.WriteTensor(whole.Data(t));
        }
      }
    }
    writer.Finish();
  }
  request.model = Path("m-00001-of-00003.gguf");
  ExpectSameBitsOf(request, "split");
}

TEST_F(LlamaCppFiles, OverriddenOnBothSides) {
  TinyModel model;
  Request request = RequestFor(model);
  request.override_kv = {"bitnet.rope.freq_base=float:123456", "bitnet.rope.scaling.factor=float:2.5",
                         "bitnet.rope.dimension_count=int:32", "bitnet.rope.scaling.type=str:yarn",
                         "bitnet.attention.causal=bool:true"};
  ExpectSameBitsOf(request, "overridden");
  const auto logits = [&] { return comparison_.Climb(request, {}).captures->candidate.logits.data; };
  const std::vector<float> overridden = logits();
  request.override_kv.clear();
  EXPECT_GT(DifferentBits(overridden, logits()), 0u);
  request.override_kv = {"bitnet.rope.freq_bas=float:123456"};
  EXPECT_NE(TextReport(comparison_.Climb(request, {}).verdict, {}).find("does not read bitnet.rope.freq_bas"),
            std::string::npos);
}

// llama.cpp does not read the key: neither parity on garbage nor a difference without a name.
TEST_F(LlamaCppFiles, AnActivationThatTheReferenceIgnoresFailsByName) {
  TinyModel model;
  model.metadata["bitnet.hidden_activation"] = std::string("relu2");
  const Verdict verdict =
      comparison_.Climb(RequestFor(model), {.profile = {.file = PARITY_SOURCE_DIR "/fixtures/thresholds.json"}})
          .verdict;
  EXPECT_FALSE(verdict.parity());
  EXPECT_NE(TextReport(verdict, {}).find("hidden_activation"), std::string::npos) << TextReport(verdict, {});
}

INSTANTIATE_TEST_SUITE_P(Live, LlamaCppMetadata, testing::ValuesIn(kSayings),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace parity
