// Files that are not the model that they say: each gives an error that names the file and what is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <stdexcept>

#include "engine/model/model.h"
#include "engine/model/model_for_test.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string LoadError(TinyModel& tiny) {
  const std::string path = tiny.Write();
  try {
    Model::Load(path);
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(path)) << "names the file";
    return error.what();
  }
  return "no error";
}

TEST(Load, BindsEveryTensorOfTheFile) {
  TinyModel tiny({.architecture = "bitnet-b1.58", .type = TensorType::kI2_S});
  const Model model = Model::Load(tiny.Write());
  EXPECT_EQ(model.hyperparameters.n_embd_head, 64u);
  EXPECT_EQ(model.hyperparameters.n_rot, 64u);
  EXPECT_EQ(model.hyperparameters.n_vocab, 40u);
  EXPECT_EQ(model.hyperparameters.activation, Activation::kSquaredRelu);
  EXPECT_TRUE(model.hyperparameters.parts.Has(When::kSubNorms));
  EXPECT_TRUE(model.weights.tied_output);
  ASSERT_EQ(model.weights.layers.size(), 2u);
  const WeightMatrix& down = model.weights.layers[1].ffn_down;
  EXPECT_EQ(down.rows, 256u);
  EXPECT_EQ(down.cols, 512u);
  float largest = 0;
  for (const float v : tiny.tensors.at("blk.1.ffn_down.weight").values) largest = std::max(largest, v);
  EXPECT_EQ(down.scale, largest) << "the scale behind the codes";
}

TEST(Load, UntiedOutputIsUsed) {
  TinyModel tiny({.architecture = "llama", .untied = true});
  const Model model = Model::Load(tiny.Write());
  EXPECT_FALSE(model.weights.tied_output);
  EXPECT_NE(model.weights.output.data, model.weights.token_embd.data);
}

TEST(Load, MissingTensors) {
  const TinyModel names;
  for (const auto& [name, tensor] : names.tensors) {
    TinyModel tiny;
    tiny.tensors.erase(name);
    EXPECT_THAT(LoadError(tiny), HasSubstr(name));
  }
}

TEST(Load, WrongShapes) {
  const TinyModel names;
  for (const auto& [name, tensor] : names.tensors) {
    if (name == "token_embd.weight") continue;  // its rows are the vocabulary
    TinyModel tiny;
    TinyTensor& t = tiny.tensors.at(name);
    t.shape.back() *= 2;
    t.values.resize(t.values.size() * 2, 1.0f);
    EXPECT_THAT(LoadError(tiny), AllOf(HasSubstr(name), HasSubstr("expected [")));
  }
  TinyModel tiny;
  tiny.tensors.at("token_embd.weight").shape = {128, 80};
  EXPECT_THAT(LoadError(tiny), HasSubstr("token_embd.weight has shape [128, 80], expected [256, 80]"));
}

