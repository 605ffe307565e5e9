// An honest engine that rounds elsewhere climbs with profile cosine, and with a mistake in it does not.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/capture.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using testing::HasSubstr;

std::string ModelPath(const std::string& name) { return PARITY_BINARY_DIR "/fixtures/models/" + name + ".gguf"; }

// Against the native engine.
ProcessResult Climb(const std::string& model, const std::string& flags, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {BITNET_PARITY_PROGRAM,
                                        "ladder",
                                        "--model",
                                        ModelPath(model),
                                        "--candidate",
                                        "exec:" NOT_EXACT_ENGINE " " + flags,
                                        "--reference",
                                        "native",
                                        "--profile",
                                        "cosine",
                                        "--format",
                                        "json",
                                        "--no-explanation",
                                        "--prompt",
                                        "In the beginning God created"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunProcess(arguments, std::chrono::seconds(120));
}

std::string FailedStage(const ProcessResult& result) {
  const auto verdict = nlohmann::json::parse(result.output, nullptr, /*allow_exceptions=*/false);
  if (!verdict.is_object() || !verdict.at("failed_stage").is_string()) return "";
  return verdict.at("failed_stage");
}

class NotExactEngine : public testing::TestWithParam<std::string> {};

TEST_P(NotExactEngine, ClimbsInBothSchedules) {
  const ProcessResult result = Climb(GetParam(), "", {"--schedule", "both"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
}

INSTANTIATE_TEST_SUITE_P(Models, NotExactEngine,
                         testing::Values("kjv-bitnet.f32", "kjv-bitnet.f16", "kjv-bitnet.tq2_0", "kjv-bitnet.i2_s",
                                         "kjv-bitnet.q8_0", "kjv-bitnet-b1.58.f16", "kjv-bitnet-b1.58.tq2_0",
                                         "kjv-bitnet-b1.58.i2_s"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                           return name;
                         });

nlohmann::json ExplanationOf(const std::string& model, const std::string& flags,
                             const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"ladder", "--model",    ModelPath(model), "--format",
                                        "json",   "--schedule", "batch"};
  arguments.insert(arguments.end(), {"--candidate", "exec:" NOT_EXACT_ENGINE " " + flags});
  arguments.insert(arguments.end(), {"--prompt", "In the beginning God created the heaven and the earth."});
  arguments.insert(arguments.end(), more.begin(), more.end());
  const ProcessResult result = RunParity(arguments);
  const auto verdict = nlohmann::json::parse(result.output, nullptr, /*allow_exceptions=*/false);
  if (!verdict.is_object() || !verdict.contains("explanation")) {
    ADD_FAILURE() << result.output << result.last_words;
    return {{"stage", ""}, {"layer", -2}, {"causes", nlohmann::json::array()}};
  }
  return verdict.at("explanation");
}

std::string FirstCause(const nlohmann::json& explanation) {
  return explanation.at("causes").empty() ? "" : explanation.at("causes").at(0).at("id").get<std::string>();
}

// Its habits are told from what is wrong with it: nothing.
TEST(NotExactEngineAlone, HasHabitsAndNoMistake) {
  for (const char* model : {"kjv-bitnet.f32", "kjv-bitnet.tq2_0", "kjv-bitnet-b1.58.i2_s"}) {
    const nlohmann::json e = ExplanationOf(model, "", {"--reference", "native", "--profile", "cosine"});
    const nlohmann::json& survey = e.at("survey");
    EXPECT_EQ(survey.at("findings"), nlohmann::json::array()) << model;
    std::vector<std::string> habits;
    for (const nlohmann::json& habit : survey.at("habits")) habits.push_back(habit.at("id"));
    EXPECT_THAT(habits, testing::IsSupersetOf({"float_cache", "float_attention", "int8_head"})) << model;
  }
}

// Few rows that round otherwise may be those of another epsilon, to the bit: that proves nothing.
TEST(NotExactEngineAlone, NoMistakeIsMadeOfRounding) {
  const ProcessResult result = RunParity({"ladder", "--model", ModelPath("kjv-bitnet.tq2_0"), "--candidate",
                                          "exec:" NOT_EXACT_ENGINE, "--reference", "native", "--profile", "cosine",
                                          "--prompt", "In the beginning", "--max-tokens", "4", "--format", "json"});
  const auto verdict = nlohmann::json::parse(result.output, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(verdict.is_object() && verdict.contains("explanation")) << result.output << result.last_words;
  const nlohmann::json& e = verdict.at("explanation");
  std::vector<std::string> habits, causes;
  for (const nlohmann::json& habit : e.at("survey").at("habits")) habits.push_back(habit.at("id"));
  for (const nlohmann::json& cause : e.at("causes")) causes.push_back(cause.at("id"));
  EXPECT_THAT(causes, testing::UnorderedElementsAreArray(habits));
}

struct NamedMistake {
  const char *fault, *model, *stage;
  int layer;
  const char* cause;
};

class NotExactEngineWithAMistake : public testing::TestWithParam<NamedMistake> {};

// Beside the habits, whether or not a limit sees it.
TEST_P(NotExactEngineWithAMistake, IsNamed) {
  const NamedMistake& m = GetParam();
  const nlohmann::json e =
      ExplanationOf(m.model, std::string("--fault ") + m.fault, {"--reference", "native", "--profile", "cosine"});
  EXPECT_EQ(e.at("stage"), m.stage) << e.dump(2);
  EXPECT_EQ(e.at("layer"), m.layer);
  EXPECT_EQ(FirstCause(e), m.cause);
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, NotExactEngineWithAMistake,
    testing::Values(NamedMistake{"epsilon_small", "kjv-bitnet.f32", "attn_norm", 0, "norm_epsilon"},
                    NamedMistake{"rope_base:3", "kjv-bitnet.tq2_0", "q_rope", 3, "rope_base"},
                    NamedMistake{"gqa_modulo", "kjv-bitnet.i2_s", "attn_scores", 0, "gqa_mapping"},
                    NamedMistake{"softmax_scale:5", "kjv-bitnet.f32", "attn_scores_softmax", 5, "softmax_scale"},
                    NamedMistake{"residual_element:0", "kjv-bitnet.tq2_0", "layer_out", 0, "residual"},
                    NamedMistake{"quantize_truncate:2", "kjv-bitnet.i2_s", "q_proj", 2, "quantized_by_truncation"},
                    NamedMistake{"quantize_045:2", "kjv-bitnet.tq2_0", "q_proj", 2, "quantized_rounding"},
                    NamedMistake{"head_last_row", "kjv-bitnet.tq2_0", "logits", -1, "neighbouring_row"}),
    [](const auto& info) {
      std::string name = info.param.fault;
      std::replace(name.begin(), name.end(), ':', '_');
      return name;
    });

// A cause that would make right numbers wrong is not certain: here RoPE is off while decoding alone.
TEST(NotExactEngineAlone, ACauseThatHoldsInPartIsNotCertain) {
  for (const auto& [fault, certainty] :
       {std::pair("rope_decode_position", "likely"), std::pair("rope_k_position", "certain")}) {
    const nlohmann::json e = ExplanationOf("kjv-bitnet.tq2_0", std::string("--fault ") + fault,
                                           {"--reference", "native", "--profile", "cosine"});
    EXPECT_EQ(FirstCause(e), "rope_position_off_by_one") << fault;
    EXPECT_EQ(e.at("causes").at(0).at("certainty"), certainty) << fault;
  }
}

// Limits from good runs find what the built-in ones pass, and pass what is good.
TEST(NotExactEngineAlone, IsCalibrated) {
  const TemporaryDirectory root;
  const std::string limits = root.path() + "/limits.json", engine = "exec:" NOT_EXACT_ENGINE;
  const ProcessResult made =
      RunParity({"calibrate", "--model", ModelPath("kjv-bitnet.tq2_0"), "--candidate", engine, "--reference", "native",
                 "--prompt", "count", "sum", "hello", "--schedule", "batch", "--factor", "4", "--output", limits});
  ASSERT_EQ(made.exit_code, 0) << made.last_words;
  const std::vector<std::string> judged = {"--thresholds", limits, "--profile", "calibrated", "--schedule", "batch"};
  EXPECT_EQ(Climb("kjv-bitnet.tq2_0", "", judged).exit_code, 0);
  EXPECT_EQ(Climb("kjv-bitnet.tq2_0", "--fault rope_negative", judged).exit_code, 1);
  const ProcessResult bad =
      RunParity({"calibrate", "--model", ModelPath("kjv-bitnet.tq2_0"), "--candidate", engine + " --fault bos_missing",
                 "--reference", "native", "--prompt", "count", "--output", limits});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.last_words, HasSubstr("fails at tokens, which no limit mends"));
}

// Against its own previous build what changed is named, however little it is.
TEST(NotExactEngineAlone, IsComparedWithItsPreviousBuild) {
  const std::vector<std::string> baseline = {"--baseline", "exec:" NOT_EXACT_ENGINE};
  const nlohmann::json e = ExplanationOf("kjv-bitnet.tq2_0", "--fault softmax_scale:2", baseline);
  EXPECT_EQ(e.at("stage"), "attn_scores_softmax");
  EXPECT_EQ(e.at("layer"), 2);
  EXPECT_EQ(FirstCause(e), "softmax_scale");
  const nlohmann::json rounding = ExplanationOf("kjv-bitnet.tq2_0", "--sums double", baseline);
  EXPECT_EQ(rounding.at("stage"), "attn_norm");
  EXPECT_EQ(rounding.at("bisection").at("verdict"), "operation") << "what changed, not what rounding may explain";
}

// A change too small to be told from a rounding where it begins (attn_norm) shows where the rows are small. What was
// wrong before is not what changed.
TEST(NotExactEngineAlone, WhatIsNewSinceThePreviousBuildIsTold) {
  const nlohmann::json small =
      ExplanationOf("kjv-bitnet.f32", "--fault epsilon_small:3", {"--baseline", "exec:" NOT_EXACT_ENGINE});
  EXPECT_EQ(FirstCause(small), "norm_epsilon") << small.dump(2);
  const nlohmann::json e = ExplanationOf("kjv-bitnet.tq2_0", "--fault softmax_scale:2 --fault rope_base:3",
                                         {"--baseline", "exec:" NOT_EXACT_ENGINE " --fault softmax_scale:2"});
  EXPECT_EQ(e.at("survey").at("findings").size(), 2u) << "q_rope and k_rope: " << e.dump(2);
  EXPECT_EQ(FirstCause(e), "rope_base");
  EXPECT_EQ(e.at("survey_of_reference").at("findings").at(0).at("stage"), "attn_scores_softmax");
}

// What the engine leaves behind for a short prompt with these options.
Capture RunAlone(const std::string& directory, const std::string& model, const std::vector<std::string>& options,
                 const nlohmann::json& more = nlohmann::json::object()) {
  nlohmann::json request = {{"schema", "bitnet-parity/request/1"},
                            {"model", ModelPath(model)},
                            {"text", "In the beginning God created<|eot_id|>the heaven  "},
                            {"max_tokens", 3}};
  request.update(more);
  WriteJsonFile(directory + "/request.json", request);
  std::string out = directory + "/out";
  for (int i = 0; std::filesystem::exists(out); ++i) out = fmt::format("{}/out{}", directory, i);
  std::vector<std::string> arguments = {NOT_EXACT_ENGINE};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {directory + "/request.json", out});
  const ProcessResult result = RunProcess(arguments, std::chrono::seconds(60));
  EXPECT_EQ(result.exit_code, 0) << fmt::format("{}", fmt::join(options, " ")) << result.last_words;
  return ReadCapture(out);
}

TEST(NotExactEngine, EveryHabitMakesADifference) {
  const TemporaryDirectory root;
  const std::vector<std::vector<std::string>> habits = {{"--kv", "f16"},   {"--floats", "f16"}, {"--head", "file"},
                                                        {"--exp", "libm"}, {"--rope", "float"}, {"--sums", "double"},
                                                        {"--tq2", "row"}};
  for (const std::vector<std::string>& habit : habits) {
    const std::string model = habit[0] == "--tq2" ? "kjv-bitnet.tq2_0" : "kjv-bitnet.f16";
    const Capture all = RunAlone(root.path(), model, {}), other = RunAlone(root.path(), model, habit);
    EXPECT_EQ(all.tokens, other.tokens);
    EXPECT_NE(all.logits.data, other.logits.data) << habit[0];
  }
}

// It is honest: with the habits turned the references' way each of its operations follows from its own inputs, however
// it adds.
TEST(NotExactEngine, WithoutItsHabitsEveryOperationFollows) {
  const TemporaryDirectory root;
  for (const std::string model : {"kjv-bitnet.f32", "kjv-bitnet.f16", "kjv-bitnet.tq2_0", "kjv-bitnet-b1.58.tq2_0"}) {
    const Capture c = RunAlone(root.path(), model, {"--kv", "f16", "--floats", "f16", "--head", "file"},
                               {{"trace", "full"}, {"raw_tensors", true}});
    const ProcessResult replay = RunParity({"replay", "--model", ModelPath(model), "--reference", c.directory});
    EXPECT_EQ(replay.exit_code, 0) << model << replay.output << replay.last_words;
  }
}

// What it computes in a batch and token by token is the same to the bit: one row is computed like many.
TEST(NotExactEngine, ABatchIsTokensOneByOne) {
  const TemporaryDirectory root;
  const auto run = [&](const std::string& schedule) {
    Capture c = RunAlone(root.path(), "kjv-bitnet.i2_s", {},
                         {{"text", "And God said, \"Let there be light\" \xe2\x80\x94 "},
                          {"trace", "core,blk2/*;seq=0-4"},
                          {"schedule", schedule}});
    EXPECT_EQ(RunParity({"check-capture", c.directory}).exit_code, 0);
    return c;
  };
  const Capture batch = run("batch"), tokens = run("token-by-token");
  EXPECT_EQ(batch.logits.data, tokens.logits.data);
  EXPECT_EQ(batch.generated, tokens.generated);
  ASSERT_EQ(batch.traces.size(), tokens.traces.size());
  EXPECT_FALSE(batch.traces.empty());
}

struct Fault {
  const char *flags, *model, *stage;
};

class NotExactEngineFault : public testing::TestWithParam<Fault> {};

TEST_P(NotExactEngineFault, Fails) {
  const ProcessResult result = Climb(GetParam().model, GetParam().flags);
  EXPECT_EQ(result.exit_code, 1) << result.output << result.last_words;
  EXPECT_EQ(FailedStage(result), GetParam().stage);
}

INSTANTIATE_TEST_SUITE_P(Faults, NotExactEngineFault,
                         testing::Values(Fault{"--fault rope_layout", "kjv-bitnet.f32", "positions"},
                                         Fault{"--fault activation:3", "kjv-bitnet-b1.58.i2_s", "first-logit"},
                                         Fault{"--fault code_order:0", "kjv-bitnet.tq2_0", "first-logit"},
                                         Fault{"--fault mask_self", "kjv-bitnet.i2_s", "positions"},
                                         Fault{"--fault bos_missing", "kjv-bitnet.f16", "tokens"},
                                         Fault{"--fault token_second", "kjv-bitnet.f16", "decode"}),
                         [](const auto& info) { return std::to_string(info.index); });

// Every mistake changes something that the engine leaves behind.
TEST(NotExactEngine, EveryFaultMakesADifference) {
  const TemporaryDirectory root;
  const Capture healthy = RunAlone(root.path(), "kjv-bitnet.tq2_0", {});
  EXPECT_EQ(healthy.tokens.size() % 2, 1u) << "one of the mistakes is in odd batches";
  std::istringstream list(RunProcess({NOT_EXACT_ENGINE, "--list-faults"}, std::chrono::seconds(20)).output);
  int n = 0;
  for (std::string line; std::getline(list, line); ++n) {
    const std::string name = line.substr(0, line.find(' '));
    const Capture c = RunAlone(root.path(), "kjv-bitnet.tq2_0", {"--fault", name});
    EXPECT_FALSE(c.tokens == healthy.tokens && c.generated == healthy.generated &&
                 c.logits.data == healthy.logits.data && c.decode_logits.data == healthy.decode_logits.data)
        << name;
  }
  EXPECT_GE(n, 50);
}

TEST(NotExactEngine, WhatItCannotDoIsSaid) {
  const auto words = [](const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {NOT_EXACT_ENGINE};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return RunProcess(all, std::chrono::seconds(20)).last_words;
  };
  EXPECT_THAT(words({"--fault", "nonsense", "a", "b"}), HasSubstr("found 'nonsense'"));
  EXPECT_THAT(words({"--fault", "bos_missing:3", "a", "b"}), HasSubstr("without a layer"));
  EXPECT_THAT(words({"--kv", "f64", "a", "b"}), HasSubstr("found 'f64', expected f32 or f16"));
  EXPECT_THAT(words({"/none", "b"}), HasSubstr("/none: cannot read"));
  EXPECT_THAT(Climb("kjv-bitnet.f32", "--fault code_order").output, HasSubstr("no ternary weights"));
  EXPECT_THAT(Climb("kjv-bitnet.tq1_0", "").output, HasSubstr("has type 34"));
}

}  // namespace
}  // namespace parity
