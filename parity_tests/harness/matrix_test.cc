#include "parity_tests/harness/matrix.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "reference/capture/error_for_test.h"

namespace parity {
namespace {

using testing::HasSubstr;

const std::string kFixtures = PARITY_SOURCE_DIR "/fixtures";

ParityMatrix Load() { return LoadMatrix(kFixtures + "/parity_matrix.json", kFixtures + "/prompts.json", "models"); }

std::string Write(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

// The error of loading a matrix whose text is `matrix` (or the fixtures') with prompts of text `prompts` (or the
// fixtures').
std::string ErrorOfLoading(const std::string& matrix, const std::string& prompts) {
  return ErrorOf([&] {
    LoadMatrix(matrix.empty() ? kFixtures + "/parity_matrix.json" : Write("matrix_test.matrix.json", matrix),
               prompts.empty() ? kFixtures + "/prompts.json" : Write("matrix_test.prompts.json", prompts), "models");
  });
}

const Case& Find(const ParityMatrix& matrix, const std::string& name) {
  for (const Case& c : matrix.cases) {
    if (CaseName(matrix, c) == name) return c;
  }
  throw std::runtime_error("no case " + name);
}

TEST(Matrix, TheFilesArePartOfTheProgram) {
  const ParityMatrix files = Load();
  const ParityMatrix built_in = LoadMatrix("", "", "");
  ASSERT_EQ(built_in.cases.size(), files.cases.size());
  for (size_t i = 0; i < files.cases.size(); ++i) {
    EXPECT_EQ(CaseName(built_in, built_in.cases[i]), CaseName(files, files.cases[i]));
    EXPECT_EQ(MakeRequest(built_in, built_in.cases[i]).text, MakeRequest(files, files.cases[i]).text);
  }
  EXPECT_EQ(built_in.models[0].path, PARITY_BINARY_DIR "/fixtures/" + files.models[0].path);
  EXPECT_EQ(built_in.recorded_directory, PARITY_BINARY_DIR "/fixtures/recorded");
}

// Prompts of a user's own need no matrix of their own.
TEST(Matrix, OtherPromptsAreEveryModels) {
  const std::string prompts = Write("matrix_test.own_prompts.json",
                                    R"({"schema": "bitnet-parity/prompts/1",
                "prompts": [{"id": "hello", "text": "Another hello", "template": "raw"}]})");
  const ParityMatrix matrix = LoadMatrix("", prompts, "");
  ASSERT_FALSE(matrix.cases.empty());
  for (const MatrixModel& model : matrix.models)
    EXPECT_EQ(model.prompts, std::vector<std::string>{"hello"}) << model.id;
  for (const Case& c : matrix.cases) EXPECT_NE(c.reference, "recorded");
}

TEST(Matrix, EveryTernaryFormatClimbsEveryPromptInBothSchedules) {
  const ParityMatrix matrix = Load();
  EXPECT_EQ(matrix.max_tokens, 32);
  EXPECT_GE(matrix.prompts.size(), 15u);
  std::set<std::string> names;
  for (const Case& c : matrix.cases) names.insert(CaseName(matrix, c));
  EXPECT_EQ(names.size(), matrix.cases.size());
  for (const char* model : {"llama_cpp.kjv_bitnet_tq1_0", "llama_cpp.kjv_bitnet_tq2_0", "bitnet_cpp.kjv_bitnet_i2_s",
                            "bitnet_cpp.kjv_bitnet_b1_58_i2_s"}) {
    for (const Prompt& prompt : matrix.prompts) {
      for (const char* schedule : {"batch", "token"}) {
        const std::string name = fmt::format("{}.{}.{}", model, prompt.id, schedule);
        EXPECT_TRUE(names.contains(name)) << name;
      }
    }
  }
  // Other formats, a model that llama.cpp does not know, and what was recorded.
  EXPECT_TRUE(names.contains("llama_cpp.kjv_bitnet_f32.genesis.token"));
  EXPECT_TRUE(names.contains("llama_cpp.kjv_bitnet_b1_58_tq2_0.hello.batch"));
  EXPECT_TRUE(names.contains("recorded.kjv_bitnet_i2_s.hello.token"));
  EXPECT_EQ(ReferenceSpec(matrix, "llama.cpp"), "llama.cpp");
  EXPECT_THAT(ReferenceSpec(matrix, "recorded"), testing::MatchesRegex("recorded:.*fixtures/recorded"));
}

TEST(Matrix, ARequestIsThePromptInItsTemplate) {
  const ParityMatrix matrix = Load();
  const Request raw = MakeRequest(matrix, Find(matrix, "llama_cpp.kjv_bitnet_f16.capital_of_france.token"));
  EXPECT_EQ(raw.model, "models/kjv-bitnet.f16.gguf");
  EXPECT_EQ(raw.text, "What is the capital of France?");
  EXPECT_TRUE(raw.add_special);
  EXPECT_EQ(raw.schedule, Schedule::kTokenByToken);
  EXPECT_EQ(raw.positions, 0);
  EXPECT_EQ(raw.max_tokens, 32);
  const Request chat = MakeRequest(matrix, Find(matrix, "llama_cpp.kjv_bitnet_f16.chat_llama3.batch"));
  EXPECT_THAT(chat.text, testing::StartsWith("<|begin_of_text|>"));
  EXPECT_THAT(chat.text, HasSubstr("King James"));
  EXPECT_FALSE(chat.add_special);
  EXPECT_EQ(chat.schedule, Schedule::kBatch);
  EXPECT_FALSE(MakeRequest(matrix, Find(matrix, "llama_cpp.kjv_bitnet_f16.special_token_spelled.batch")).parse_special);
}

TEST(Matrix, BrokenFilesNameFileAndKey) {
  EXPECT_EQ(ErrorOfLoading("", ""), "no error");
  EXPECT_THAT(ErrorOfLoading("{", ""), HasSubstr("matrix_test.matrix.json: not valid JSON"));
  EXPECT_THAT(ErrorOfLoading("[]", ""), HasSubstr("found array, expected an object"));
  EXPECT_THAT(ErrorOfLoading(R"({"schema": "x"})", ""), HasSubstr("schema: found 'x'"));
  const std::string head = R"({"schema": "bitnet-parity/matrix/1", "n_ubatch": 1, "threads": 1, "schedules": ["batch"],
                               "profile": "strict", "profile_elsewhere": "cosine", "references": ["llama.cpp"], )";
  const std::string model = R"("models": [{"id": "m", "file": "f", "format": "f32")";
  EXPECT_EQ(ErrorOfLoading(head + R"("max_tokens": 1, )" + model + "}]}", ""), "no error");
  EXPECT_EQ(ErrorOfLoading(head + model + "}]}", ""), "no error");  // each prompt's own tokens
  EXPECT_THAT(ErrorOfLoading(head + R"("max_tokens": 0, )" + model + "}]}", ""),
              HasSubstr("max_tokens: found 0, expected at least 1"));
  EXPECT_THAT(ErrorOfLoading(head + R"("max_tokens": "9", )" + model + "}]}", ""),
              HasSubstr("max_tokens: found \"9\""));
  EXPECT_THAT(ErrorOfLoading(head + R"("max_tokens": 1, "models": []})", ""),
              HasSubstr("models: expected a list with at least one entry"));
  EXPECT_THAT(ErrorOfLoading(head + R"("max_tokens": 1, )" + model + R"(, "prompts": ["nope"]}]})", ""),
              HasSubstr("models[0].prompts: \"nope\" is not one of the prompts"));
  EXPECT_THAT(ErrorOfLoading(head + R"("max_tokens": 1, )" + model + R"(, "schedules": ["all"]}]})", ""),
              HasSubstr("schedules: found \"all\", expected batch or token"));
  EXPECT_THAT(ErrorOfLoading(head + R"("max_tokens": 1, )" + model + R"(, "promts": []}]})", ""),
              HasSubstr("promts: not a key"));