std::string ErrorWith(const char* architecture, const std::vector<std::string>& names, uint64_t size) {
  TinyModel tiny({.architecture = architecture});
  for (const std::string& name : names) tiny.tensors[name] = {TensorType::kF32, {size}, std::vector<float>(size, 2)};
  const std::string path = tiny.Write();
  try {
    Model::Load(path);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Load, TensorsThatWouldBeIgnored) {
  EXPECT_THAT(ErrorWith("bitnet", {"blk.0.attn_q.bias"}, 256), HasSubstr("tensor blk.0.attn_q.bias is not part"));
  EXPECT_THAT(ErrorWith("llama", {"output.bias"}, 40), HasSubstr("tensor output.bias is not part"));
  EXPECT_THAT(ErrorWith("bitnet", {"token_embd.scale"}, 1), HasSubstr("tensor token_embd.scale is not part"));
  EXPECT_THAT(ErrorWith("bitnet", {"blk.1.ffn_up.weight_scale"}, 1),
              AllOf(HasSubstr("blk.1.ffn_up.weight_scale is a scale"), HasSubstr("or blk.1.ffn_up.scale")));
}

TEST(Load, SideTensorsOfAProjection) {
  EXPECT_EQ(ErrorWith("bitnet", {"blk.0.attn_q.scale", "blk.1.ffn_down.scale"}, 1), "no error");
  EXPECT_EQ(ErrorWith("llama", {"blk.0.attn_q.bias", "blk.1.attn_output.bias"}, 256), "no error");
  EXPECT_THAT(ErrorWith("bitnet", {"blk.0.attn_q.scale"}, 2), HasSubstr("attn_q.scale has shape [2], expected [1]"));
  TinyModel both({.architecture = "llama"});
  both.tensors["blk.0.ffn_up.scale"] = {TensorType::kF32, {1}, {2.0f}};
  both.tensors["blk.0.ffn_up.bias"] = {TensorType::kF32, {512}, std::vector<float>(512)};
  EXPECT_THAT(LoadError(both), HasSubstr("blk.0.ffn_up has a scale and a bias"));
}

TEST(Load, TypesThatAPartCannotHave) {
  TinyModel norm;
  norm.tensors.at("blk.1.ffn_norm.weight").type = TensorType::kQ8_0;
  EXPECT_THAT(LoadError(norm), AllOf(HasSubstr("blk.1.ffn_norm.weight is Q8_0"), HasSubstr("expected F32, F16 or")));
  TinyModel embedding({.embedding_type = TensorType::kI2_S});
  EXPECT_THAT(LoadError(embedding), HasSubstr("token_embd.weight is I2_S"));
}

TEST(Load, NormsOfTwoBytesAreConverted) {
  for (const TensorType type : {TensorType::kF16, TensorType::kBF16}) {
    TinyModel tiny;
    auto& norm = tiny.tensors.at("blk.1.ffn_norm.weight");
    for (size_t i = 0; i < norm.values.size(); ++i) norm.values[i] = 1.0f + static_cast<float>(i % 64) / 64;
    norm.type = type;
    const ModelWeights w = Model::Load(tiny.Write()).weights;
    const std::span<const float> gamma = w.layers.at(1).norm(Weight::kFfnNorm);
    EXPECT_TRUE(std::equal(gamma.begin(), gamma.end(), norm.values.begin(), norm.values.end())) << TypeName(type);
  }
}

// Renames the type of every TQ2_0 tensor in the file: the number is a 32-bit word behind its name and shape.
TEST(Load, TypesThatNobodyHereRuns) {
  TinyModel tiny({.type = TensorType::kTQ2_0});
  const std::string path = tiny.Write();
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const std::string name = "blk.0.attn_q.weight";
  bytes.at(bytes.find(name) + name.size() + 4 + 2 * 8) = 39;
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(GgufFile::Open(path).Tensor(name).type_name(), "TL2");
  try {
    Model::Load(path);
    FAIL() << "loaded";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr(name + " is TL2; this engine multiplies with F32"), HasSubstr("setup_env.py -q i2_s")));
  }
}

TEST(Load, I2SScaleThatIsNotANumber) {
  TinyModel tiny({.type = TensorType::kI2_S});
  const std::string path = tiny.Write();
  {
    const GgufFile file = GgufFile::Open(path);
    const TensorInfo& t = file.Tensor("blk.0.attn_k.weight");
    const auto* file_start = file.Data(file.tensors().front()).data() - file.tensors().front().offset;
    const size_t data_bytes = file.Data(t).data() - file_start;
    // The data section ends the file.
    const TensorInfo& last = file.tensors().back();
    const size_t data_start = file.file_bytes() - (last.offset + (last.bytes + 31) / 32 * 32);
    std::fstream out(path, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(data_start + data_bytes + t.cols() * t.rows() / 4));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    out.write(reinterpret_cast<const char*>(&nan), sizeof(nan));
  }
  try {
    Model::Load(path);
    FAIL() << "loaded";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(path), HasSubstr("blk.0.attn_k.weight"), HasSubstr("scale")));
  }
}

