// `inspect` and `compat-check` on the trained model and on files with one thing wrong.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/gguf/gguf.h"
#include "engine/model/model.h"
#include "engine/model/model_for_test.h"
#include "fixtures/convert.h"
#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// The trained model with the gammas of one kind of norm changed in every layer, or in one.
std::string WithNorm(const std::string& name, const std::string& kind, int layer,
                     const std::function<float(float, size_t)>& change) {
  static const TemporaryDirectory root;
  const std::string path = fmt::format("{}/{}.gguf", root.path(), name);
  std::filesystem::copy_file(kTrainedModel, path, std::filesystem::copy_options::overwrite_existing);
  const bitnet::GgufFile file = bitnet::GgufFile::Open(kTrainedModel);
  const std::byte* start = file.Data(file.tensors().front()).data() - file.tensors().front().offset;
  std::ifstream original(kTrainedModel, std::ios::binary);
  const auto data_begin = static_cast<std::streamoff>(file.file_bytes());
  // Where the data section starts in the file: the tensors end with it.
  std::streamoff end = 0;
  for (const auto& t : file.tensors()) end = std::max(end, static_cast<std::streamoff>(t.offset + t.bytes));
  const std::streamoff alignment = static_cast<std::streamoff>(file.alignment());
  const std::streamoff section = data_begin - (end + alignment - 1) / alignment * alignment;
  std::fstream out(path, std::ios::in | std::ios::out | std::ios::binary);
  for (const auto& t : file.tensors()) {
    const bool wanted =
        layer >= 0 ? t.name == fmt::format("blk.{}.{}.weight", layer, kind) : t.name.ends_with("." + kind + ".weight");
    if (!wanted) continue;
    std::vector<float> values(t.bytes / sizeof(float));
    std::memcpy(values.data(), start + t.offset, t.bytes);
    for (size_t i = 0; i < values.size(); ++i) values[i] = change(values[i], i);
    out.seekp(section + static_cast<std::streamoff>(t.offset));
    out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(t.bytes));
  }
  return path;
}

TEST(Inspect, ATrainedModelPasses) {
  const ProcessResult result = RunParity({"inspect", kTrainedModel});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("gate auto: passed"));
  EXPECT_THAT(result.output, HasSubstr("blk.5.ffn_down.weight"));
}

TEST(Inspect, TheSmallAttnNormOfThePublishedModelPasses) {
  const std::string path = WithNorm("small", "attn_norm", -1, [](float v, size_t) { return v * 0.02f; });
  EXPECT_EQ(RunParity({"inspect", path, "--ln-stats"}).exit_code, 0);
}

TEST(Inspect, NamesI2sLayoutsOfTheSameSize) {
  const TemporaryDirectory folder;
  ConvertOptions options;
  options.input = kTrainedModel;
  options.type = bitnet::TensorType::kI2_S;
  options.output = folder.path() + "/x86.gguf";
  options.i2s_layout = bitnet::AllI2sLayouts().front();
  ConvertModel(options);
  const bitnet::Model original = bitnet::Model::Load(options.output);
  options.output = folder.path() + "/i2_s.gguf";
  for (const auto& [layout, found] : {std::pair{"x86", ""},
                                      {"arm", "seems to be arm\n"},
                                      {"neighbours", "seems to be neighbours\n"},
                                      {"neighbours-low", "seems to be neighbours-low\n"},
                                      {"four-rows", "seems to be four-rows\n"},
                                      {"x86/0+-", "seems to be x86/0+- or /0-+\n"},
                                      {"arm/+-0", "seems to be arm/+-0 or /-+0\n"}}) {
    options.i2s_layout = bitnet::ParseI2sLayout(layout);
    ConvertModel(options);
    const std::string output = RunParity({"inspect", options.output}).output;
    EXPECT_EQ(output.find("I2_S: ") == std::string::npos, std::string(found).empty()) << layout;
    EXPECT_THAT(output, HasSubstr(found)) << layout;
    // Told how to read it, the engine has the weights of the original.
    const bitnet::Model model = bitnet::Model::Load(options.output, {.i2s_layout = options.i2s_layout});
    const bitnet::WeightMatrix& w = original.weights.layers.at(1).attn_k;
    EXPECT_EQ(std::memcmp(model.weights.layers.at(1).attn_k.data, w.data, w.rows * w.cols / 4), 0) << layout;
  }
}

