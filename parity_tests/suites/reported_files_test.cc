// Files that people report, made small, against the live references: what llama-quantize makes of a ternary model,
// what other converters write, what only one of the references runs. What needs no reference is tested beside its code.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

#include "engine/model/model_for_test.h"
#include "parity_tests/findings/rung.h"
#include "parity_tests/suites/live_reference.h"

namespace parity {
namespace {

using bitnet::TensorType;
using bitnet::TinyModel;

class ReportedFiles : public LiveReference {
 protected:
  explicit ReportedFiles(const std::string& reference) : LiveReference(reference) {}

  // Without a vocabulary: the prompt is ids.
  Request RequestFor(TinyModel& model) {
    model.metadata["tokenizer.ggml.model"] = std::string("no_vocab");
    model.metadata[model.shape.architecture + ".vocab_size"] = model.shape.n_vocab;
    Request request;
    request.model = model.Write();
    std::mt19937 random(7);
    request.token_ids = RandomTokens(random, 12, model.shape.n_vocab);
    request.max_tokens = 4;
    return request;
  }

  // What preflight says where the reference cannot run the file.
  std::string Refusal(const Request& request) {
    const Climbed climbed = comparison_.Climb(request, {});
    EXPECT_TRUE(climbed.not_supported);
    EXPECT_FALSE(climbed.verdict.parity());
    return climbed.verdict.rung(Rung::kPreflight).message;
  }
};

class LlamaCppReports : public ReportedFiles {
 protected:
  LlamaCppReports() : ReportedFiles("llama.cpp") {}
};
class BitnetCppReports : public ReportedFiles {
 protected:
  BitnetCppReports() : ReportedFiles("bitnet.cpp") {}
};

void SetType(TinyModel& model, const std::string& tensor, TensorType type) { model.tensors.at(tensor).type = type; }

// llama-quantize TQ2_0 of a model with a head of its own: embeddings Q4_K, head Q6_K.
TEST_F(LlamaCppReports, LlamaQuantizeOfAModelWithItsOwnHead) {
  TinyModel model({.architecture = "llama", .type = TensorType::kTQ2_0, .untied = true});
  SetType(model, "token_embd.weight", TensorType::kQ4_K);
  SetType(model, "output.weight", TensorType::kQ6_K);
  ExpectSameBitsOf(RequestFor(model), "token_embd Q4_K, output Q6_K");
}

// The same of a tied one: embeddings Q6_K.
TEST_F(LlamaCppReports, LlamaQuantizeOfATiedModel) {
  TinyModel model({.type = TensorType::kTQ2_0, .embedding_type = TensorType::kQ6_K});
  ExpectSameBitsOf(RequestFor(model), "token_embd Q6_K");
}

// Rows that are no multiple of 256 become Q4_0, as ffn_down of bitnet_b1_58-3B with its 8640.
TEST_F(LlamaCppReports, LlamaQuantizeOfOddRows) {
  TinyModel model({.type = TensorType::kQ4_0, .n_ff = 8640 / 10});
  for (auto& [name, tensor] : model.tensors) {
    if (name.starts_with("blk.") && tensor.shape.size() == 2 && tensor.shape[0] % 256 == 0)
      tensor.type = TensorType::kTQ2_0;
  }
  EXPECT_EQ(model.tensors.at("blk.0.ffn_down.weight").type, TensorType::kQ4_0);
  EXPECT_EQ(model.tensors.at("blk.0.ffn_up.weight").type, TensorType::kTQ2_0);
  ExpectSameBitsOf(RequestFor(model), "ffn_down Q4_0");
}

TEST_F(LlamaCppReports, I2sIsRefusedWithAReason) {
  TinyModel model({.type = TensorType::kI2_S});
  const std::string message = Refusal(RequestFor(model));
  EXPECT_NE(message.find("type 36"), std::string::npos) << message;
}

TEST_F(LlamaCppReports, TheArchitectureOf2B4TIsRefusedByName) {
  for (const char* name : {"bitnet-b1.58", "bitnet-25"}) {
    TinyModel model({.architecture = name, .type = TensorType::kTQ2_0});
    const std::string message = Refusal(RequestFor(model));
    EXPECT_NE(message.find(name), std::string::npos) << message;
  }
}

// bitnet.cpp's embedding models: we run them, llama.cpp has no such norms.
TEST_F(LlamaCppReports, ANormInFrontOfEachProjectionIsTheReferencesRefusal) {
  for (const char* name : {"qwen3", "gemma3"}) {
    TinyModel model({.architecture = name, .type = TensorType::kTQ2_0, .norms_in = true});
    const std::string message = Refusal(RequestFor(model));
    EXPECT_NE(message.find("wrong number of tensors"), std::string::npos) << message;
  }
}

// The official file of April 2025 says bitnet-25; some have output.weight, 333 tensors in place of 332: the embeddings
// once more. The reference multiplies with the embeddings in any case.
TEST_F(BitnetCppReports, TheOldNameOf2B4T) {
  TinyModel model({.architecture = "bitnet-25", .type = TensorType::kI2_S});
  ExpectSameBitsOf(RequestFor(model), "tied");
  model.tensors["output.weight"] = model.tensors.at("token_embd.weight");
  ExpectSameBitsOf(RequestFor(model), "with output.weight");
}

// utils/quantize_embeddings.py of bitnet.cpp.
class EmbeddingsBesideI2s : public BitnetCppReports, public testing::WithParamInterface<TensorType> {};

TEST_P(EmbeddingsBesideI2s, GiveTheSameBits) {
  TinyModel model({.type = TensorType::kI2_S, .embedding_type = GetParam()});
  ExpectSameBitsOf(RequestFor(model), std::string(bitnet::TypeName(GetParam())));
}

INSTANTIATE_TEST_SUITE_P(Types, EmbeddingsBesideI2s,
                         testing::Values(TensorType::kF32, TensorType::kF16, TensorType::kQ8_0, TensorType::kQ6_K,
                                         TensorType::kQ5_0, TensorType::kQ4_0, TensorType::kQ3_K, TensorType::kTQ2_0),
                         [](const auto& info) { return std::string(bitnet::TypeName(info.param)); });

// bitnet.cpp's converters write the no-op, and so do llama.cpp's.
TEST_F(BitnetCppReports, RopeScalingByOne) {
  TinyModel model({.type = TensorType::kI2_S});
  model.metadata["bitnet.rope.scaling.type"] = std::string("linear");
  model.metadata["bitnet.rope.scaling.factor"] = 1.0f;
  ExpectSameBitsOf(RequestFor(model), "linear, 1.0");
}

}  // namespace
}  // namespace parity