struct BadValue {
  const char* key;
  MetadataValue value;
  const char* message;
};

MetadataValue Layers(std::vector<int32_t> values) {
  return std::make_shared<MetadataArray>(MetadataArray{std::move(values)});
}

TEST(Load, HyperparametersOutOfRange) {
  const std::vector<BadValue> cases = {
      {"general.architecture", std::string("gpt5"), "'gpt5'"},
      {"bitnet.embedding_length", uint32_t{0}, "embedding_length is 0"},
      {"bitnet.embedding_length", uint32_t{0xffffffff}, "embedding_length is 4294967295"},
      {"bitnet.embedding_length", uint32_t{257}, "expected a multiple of attention.head_count 4"},
      {"bitnet.embedding_length", std::string("256"), "embedding_length"},
      {"bitnet.block_count", uint32_t{0}, "block_count is 0"},
      {"bitnet.block_count", uint32_t{3}, "blk.2."},
      {"bitnet.block_count", uint32_t{1}, "blk.1."},
      {"bitnet.attention.head_count", uint32_t{0}, "head_count is 0"},
      {"bitnet.attention.head_count_kv", uint32_t{3}, "expected a multiple of attention.head_count_kv 3"},
      {"bitnet.attention.head_count_kv", uint32_t{5}, "head_count_kv is 5"},
      {"bitnet.feed_forward_length", uint32_t{0}, "feed_forward_length is 0"},
      {"bitnet.context_length", uint32_t{0}, "context_length is 0"},
      {"bitnet.attention.key_length", uint32_t{0}, "key_length is 0"},
      {"bitnet.attention.key_length", uint32_t{32}, "blk.0."},
      {"bitnet.rope.dimension_count", uint32_t{0}, "dimension_count is 0"},
      {"bitnet.rope.dimension_count", uint32_t{63}, "dimension_count is 63"},
      {"bitnet.rope.dimension_count", uint32_t{128}, "dimension_count is 128"},
      {"bitnet.rope.freq_base", 0.0f, "freq_base is 0"},
      {"bitnet.rope.freq_base", std::numeric_limits<float>::quiet_NaN(), "freq_base is nan"},
      {"bitnet.rope.freq_base", std::numeric_limits<float>::infinity(), "freq_base is inf"},
      {"bitnet.attention.layer_norm_rms_epsilon", -1.0f, "rms_epsilon is -1"},
      {"bitnet.attention.layer_norm_rms_epsilon", std::numeric_limits<float>::quiet_NaN(), "rms_epsilon is nan"},
      {"bitnet.rope.scaling.type", std::string("longrope"), "'longrope', expected 'none', 'linear' or 'yarn'"},
      {"bitnet.rope.scaling.factor", -1.0f, "rope.scaling.factor is -1"},
      {"bitnet.rope.scale_linear", std::numeric_limits<float>::infinity(), "rope.scale_linear is inf"},
      {"bitnet.attention.value_length", uint32_t{32}, "value_length is 32, expected 64"},
      {"bitnet.attention.causal", false, "attention.causal is false, expected true"},
      {"bitnet.hidden_activation", std::string("swish"),
       "hidden_activation is 'swish', expected 'silu', 'relu2' or 'gelu'"},
      {"bitnet.expert_count", uint32_t{8}, "expert_count is 8, expected 0"},
      {"bitnet.nextn_predict_layers", uint64_t{1}, "nextn_predict_layers is 1, expected 0"},
      {"bitnet.attention.head_count_kv", Layers({2, 4}), "head_count_kv is 2 in layer 0 and 4 in layer 1"},
      {"bitnet.attention.head_count", Layers({4, 4, 4}), "head_count is an array of 3, expected one number, or 2"},
  };
  for (const BadValue& c : cases) {
    TinyModel tiny;
    tiny.metadata[c.key] = c.value;
    EXPECT_THAT(LoadError(tiny), HasSubstr(c.message)) << c.key;
  }
  TinyModel lengths;
  lengths.metadata["bitnet.attention.key_length"] = uint32_t{64};
  lengths.metadata["bitnet.attention.value_length"] = uint32_t{32};
  EXPECT_THAT(LoadError(lengths), HasSubstr("value_length is 32, expected 64"));
}