// The type's number of one tensor, changed in a copy of the file: a 32-bit word behind its name and shape.
std::string WithType(const TemporaryDirectory& folder, const std::string& tensor, uint32_t number) {
  std::ifstream in(kTrainedModel, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::memcpy(bytes.data() + bytes.find(tensor) + tensor.size() + 4 + 2 * 8, &number, sizeof(number));
  const std::string path = fmt::format("{}/type{}.gguf", folder.path(), number);
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(CompatCheck, DescribesTypesThatNobodyHereRunsToTheEnd) {
  const TemporaryDirectory folder;
  for (const auto& [number, name, remedy] : {std::tuple{39u, "TL2", "setup_env.py -q i2_s"},
                                             {142u, "IQ2_TN or PQ2_0", "if IQ2_TN: ik_llama.cpp writes and runs it"},
                                             {999u, "type 999", "no engine that we know"}}) {
    const std::string path = WithType(folder, "blk.0.attn_q.weight", number);
    const ProcessResult checked = RunParity({"compat-check", path});
    EXPECT_EQ(checked.exit_code, 0) << checked.last_words;
    EXPECT_THAT(checked.output, AllOf(HasSubstr(fmt::format("{}, as blk.0.attn_q.weight: ", name)), HasSubstr(remedy),
                                      HasSubstr("tokenizer      gpt2"), HasSubstr("engines\n  native ")));
    const ProcessResult inspected = RunParity({"inspect", path});
    EXPECT_EQ(inspected.exit_code, 0) << inspected.last_words;
    EXPECT_THAT(inspected.output, AllOf(HasSubstr("not read"), HasSubstr("gate auto: passed")));
  }
}

TEST(Inspect, DamagedNormsAreRefused) {
  const auto refused = [](const std::string& path) {
    const ProcessResult result = RunParity({"inspect", path, "--ln-stats"});
    EXPECT_EQ(result.exit_code, 1);
    std::filesystem::remove(path);
    return result.output;
  };
  EXPECT_THAT(refused(WithNorm("zero", "ffn_norm", 3, [](float, size_t) { return 0.0f; })),
              HasSubstr("blk.3.ffn_norm.weight is all zeros"));
  EXPECT_THAT(refused(WithNorm("nan", "attn_sub_norm", 0, [](float v, size_t i) { return i == 7 ? NAN : v; })),
              HasSubstr("blk.0.attn_sub_norm.weight holds NaN or Inf"));
  EXPECT_THAT(refused(WithNorm("quantized", "ffn_sub_norm", 5, [](float v, size_t) { return std::round(v * 2) / 2; })),
              HasSubstr("it was quantized"));
  EXPECT_THAT(refused(WithNorm("scaled", "attn_norm", 2, [](float v, size_t) { return v / 40; })),
              HasSubstr("blk.2.attn_norm.weight has RMS"));
  EXPECT_THAT(refused(WithNorm("tiny", "ffn_norm", -1, [](float v, size_t) { return v * 0.018f; })),
              HasSubstr("for this architecture"));
}

TEST(Inspect, AGateFileJudgesInPlaceOfTheArchitecture) {
  const TemporaryDirectory root;
  const std::string gate = root.path() + "/gate.json";
  std::ofstream(gate) << R"({"attn_norm": {"min": 5, "max": 9}})";
  EXPECT_EQ(RunParity({"inspect", kTrainedModel, "--gate", gate}).exit_code, 1);
  EXPECT_EQ(RunParity({"inspect", kTrainedModel, "--gate", "none"}).exit_code, 0);
  std::ofstream(gate) << R"({"attn_norm": 5})";
  EXPECT_EQ(RunParity({"inspect", kTrainedModel, "--gate", gate}).exit_code, 2);
  EXPECT_EQ(RunParity({"inspect", kTrainedModel, "--gate", "/no/such/file"}).exit_code, 2);
}

TEST(CompatCheck, SaysWhatIsInTheFileAndWhatRunsIt) {
  const ProcessResult result = RunParity({"compat-check", kTrainedModel, "--show-kv"});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("6 layers, 256 wide, 4/2 heads of 64"));
  EXPECT_THAT(result.output, HasSubstr("native       runs it"));
  EXPECT_THAT(result.output, HasSubstr("tokenizer.ggml.tokens = [2048 elements: \"!\""));
  EXPECT_EQ(RunParity({"compat-check", "--model", "/no/such/model.gguf"}).exit_code, 2);
}

// A vocabulary of fewer tokens than the embedding has rows.
TEST(CompatCheck, RowsWithoutAToken) {
  bitnet::TinyModel tiny({.n_vocab = 2112});
  const bitnet::GgufFile trained = bitnet::GgufFile::Open(kTrainedModel);
  for (const auto& [key, value] : trained.metadata()) {
    if (key.starts_with("tokenizer.")) tiny.metadata[key] = value;
  }
  const ProcessResult result = RunParity({"compat-check", tiny.Write()});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("token_embd.weight has 2112 rows: llama.cpp refuses such a file"));
  EXPECT_THAT(result.output, HasSubstr("native       runs it"));
}

