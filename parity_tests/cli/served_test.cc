// Engines without an adapter: programs that print, servers, saved logits.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "fixtures/generate.h"
#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/npy.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/registry.h"
#include "reference/engines/served_for_test.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kModels = PARITY_BINARY_DIR "/fixtures/models/";
const std::string kTq2 = kModels + "kjv-bitnet.tq2_0.gguf";

// Engines that print: ours, and one that is not exact.
const std::string kGenerate = "text:" BITNET_PARITY_PROGRAM
                              " generate --model {model} --prompt {prompt} --prompt-template raw --greedy --max-tokens "
                              "{max_tokens} --threads 1";
std::string Printing(const std::string& flags) {
  return "text:" NOT_EXACT_ENGINE " " + flags + " --print {max_tokens} {model} {prompt}";
}

struct Climbed {
  nlohmann::json verdict;
  int exit_code = 0;
  std::string last_words;

  nlohmann::json stage(const std::string& name) const {
    for (const nlohmann::json& stage : verdict.at("stages")) {
      if (stage.at("stage") == name) return stage;
    }
    return {};
  }
  std::string status(const std::string& name) const { return stage(name).value("status", ""); }
  std::string cause() const {
    const nlohmann::json causes =
        verdict.value("explanation", nlohmann::json::object()).value("causes", nlohmann::json());
    return causes.empty() ? "" : causes[0].value("id", "");
  }
};