TEST(Load, RequiredKeys) {
  for (const char* key :
       {"general.architecture", "bitnet.embedding_length", "bitnet.block_count", "bitnet.attention.head_count",
        "bitnet.feed_forward_length", "bitnet.context_length", "bitnet.attention.layer_norm_rms_epsilon"}) {
    TinyModel tiny;
    tiny.metadata.erase(key);
    EXPECT_THAT(LoadError(tiny), HasSubstr(key));
  }
}

TEST(Load, OptionalKeysHaveTheirDefaults) {
  TinyModel tiny({.n_head_kv = 4});
  tiny.metadata.erase("bitnet.attention.head_count_kv");
  tiny.metadata.erase("bitnet.rope.freq_base");
  tiny.metadata["bitnet.rope.scaling.type"] = std::string("none");
  const Hyperparameters h = Model::Load(tiny.Write()).hyperparameters;
  EXPECT_EQ(h.n_head_kv, 4u);
  EXPECT_EQ(h.rope_freq_base, 10000.0f);
}

TEST(Load, CountsOfAnyWidthAndOneForEachLayer) {
  TinyModel tiny;
  tiny.metadata["bitnet.block_count"] = uint64_t{2};
  tiny.metadata["bitnet.embedding_length"] = int16_t{256};
  tiny.metadata["bitnet.attention.head_count"] = Layers({4, 4});
  tiny.metadata["bitnet.attention.head_count_kv"] = Layers({2, 2});
  tiny.metadata["bitnet.feed_forward_length"] = Layers({512, 512});
  const Hyperparameters h = Model::Load(tiny.Write()).hyperparameters;
  EXPECT_EQ(h.n_head, 4u);
  EXPECT_EQ(h.n_head_kv, 2u);
  EXPECT_EQ(h.n_ff, 512u);
}

TEST(Load, RopeFreqsAreLlamas) {
  TinyModel bitnet, llama({.architecture = "llama"});
  bitnet.tensors["rope_freqs.weight"] = {TensorType::kF32, {32}, std::vector<float>(32, 2.0f)};
  EXPECT_THAT(LoadError(bitnet), HasSubstr("rope_freqs.weight"));
  llama.tensors["rope_freqs.weight"] = {TensorType::kF32, {31}, std::vector<float>(31, 2.0f)};
  EXPECT_THAT(LoadError(llama), HasSubstr("rope_freqs.weight has shape [31], expected [32]"));
}

TEST(Load, ArchitecturesDifferInActivationAndSubNorms) {
  struct Case {
    const char* name;
    Activation activation;
    bool sub_norms;
  };
  for (const Case& c : {Case{"bitnet", Activation::kSilu, true},
                        {"bitnet-b1.58", Activation::kSquaredRelu, true},
                        {"bitnet-25", Activation::kSquaredRelu, true},
                        {"llama", Activation::kSilu, false}}) {
    TinyModel tiny({.architecture = c.name});
    const Hyperparameters h = Model::Load(tiny.Write()).hyperparameters;
    EXPECT_EQ(h.activation, c.activation) << c.name;
    EXPECT_EQ(h.parts.Has(When::kSubNorms), c.sub_norms) << c.name;
    for (const Activation said : {Activation::kSilu, Activation::kSquaredRelu}) {
      tiny.metadata[std::string(c.name) + ".hidden_activation"] = std::string(ActivationName(said));
      EXPECT_EQ(Model::Load(tiny.Write()).hyperparameters.activation, said) << c.name;
    }
  }
}

}  // namespace
}  // namespace bitnet