// Falcon3 files that were made with a wrong converter, and went round.
TEST(CompatCheck, ControlTokensWithTheTextOfBosInThem) {
  bitnet::TinyModel tiny({.n_vocab = 2048});
  const bitnet::GgufFile trained = bitnet::GgufFile::Open(kTrainedModel);
  for (const auto& [key, value] : trained.metadata()) {
    if (key.starts_with("tokenizer.")) tiny.metadata[key] = value;
  }
  constexpr char kNote[] = "control tokens have the text of BOS";
  EXPECT_THAT(RunParity({"compat-check", tiny.Write()}).output, Not(HasSubstr(kNote)));
  auto tokens = trained.Get<std::vector<std::string>>("tokenizer.ggml.tokens");
  auto types = trained.Get<std::vector<int32_t>>("tokenizer.ggml.token_type");
  const auto bos = trained.Get<uint32_t>("tokenizer.ggml.bos_token_id");
  const size_t other = bos == 2047 ? 2046 : 2047;
  tokens[other] = tokens[bos] + "<|eot_id|>";
  types[other] = 3;
  tiny.metadata["tokenizer.ggml.tokens"] =
      std::make_shared<bitnet::MetadataArray>(bitnet::MetadataArray{std::move(tokens)});
  tiny.metadata["tokenizer.ggml.token_type"] =
      std::make_shared<bitnet::MetadataArray>(bitnet::MetadataArray{std::move(types)});
  const ProcessResult result = RunParity({"compat-check", tiny.Write()});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, AllOf(HasSubstr(fmt::format("1 {}", kNote)), HasSubstr("<|eot_id|>")));
}

TEST(OverrideKv, ChangesWhatTheEngineReadsAndRefusesWhatItDoesNot) {
  const auto generate = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"generate", "--model",      kTrainedModel, "--prompt",  "In the",
                                          "--greedy", "--max-tokens", "6",           "--dump-ids"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
  };
  const std::string plain = generate({}).output;
  const std::string slow = "bitnet.rope.freq_base=float:3", stretched = "bitnet.rope.scaling.factor=float:90";
  const std::string overridden = generate({"--override-kv", slow, "--override-kv", stretched}).output;
  EXPECT_NE(overridden, plain);
  EXPECT_EQ(generate({"--override-kv", slow + "," + stretched}).output, overridden);
  EXPECT_EQ(generate({"--override-kv", "general.name=str:another"}).output, plain);
  const auto refused = [&](const std::string& override) {
    const ProcessResult result = generate({"--override-kv", override});
    EXPECT_EQ(result.exit_code, 2) << override;
    return result.last_words;
  };
  EXPECT_THAT(refused("bitnet.rope.freq_bas=float:3"), HasSubstr("does not read bitnet.rope.freq_bas"));
  EXPECT_THAT(refused("bitnet.rope.freq_base=int:3"), HasSubstr("found int64 3, expected float32"));
  EXPECT_THAT(refused("bitnet.rope.freq_base"), HasSubstr("expected KEY=TYPE:VALUE"));
}

TEST(CompatCheck, ListsTheKeysThatNobodyUsesAndNotesTheActivation) {
  bitnet::TinyModel tiny;
  tiny.metadata["bitnet.hidden_activation"] = std::string("relu2");
  tiny.metadata["bitnet.rope.scaling.factor"] = 4.0f;
  tiny.metadata["bitnet.attention.sliding_window"] = uint32_t{32};
  const ProcessResult result = RunParity({"compat-check", tiny.Write()});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("keys not used  bitnet.attention.sliding_window = 32\n"));
  EXPECT_THAT(result.output, HasSubstr("angles scaled by 0.25\n"));
  EXPECT_THAT(result.output, HasSubstr("activation     squared ReLU"));
  EXPECT_THAT(result.output, HasSubstr("they compute SiLU"));
  EXPECT_THAT(result.output, Not(HasSubstr("bitnet.rope.scaling.factor")));
}

// A file of another machine's layout: the same model when told, another one when not.
TEST(I2sLayout, IsReadAsToldAndNeverGuessed) {
  const TemporaryDirectory directory;
  const std::string x86 = std::string(PARITY_BINARY_DIR) + "/fixtures/models/kjv-bitnet.i2_s.gguf";
  const std::string arm = directory.path() + "/arm.gguf";
  ConvertOptions options;
  options.input = kTrainedModel;
  options.output = arm;
  options.type = bitnet::TensorType::kI2_S;
  options.i2s_layout = bitnet::ParseI2sLayout("arm");
  ConvertModel(options);
  const auto text = [](const std::string& model, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"generate",     "--model",      model, "--prompt",
                                          "And God said", "--max-tokens", "12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments).output.substr(0, 40);
  };
  EXPECT_EQ(text(arm, {"--i2s-layout", "arm"}), text(x86, {}));
  EXPECT_NE(text(arm, {}), text(x86, {}));
  EXPECT_EQ(RunParity({"generate", "--model", arm, "--prompt", "x", "--i2s-layout", "mips"}).exit_code, 2);
}

}  // namespace
}  // namespace parity