Climbed ClimbServed(const std::string& candidate, const std::vector<std::string>& more = {},
                    const std::string& model = kTq2, const std::string& prompt = "In the beginning God created") {
  std::vector<std::string> arguments = {"ladder", "--model",           model, "--candidate", candidate, "--prompt",
                                        prompt,   "--prompt-template", "raw", "--format",    "json"};
  const std::pair<const char*, const char*> defaults[] = {
      {"--max-tokens", "24"}, {"--threads", "2"}, {"--reference", "native"}};
  for (const auto& [option, value] : defaults) {
    if (std::find(more.begin(), more.end(), option) == more.end()) arguments.insert(arguments.end(), {option, value});
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  const ProcessResult result = RunParity(arguments);
  Climbed climbed{nlohmann::json::parse(result.output, nullptr, false), result.exit_code, result.last_words};
  if (!climbed.verdict.is_object()) ADD_FAILURE() << result.output << result.last_words;
  return climbed;
}

TEST(TextCandidate, OurOwnEngineThatPrints) {
  for (const char* model : {"kjv-bitnet.tq2_0.gguf", "kjv-bitnet.i2_s.gguf", "kjv-bitnet-b1.58.tq2_0.gguf"}) {
    const Climbed c = ClimbServed(kGenerate, {}, kModels + model);
    EXPECT_EQ(c.exit_code, 0) << model << c.last_words;
    EXPECT_EQ(c.verdict.at("verdict"), "parity, limited coverage") << model;
    const nlohmann::json& coverage = c.verdict.at("coverage");
    EXPECT_EQ(coverage.at("judged"), (nlohmann::json{"preflight", "decode"}));
    EXPECT_EQ(coverage.at("not_judged"), (nlohmann::json{"tokens", "shapes", "first-logit", "positions"}));
    EXPECT_EQ(coverage.at("candidate_shows"), nlohmann::json{"text"});
  }
}

TEST(TextCandidate, CoverageThatIsRequired) {
  EXPECT_EQ(ClimbServed(kGenerate, {"--require-coverage", "decode"}).exit_code, 0);
  const Climbed c = ClimbServed(kGenerate, {"--require-coverage", "tokens,decode"});
  EXPECT_EQ(c.exit_code, 2);
  EXPECT_EQ(c.verdict.at("verdict"), "error");
  EXPECT_EQ(c.verdict.at("coverage").at("missing"), nlohmann::json{"tokens"});
  const ProcessResult bad = RunParity({"ladder", "--model", kTq2, "--prompt", "a", "--require-coverage", "tokenz"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.last_words, HasSubstr("tokenz"));
}

TEST(TextCandidate, ReportsSayWhatWasNotJudged) {
  for (const char* format : {"text", "markdown", "html"}) {
    const ProcessResult result =
        RunParity({"ladder", "--model", kTq2, "--candidate", kGenerate, "--reference", "native", "--prompt", "Hello",
                   "--prompt-template", "raw", "--format", format});
    EXPECT_EQ(result.exit_code, 0) << result.last_words;
    EXPECT_THAT(result.output, AllOf(HasSubstr("limited coverage"),
                                     HasSubstr("judged: decode; not judged: tokens, shapes, first-logit, positions"),
                                     HasSubstr("the candidate shows no token ids")))
        << format;
  }
}

// It rounds otherwise; where that turns a near-tie both go on with the reference's token. By a profile that knows no
// near-ties the texts part, and yet nothing is accused.
TEST(TextCandidate, AnHonestEngineIsNotAccused) {
  bool turned = false;
  for (const char* prompt : {"In the beginning", "Hello", "And God said"}) {
    Climbed c = ClimbServed(Printing(""), {}, kTq2, prompt);
    EXPECT_EQ(c.exit_code, 0) << c.verdict;
    EXPECT_EQ(c.verdict.at("profile").at("name"), "cosine");
    turned |= c.stage("decode").dump().find("at which both went on with the reference's token") != std::string::npos;
    c = ClimbServed(Printing(""), {"--profile", "strict"}, kTq2, prompt);
    EXPECT_EQ(c.cause(), "") << c.verdict.at("explanation");
    if (c.exit_code == 0) continue;
    EXPECT_THAT(c.verdict.at("explanation").at("not_diagnosed").get<std::string>(), HasSubstr("healthy model prints"));
  }
  EXPECT_TRUE(turned);
}

// Each near-tie is gone on behind with the reference's token, and yet a wrong engine does not slip through.
TEST(TextCandidate, ManyTiesAreNoRounding) {
  const Climbed c =
      ClimbServed(Printing("--fault k_stale"), {"--max-tokens", "16", "--no-explanation"}, kTq2, "In the beginning");
  EXPECT_EQ(c.exit_code, 1) << c.verdict;
  EXPECT_THAT(c.stage("decode").at("message").get<std::string>(), HasSubstr("ties in 16 tokens"));
}

TEST(TextCandidate, AMistakeIsNamedFromItsTextAlone) {
  const Climbed c = ClimbServed(Printing("--fault weight_scale_missing"), {}, kTq2, "And God said");
  EXPECT_EQ(c.exit_code, 1);
  EXPECT_EQ(c.verdict.at("failed_stage"), "decode");
  EXPECT_THAT(c.stage("decode").at("message").get<std::string>(),
              AllOf(HasSubstr("the texts part at byte"), HasSubstr("candidate: \""), HasSubstr("reference: \"")));
  EXPECT_EQ(c.cause(), "weights_scale_dropped") << c.verdict.at("explanation");
  EXPECT_THAT(c.verdict.at("explanation").at("causes").at(0).at("evidence").get<std::string>(),
              AllOf(HasSubstr("the printed text is what '"), HasSubstr("of 24 tokens")));
}

TEST(TextCandidate, BannersAndEchoesAreCutOff) {
  const std::string noisy = "text:echo 'engine v1: In the beginning'; printf '%s' {prompt}; " NOT_EXACT_ENGINE
                            " --print {max_tokens} {model} {prompt}; echo; echo 'speed: fast'";
  const Climbed c = ClimbServed(noisy, {"--text-end", "\\nspeed:"});
  EXPECT_EQ(c.exit_code, 0) << c.verdict;
  EXPECT_THAT(c.verdict.at("notes").dump(), HasSubstr("up to the prompt, which it repeats"));
  EXPECT_EQ(ClimbServed(noisy, {"--text-end", "\\nspeed:", "--text-begin", "God created"}).exit_code, 0);
  EXPECT_EQ(ClimbServed(noisy, {"--no-explanation"}).exit_code, 0) << "what is printed behind is not compared";
  const Climbed bad = ClimbServed(noisy, {"--text-begin", "Answer:"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.stage("preflight").at("message").get<std::string>(),
              AllOf(HasSubstr("\"Answer:\" matches nothing"), HasSubstr("it printed \"engine v1")));
}

TEST(TextCandidate, ACommandThatFailsIsAnError) {
  const Climbed c = ClimbServed("text:echo no memory left >&2; exit 7");
  EXPECT_EQ(c.exit_code, 2);
  EXPECT_THAT(c.stage("preflight").at("message").get<std::string>(),
              AllOf(HasSubstr("exited with code 7"), HasSubstr("no memory left")));
}

// Sampling: nothing can be told from such a text, and it says so.
TEST(TextCandidate, AnEngineThatIsNotGreedy) {
  const Climbed c = ClimbServed("text:date +%N%s");
  EXPECT_EQ(c.exit_code, 1);
  EXPECT_THAT(c.verdict.at("explanation").at("not_diagnosed").get<std::string>(),
              HasSubstr("does not decode greedily"));
}

TEST(TextCandidate, IsKeptAndReadAgain) {
  const TemporaryDirectory root;
  EXPECT_EQ(ClimbServed(kGenerate, {"--keep", root.path()}).exit_code, 0);
  const std::string kept = root.path() + "/batch/candidate";
  EXPECT_EQ(RunParity({"check-capture", kept}).exit_code, 0);
  const Climbed again = ClimbServed("recorded:" + kept);
  EXPECT_EQ(again.exit_code, 0) << again.verdict;
  EXPECT_EQ(again.verdict.at("verdict"), "parity, limited coverage");
}

TEST(TextCandidate, IsAReferenceToo) {
  const Climbed c = ClimbServed("native", {"--reference", kGenerate});
  EXPECT_EQ(c.exit_code, 0) << c.verdict;
  EXPECT_EQ(c.stage("tokens").at("message"), "the reference shows no token ids");
}

TEST(TextCandidate, OfASweep) {
  const TemporaryDirectory root;
  const ProcessResult result =
      RunParity({"sweep", "--model", kTq2, "--candidate", kGenerate, "--reference", "native", "--out",
                 root.path() + "/out", "--prompt", "hello", "--schedule", "batch", "--trace", "none"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
  EXPECT_THAT(result.output, HasSubstr("limited coverage: judged: decode"));
}

// bitnet.cpp's own program, where it is built.
TEST(TextCandidate, BitnetCpp) {
  const char* home = std::getenv("HOME");
  const std::string program = std::string(home == nullptr ? "" : home) + "/.cache/bitnet_cpp/build/bin/llama-cli";
  if (!std::filesystem::exists(program)) GTEST_SKIP() << program << " is not here";
  const Climbed c = ClimbServed("text:" + program + " -m {model} -p {prompt} -n {max_tokens} --temp 0 -t 1 -c {n_ctx}",
                                {}, kModels + "kjv-bitnet.i2_s.gguf");
  EXPECT_EQ(c.exit_code, 0) << c.verdict;
}

// ---- Servers ----

class HttpCandidate : public testing::Test {
 protected:
  // A server over an engine; lives as long as the test.
  std::string Serve(const std::string& spec, ServedApi api, const std::string& model = kTq2) {
    engine_ = MakeBackend(spec);
    server_.emplace(*engine_, model, api);
    return server_->url();
  }

  std::unique_ptr<Backend> engine_;
  std::optional<ServedEngine> server_;
};

TEST_F(HttpCandidate, LlamaServer) {
  const std::string url = Serve("exec:" NOT_EXACT_ENGINE " --kv f16 --floats f16 --head file", ServedApi::kLlamaServer);
  const Climbed c = ClimbServed(url, {"--profile", "cosine"});
  EXPECT_EQ(c.exit_code, 0) << c.verdict;
  EXPECT_EQ(c.verdict.at("coverage").at("judged"), (nlohmann::json{"preflight", "tokens", "decode"}));
  EXPECT_EQ(c.stage("decode").at("compared"), "24 of 24 greedy tokens equal, by their ids");
  EXPECT_THAT(c.stage("decode").at("notes").dump(), HasSubstr("120 at 24 steps"));
  EXPECT_THAT(c.verdict.at("notes").dump(), HasSubstr("asked by llama-server's /completion"));
  // Its int8 head moves the log-probabilities by more than rounding does.
  const std::string rough = Serve("exec:" NOT_EXACT_ENGINE, ServedApi::kLlamaServer);
  const Climbed strict = ClimbServed(rough, {"--no-explanation"});
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_THAT(strict.stage("decode").at("message").get<std::string>(), HasSubstr("the log-probabilities differ by"));
}

TEST_F(HttpCandidate, AFaultBehindAServerIsNamed) {
  const Climbed c = ClimbServed(Serve("exec:" NOT_EXACT_ENGINE " --fault gqa_modulo", ServedApi::kLlamaServer),
                                {"--profile", "cosine"}, kTq2, "And God said");
  EXPECT_EQ(c.exit_code, 1);
  EXPECT_EQ(c.cause(), "gqa_mapping") << c.verdict.at("explanation");
}

TEST_F(HttpCandidate, ATokenizerThatIsWrongIsSeenByTokenize) {
  const Climbed c = ClimbServed(Serve("exec:" NOT_EXACT_ENGINE " --fault bos_missing", ServedApi::kLlamaServer));
  EXPECT_EQ(c.exit_code, 1);
  EXPECT_EQ(c.verdict.at("failed_stage"), "tokens");
  EXPECT_EQ(c.cause(), "bos_missing") << c.verdict.at("explanation");
}

TEST_F(HttpCandidate, OpenAi) {
  const std::string url = Serve("exec:" NOT_EXACT_ENGINE, ServedApi::kOpenAi);
  const Climbed c = ClimbServed(url);
  EXPECT_EQ(c.exit_code, 0) << c.verdict;
  EXPECT_EQ(c.verdict.at("coverage").at("judged"), (nlohmann::json{"preflight", "decode"}));
  EXPECT_THAT(c.verdict.at("notes").dump(), HasSubstr("asked by OpenAI's /v1/completions"));
  EXPECT_EQ(ClimbServed(url + "/v1/chat/completions").exit_code, 0);
}

TEST_F(HttpCandidate, PackagedLlamaCpp) {
  const auto probe = MakeBackend("llama.cpp")->Probe();
  if (!probe.available) GTEST_SKIP() << probe.problem;
  const Climbed c = ClimbServed(Serve("llama.cpp", ServedApi::kLlamaServer));
  EXPECT_EQ(c.exit_code, 0) << c.verdict;
  EXPECT_EQ(c.stage("decode").at("compared"), "24 of 24 greedy tokens equal, by their ids");
}

TEST(HttpCandidateAlone, NobodyThere) {
  const Climbed c = ClimbServed("http://127.0.0.1:1");
  EXPECT_EQ(c.exit_code, 2);
  EXPECT_THAT(c.stage("preflight").at("message").get<std::string>(), HasSubstr("nobody answers there"));
  const ProcessResult remote =
      RunParity({"ladder", "--model", kTq2, "--prompt", "a", "--candidate", "http://example.org"});
  EXPECT_EQ(remote.exit_code, 2);
  EXPECT_THAT(remote.last_words, HasSubstr("--allow-remote"));
}

// ---- Saved logits ----

class NpyCandidate : public testing::Test {
 protected:
  // What llama.cpp said of "Hello", as somebody might have saved it.
  NpyArray all_ = ReadNpy(kRecordedHello + "/logits.npy");

  std::string Save(const std::vector<int64_t>& shape, const std::vector<float>& data) {
    WriteNpy(root_.path() + "/logits.npy", shape, data);
    return "npy:" + root_.path() + "/logits.npy";
  }
  Climbed Hello(const std::string& candidate, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"--reference", "recorded:" PARITY_SOURCE_DIR "/fixtures/recorded"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.insert(arguments.end(), {"--max-tokens", "2"});
    return ClimbServed(candidate, arguments, kTrainedModel, "Hello");
  }
  TemporaryDirectory root_;
};

TEST_F(NpyCandidate, AllPositionsSomeAndTheLast) {
  const int64_t n = all_.shape[0], n_vocab = all_.shape[1];
  Climbed c = Hello(Save({n, n_vocab}, all_.data), {"--profile", "exact"});
  EXPECT_EQ(c.exit_code, 0) << c.verdict;
  EXPECT_EQ(c.verdict.at("coverage").at("judged"), (nlohmann::json{"preflight", "first-logit", "positions"}));
  EXPECT_EQ(c.verdict.at("coverage").at("not_judged"), (nlohmann::json{"tokens", "shapes", "decode"}));

  const std::vector<float> last(all_.data.end() - n_vocab, all_.data.end());
  c = Hello(Save({n_vocab}, last), {"--profile", "exact"});
  EXPECT_EQ(c.exit_code, 0) << c.verdict;
  EXPECT_EQ(c.verdict.at("coverage").at("in_part"), nlohmann::json{"positions"});
  EXPECT_EQ(c.stage("positions").at("positions"), nlohmann::json{n - 1});
  EXPECT_EQ(Hello(Save({1, n_vocab}, last), {"--logits-at", "last"}).exit_code, 0);
  EXPECT_EQ(Hello(Save({1, n_vocab}, last), {"--no-explanation"}).exit_code, 1) << "of the first position without it";
}

TEST_F(NpyCandidate, APaddedHead) {
  const int64_t n = all_.shape[0], n_vocab = all_.shape[1];
  std::vector<float> padded;
  for (int64_t i = 0; i < n; ++i) {
    padded.insert(padded.end(), all_.data.begin() + i * n_vocab, all_.data.begin() + (i + 1) * n_vocab);
    padded.insert(padded.end(), 64, 0.0f);
  }
  const std::string spec = Save({n, n_vocab + 64}, padded);
  const Climbed c = Hello(spec, {"--no-explanation"});
  EXPECT_EQ(c.exit_code, 1);
  EXPECT_THAT(c.stage("first-logit").at("hints").dump(), HasSubstr("--cut-padded-head"));
  EXPECT_EQ(Hello(spec, {"--cut-padded-head", "--profile", "exact"}).exit_code, 0);
}

TEST_F(NpyCandidate, AMistakeIsFoundFromTheLastPositionsLogits) {
  const TemporaryDirectory kept;
  const std::vector<std::string> faulty = {"--no-explanation", "--keep", kept.path()};
  EXPECT_EQ(ClimbServed("exec:" NOT_EXACT_ENGINE " --fault gqa_modulo", faulty).exit_code, 1);
  const NpyArray logits = ReadNpy(kept.path() + "/batch/candidate/logits.npy");
  const int64_t n_vocab = logits.shape[1];
  const std::string spec = Save({n_vocab}, {logits.data.end() - n_vocab, logits.data.end()});
  const Climbed c = ClimbServed(spec);
  EXPECT_EQ(c.exit_code, 1);
  EXPECT_EQ(c.verdict.at("failed_stage"), "positions");
  EXPECT_EQ(c.cause(), "gqa_mapping") << c.verdict.at("explanation");
}

// ---- whatbug ----

nlohmann::json Whatbug(const std::string& candidate, const std::string& prompt, int* exit_code,
                       const std::string& model = kTq2) {
  const ProcessResult result = RunParity({"whatbug", "--model", model, "--candidate", candidate, "--prompt", prompt,
                                          "--prompt-template", "raw", "--format", "json", "--threads", "2"});
  *exit_code = result.exit_code;
  const nlohmann::json json = nlohmann::json::parse(result.output, nullptr, false);
  if (!json.is_object()) ADD_FAILURE() << result.output << result.last_words;
  return json;
}

TEST(WhatbugCandidate, AsksTheEngineItself) {
  int exit_code = -1;
  const nlohmann::json found = Whatbug(Printing("--fault gqa_modulo"), "And God said", &exit_code);
  EXPECT_EQ(exit_code, 1);
  EXPECT_EQ(found.at("evidence"), "text");
  EXPECT_EQ(found.at("best").at(0).at("id"), "gqa_mapping");
  const nlohmann::json healthy = Whatbug(kGenerate, "And God said", &exit_code);
  EXPECT_EQ(exit_code, 0) << healthy;
  EXPECT_TRUE(healthy.at("certainty").is_null());
}

// What an engine with the mistake found says on a prompt that was not used is what the engine says there.
TEST(WhatbugCandidate, IsConfirmedOnAnotherPrompt) {
  const ProcessResult result =
      RunParity({"whatbug", "--model", kTq2, "--candidate", Printing("--fault gqa_modulo"), "--prompt", "And God said",
                 "--prompt", "The king of Israel", "--confirm", "In the beginning", "--prompt-template", "raw",
                 "--format", "json", "--threads", "2", "--max-tokens", "12"});
  EXPECT_EQ(result.exit_code, 1) << result.last_words;
  const nlohmann::json found = nlohmann::json::parse(result.output);
  EXPECT_EQ(found.at("texts"), 2);
  EXPECT_EQ(found.at("best").at(0).at("id"), "gqa_mapping");
  EXPECT_GT(found.at("likelihood").at("over_healthy").get<double>(), 0);
  const nlohmann::json& c = found.at("confirmation");
  EXPECT_EQ(c.at("prompt"), "In the beginning");
  EXPECT_TRUE(c.at("tells_them_apart").get<bool>()) << c;
  EXPECT_TRUE(c.at("confirmed").get<bool>()) << c;
}

// Weights that were rounded to three values behind the training, or were never trained: every engine prints the same
// garbage, and it is the model's own.
TEST(WhatbugCandidate, GarbageThatIsTheModelsOwn) {
  const TemporaryDirectory root;
  const std::string model = root.path() + "/random.gguf";
  GenerateModel({.output = model, .seed = 3, .vocab_from = kTq2});
  for (const std::string& engine : {kGenerate, Printing("")}) {
    int exit_code = -1;
    const nlohmann::json found = Whatbug(engine, "In the beginning", &exit_code, model);
    EXPECT_EQ(exit_code, 0) << found;
    EXPECT_TRUE(found.at("certainty").is_null());
    EXPECT_THAT(found.at("verdict").get<std::string>(),
                AllOf(HasSubstr("the healthy model prints this text"), HasSubstr("the model's own")));
    EXPECT_EQ(ClimbServed(engine, {}, model, "In the beginning").exit_code, 0);
  }
  int exit_code = -1;
  const nlohmann::json wrong = Whatbug(Printing("--fault gqa_modulo"), "In the beginning", &exit_code, model);
  EXPECT_EQ(wrong.at("best").at(0).at("id"), "gqa_mapping") << "a mistake in the middle of garbage: " << wrong;
}

// The command that is printed asks the same model, in the same way, for one text more; it can be pasted.
TEST(WhatbugCandidate, TheCommandThatTellsMistakesApartRuns) {
  const ProcessResult first = RunProcess({BITNET_PARITY_PROGRAM,
                                          "whatbug",
                                          "--model",
                                          kTq2,
                                          "--candidate",
                                          Printing("--fault gqa_modulo"),
                                          "--prompt",
                                          "And God said",
                                          "--prompt-template",
                                          "raw",
                                          "--tokenizer",
                                          kTrainedTokenizer,
                                          "--n-ctx",
                                          "256",
                                          "--format",
                                          "json",
                                          "--threads",
                                          "2",
                                          "--max-tokens",
                                          "3"},
                                         std::chrono::seconds(300));
  const nlohmann::json found = nlohmann::json::parse(first.output, nullptr, false);
  ASSERT_TRUE(found.is_object() && found.contains("separating")) << first.output << first.last_words;
  std::string command = found.at("separating").at("command");
  EXPECT_THAT(command, AllOf(HasSubstr(" --prompt-template 'raw'"), HasSubstr("kjv-tokenizer.json'"),
                             HasSubstr(" --n-ctx '256'"), HasSubstr(" --max-tokens '3'"),
                             HasSubstr(" --prompt 'And God said' --prompt ")));
  const std::string program = "bitnet-parity";
  ASSERT_THAT(command, testing::StartsWith(program + " "));
  command = BITNET_PARITY_PROGRAM + command.substr(program.size()) + " --format json";
  const ProcessResult second = RunProcess({"/bin/sh", "-c", command}, std::chrono::seconds(300));
  const nlohmann::json of_two = nlohmann::json::parse(second.output, nullptr, false);
  ASSERT_TRUE(of_two.is_object()) << command << second.last_words;
  EXPECT_EQ(of_two.at("texts"), 2);
  EXPECT_EQ(of_two.at("best").at(0).at("id"), "gqa_mapping") << of_two;
}

// How the first garbage came about: blocks of 256 weights, four neighbours a byte, and no scale of the tensor. Nothing
// but what is printed is looked at (docs/from-garbage.md).
TEST(WhatbugCandidate, TwoMistakesFromALineOfGarbage) {
  int exit_code = -1;
  const nlohmann::json found = Whatbug(Printing("--fault code_blocks_of_256 --fault weight_scales_missing"),
                                       "In the beginning God created", &exit_code, kModels + "kjv-bitnet.i2_s.gguf");
  EXPECT_EQ(exit_code, 1);
  EXPECT_EQ(found.at("best").at(0).at("id"), "weights_linear_order + weights_scale_dropped") << found;
  EXPECT_EQ(found.at("certainty"), "certain");
  EXPECT_EQ(found.at("best").at(0).at("first_choice"), 24);
  EXPECT_LE(found.at("healthy").at("first_choice").get<int>(), 1);
}

}  // namespace
}  // namespace parity