  const std::string prompts = R"({"schema": "bitnet-parity/prompts/1", "prompts": )";
  EXPECT_THAT(ErrorOfLoading("", prompts + "[3]}"), HasSubstr("prompts[0]: found number"));
  EXPECT_THAT(ErrorOfLoading("", prompts + R"([{"id": "a"}]})"), HasSubstr("prompts[0].text: missing"));
  EXPECT_THAT(ErrorOfLoading("", prompts + R"([{"id": "a", "text": "", "template": "no-such"}]})"),
              HasSubstr("prompts[0].template:"));
  EXPECT_THAT(ErrorOfLoading("", prompts + R"([{"id": "a", "text": "", "template": "auto"}]})"),
              HasSubstr("depends on the model"));
  EXPECT_THAT(
      ErrorOfLoading(
          "", prompts + R"([{"id": "a", "text": "", "template": "raw"}, {"id": "a", "text": "", "template": "raw"}]})"),
      HasSubstr("prompts[1].id: found \"a\", expected a name not used before"));
  EXPECT_THAT(ErrorOfLoading("", prompts + R"([{"id": "a", "text": "", "template": "raw", "txt": 1}]})"),
              HasSubstr("txt: not a key"));
}

// Neither a template nor a vocabulary that is not known here keeps two engines from being compared.
TEST(Matrix, WhereNoTemplateIsKnownThePromptIsRaw) {
  for (const char* odd : {"tokenizer.chat_template=str:{% odd %}", "tokenizer.ggml.model=str:odd"}) {
    Request request;
    request.model = PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf";
    request.override_kv = {odd};
    const Prompt prompt = {.id = "", .text = "Hello", .prompt_template = "auto", .system = ""};
    std::string note;
    SetPrompt(prompt, request, &note);
    EXPECT_EQ(request.text, "Hello");
    EXPECT_EQ(request.prompt_template, "raw");
    EXPECT_THAT(note, HasSubstr("the prompt is taken raw")) << odd;
    EXPECT_THROW(SetPrompt(prompt, request), std::runtime_error) << odd;
    request.model = "/nowhere.gguf";
    EXPECT_THROW(SetPrompt(prompt, request, &note), std::runtime_error);
  }
}

TEST(Matrix, AModelOfTheUsersComesBehindTheOthers) {
  ParityMatrix matrix = Load();
  const size_t before = matrix.cases.size();
  const std::string path = kFixtures + "/models/kjv-bitnet.tq2_0.gguf";
  AddModel(matrix, "mine", path);
  EXPECT_EQ(matrix.models.back().path, path);
  ASSERT_EQ(matrix.cases.size(), before + 2 * 2 * matrix.prompts.size());  // two references, two schedules
  EXPECT_EQ(CaseName(matrix, matrix.cases[before]), "llama_cpp.mine.sum.batch");
  EXPECT_EQ(MakeRequest(matrix, matrix.cases.back()).model, path);
  EXPECT_THAT(ErrorOf([&] { AddModel(matrix, "none", "/nowhere.gguf"); }), HasSubstr("/nowhere.gguf: no such file"));
}

}  // namespace
}  // namespace parity
