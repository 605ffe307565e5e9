// The command as a user runs it: exit codes, formats, what stands on standard output. The model is a small one with
// random weights, made here; engines are the native one, recorded captures, and a shell command.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fixtures/generate.h"
#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/capture.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class CliTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory = fmt::format("{}/cli_test.{}", testing::TempDir(), getpid());
    std::filesystem::create_directories(directory);
    GenerateOptions options;
    options.output = Model();
    options.n_vocab = 2048;
    GenerateModel(options);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(directory); }

  static std::string Model() { return directory + "/tiny.gguf"; }

  // `ladder` on the small model, its own reference unless the arguments name another.
  static ProcessResult Ladder(const std::vector<std::string>& more, const std::string& reference = "native") {
    std::vector<std::string> arguments = {
        "ladder",      "--model", Model(),        "--tokenizer", kTrainedTokenizer, "--prompt", "In the",
        "--reference", reference, "--max-tokens", "3",           "--threads",       "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
  }
  // A recorded reference: the native engine's own capture, changed by `perturb`. Returns its spec.
  static std::string Recorded(const std::string& name, const std::function<void(Capture&)>& perturb) {
    const std::string kept = directory + "/kept";
    if (!std::filesystem::exists(kept)) {
      EXPECT_EQ(Ladder({"--keep", kept}).exit_code, 0);
    }
    Capture capture = ReadCapture(kept + "/batch/reference");
    perturb(capture);
    WriteCapture(capture, directory + "/" + name);
    return "recorded:" + directory + "/" + name;
  }

  static inline std::string directory;
};

TEST(Version, NamesTheEnginesToo) {
  const ProcessResult result = RunParity({"--version"});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, AllOf(StartsWith("bitnet-parity "), HasSubstr("\n  native "), HasSubstr("kernels for"),
                                   HasSubstr("\n  llama.cpp ")));
}

TEST_F(CliTest, ParityIsZero) {
  const ProcessResult result = Ladder({});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output,
              AllOf(StartsWith("PARITY\n"), HasSubstr("3 of 3 greedy tokens equal"), Not(HasSubstr("\x1b"))));
}

TEST_F(CliTest, DivergenceIsOneAndNamesItsStage) {
  const std::string tokens = Recorded("tokens", [](Capture& c) { c.tokens.back() += 1; });
  const ProcessResult result = Ladder({}, tokens);
  EXPECT_EQ(result.exit_code, 1) << result.last_words;
  EXPECT_THAT(result.output, AllOf(StartsWith("DIVERGENCE at tokens\n"), HasSubstr("What usually causes that")));
  const std::string mask = Recorded("mask", [](Capture& c) { c.shapes.attends.back().back().second += 1; });
  EXPECT_THAT(Ladder({}, mask).output, StartsWith("DIVERGENCE at shapes\n"));
  const std::string first = Recorded("first", [](Capture& c) { c.logits.data[5] += 0.1f; });
  EXPECT_THAT(Ladder({}, first).output, StartsWith("DIVERGENCE at first-logit\n"));
  const std::string last = Recorded("last", [](Capture& c) { c.logits.data.back() += 0.1f; });
  EXPECT_THAT(Ladder({}, last).output, StartsWith("DIVERGENCE at positions\n"));
}

TEST_F(CliTest, ThresholdsAndProfilesCanBeChosen) {
  const std::string first = Recorded("near", [](Capture& c) { c.logits.data[5] += 0.01f; });
  EXPECT_EQ(Ladder({}, first).exit_code, 1);
  EXPECT_EQ(Ladder({"--profile", "cosine"}, first).exit_code, 0);
  EXPECT_EQ(Ladder({"--profile", "cosine", "--cos-tol", "1"}, first).exit_code, 1);
  const ProcessResult loose = Ladder({"--threshold", "first-logit.max_abs=1", "--threshold", "first-logit.mse=1",
                                      "--threshold", "positions.max_abs=1", "--threshold", "positions.mse=1"},
                                     first);
  EXPECT_EQ(loose.exit_code, 0) << loose.output << loose.last_words;
  EXPECT_THAT(loose.output, HasSubstr("strict with first-logit.max_abs=1, first-logit.mse=1"));
  EXPECT_EQ(Ladder({"--stage", "tokens"}, first).exit_code, 0);
}

TEST_F(CliTest, FewerPositionsAndTokensOfARecordedCapture) {
  const std::string last = Recorded("last2", [](Capture& c) { c.logits.data.back() += 0.1f; });
  const ProcessResult result = Ladder({"--positions", "1", "--max-tokens", "1"}, last);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("1 positions of 2048 logits"), HasSubstr("1 of 1 greedy tokens equal")));
  EXPECT_THAT(Ladder({"--max-tokens", "0"}).output, HasSubstr("skip         no token was asked for"));
}

TEST_F(CliTest, JsonIsOneObjectOrOneForEachSchedule) {
  const ProcessResult one = Ladder({"--format", "json", "--dump-ids", "--dump-ref-ids"});
  const nlohmann::json verdict = nlohmann::json::parse(one.output);
  EXPECT_EQ(verdict["verdict"], "parity");
  EXPECT_EQ(verdict["stages"].front()["stage"], "preflight");
  EXPECT_EQ(verdict["stages"].back()["stage"], "decode");
  EXPECT_EQ(verdict["ids"]["candidate prompt ids"], verdict["ids"]["reference prompt ids"]);
  EXPECT_EQ(verdict["ids"]["reference generated ids"].size(), 3u);
  const nlohmann::json both = nlohmann::json::parse(Ladder({"--format", "json", "--schedule", "both"}).output);
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0]["schedule"], "batch");
  EXPECT_EQ(both[1]["schedule"], "token");
}

TEST_F(CliTest, MarkdownAndVerbose) {
  EXPECT_THAT(Ladder({"--format", "markdown"}).output, StartsWith("## PARITY\n"));
  EXPECT_THAT(Ladder({"--verbose"}).output, HasSubstr("max_ulp"));
  EXPECT_THAT(Ladder({"--dump-ids"}).output, HasSubstr("candidate prompt ids (3): [2032, "));
}

TEST_F(CliTest, HtmlIsOnePageForBothSchedules) {
  const std::string page = Ladder({"--format", "html", "--schedule", "both", "--dump-ids"}).output;
  EXPECT_THAT(page, AllOf(StartsWith("<!DOCTYPE html>\n"), EndsWith("</html>\n")));
  for (const char* expected : {"<dd>batch</dd>", "<dd>token</dd>", "Logits side by side", "candidate prompt ids (3)"}) {
    EXPECT_THAT(page, HasSubstr(expected));
  }
  const ProcessResult none = Ladder({"--format", "html"}, "recorded:/nowhere");
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.output, HasSubstr("ERROR at preflight"));
}

// The model's file has no vocabulary, and llama.cpp reads no tokenizer.json.
TEST_F(CliTest, AFileWithoutAVocabularyIsComparedByIds) {
  const ProbeResult probe = MakeBackend("llama.cpp")->Probe();
  if (!probe.available) GTEST_SKIP() << "llama.cpp: " << probe.problem << "; " << probe.remedy;
  const ProcessResult result = Ladder({"--stage", "shapes"}, "llama.cpp");
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
  EXPECT_THAT(result.last_words, HasSubstr("has no vocabulary: every engine gets the "));
}

TEST_F(CliTest, TheTemplateWritesBosOnce) {
  const ProcessResult result = Ladder({"--prompt-template", "llama3-chat", "--dump-ids"});
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("(llama3-chat)"), HasSubstr(": [2032, 2034, "), Not(HasSubstr("2032, 2032"))));
}

TEST_F(CliTest, ErrorsAreTwoAndSaidInOneMessage) {
  const auto expect = [](const ProcessResult& result, const std::string& words) {
    EXPECT_EQ(result.exit_code, 2) << words;
    EXPECT_THAT(result.output, IsEmpty()) << words;
    EXPECT_THAT(result.last_words, HasSubstr(words));
  };
  expect(RunParity({}), "subcommand");
  expect(RunParity({"climb"}), "climb");
  expect(RunParity({"ladder", "--model", "/nonexistent.gguf", "--prompt", "x"}),
         "--model: /nonexistent.gguf: no such file");
  expect(RunParity({"ladder", "--prompt", "x"}), "--model");
  expect(Ladder({"--stage", "logits"}), "--stage");
  expect(Ladder({"--threshold", "positions.rmse=1"}), "threshold \"positions.rmse=1\": metric \"rmse\" is not known");
  expect(Ladder({"--profile", "lax"}), "no profile \"lax\"");
  expect(Ladder({"--prompt-template", "chatlm"}), "--prompt-template");
  expect(Ladder({}, "gguf.cpp"), "gguf.cpp");
  expect(Ladder({"--timeout", "0"}), "--timeout");
  EXPECT_EQ(RunParity({"--help"}).exit_code, 0);
  EXPECT_EQ(RunParity({"ladder", "--help"}).exit_code, 0);
}

TEST_F(CliTest, NothingToCompareIsNoParity) {
  const ProcessResult none = RunParity({"ladder", "--model", Model(), "--reference", "native"});
  EXPECT_EQ(none.exit_code, 2) << none.output;
  EXPECT_THAT(none.last_words, HasSubstr("--prompt: found none"));
  const ProcessResult empty = RunParity({"ladder", "--model", Model(), "--tokenizer", kTrainedTokenizer, "--prompt", "",
                                         "--reference", "native", "--threads", "1"});
  EXPECT_THAT(empty.output, HasSubstr("the prompt is empty"));
  EXPECT_EQ(empty.output.find("the prompt is empty"), empty.output.rfind("the prompt is empty"));  // said once
}

// A stage that was not asked for is not explained either.
TEST_F(CliTest, StoppingEarlyExplainsNothing) {
  const std::string first = Recorded("first", [](Capture& c) { c.logits.data[5] += 0.1f; });
  const ProcessResult result = Ladder({"--stage", "tokens"}, first);
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, AllOf(StartsWith("PARITY up to tokens"), Not(HasSubstr("Where"))));
}

TEST_F(CliTest, AnEngineThatFailsIsAnErrorWithItsLastWords) {
  const ProcessResult result = Ladder({}, "exec:/bin/sh -c 'echo out of cheese >&2; exit 9'");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, AllOf(StartsWith("ERROR at preflight\n"), HasSubstr("out of cheese")));
  const ProcessResult absent = Ladder({"--format", "json"}, "recorded:/nonexistent");
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_EQ(nlohmann::json::parse(absent.output)["verdict"], "error");
  const ProcessResult full = Ladder({"--n-ctx", "3"});
  EXPECT_EQ(full.exit_code, 2);
  EXPECT_THAT(full.output, HasSubstr("n_ctx"));
}

TEST_F(CliTest, TheEnvironmentSpeaksAndAFlagWins) {
  const auto request_with = [](const char* name, const char* value, const std::vector<std::string>& more) {
    const std::string kept = fmt::format("{}/env.{}.{}", directory, name, more.size());
    std::vector<std::string> arguments = {"ladder",   "--model", Model(),       "--tokenizer", kTrainedTokenizer,
                                          "--prompt", "a",       "--reference", "native",      "--max-tokens",
                                          "0",        "--keep",  kept};
    arguments.insert(arguments.end(), more.begin(), more.end());
    setenv(name, value, 1);
    EXPECT_EQ(RunParity(arguments).exit_code, 0) << name;
    unsetenv(name);
    return ReadCapture(kept + "/batch/candidate").request;
  };
  EXPECT_EQ(request_with("BITNET_SEED", "7", {}).seed, 7u);
  EXPECT_EQ(request_with("BITNET_SEED", "7", {"--seed", "8"}).seed, 8u);
  EXPECT_EQ(request_with("BITNET_DETERMINISTIC", "1", {}).threads, 1);
  EXPECT_EQ(request_with("BITNET_DETERMINISTIC", "1", {"--threads", "3"}).threads, 3);
  setenv("BITNET_SEED", "seven", 1);
  EXPECT_EQ(Ladder({}).exit_code, 2);
  unsetenv("BITNET_SEED");
  setenv("CROSSVAL_TIMEOUT_SECS", "1", 1);
  EXPECT_THAT(Ladder({}, "exec:sleep 60; true").output, HasSubstr("did not finish in 1 s"));
  unsetenv("CROSSVAL_TIMEOUT_SECS");
}

TEST_F(CliTest, MatrixIsOneTableWithAVerdict) {
  const std::string prompts = directory + "/prompts.json", matrix = directory + "/matrix.json";
  std::ofstream(prompts) << R"({"schema": "bitnet-parity/prompts/1", "prompts": [
    {"id": "hello", "text": "Hello", "template": "raw"}, {"id": "count", "text": "1,2,3", "template": "instruct"}]})";
  const auto run = [&](const std::string& model, const std::vector<std::string>& more) {
    std::ofstream(matrix) << R"({"schema": "bitnet-parity/matrix/1", "max_tokens": 2, "n_ubatch": 512, "threads": 1,
      "schedules": ["batch", "token"], "profile": "strict", "profile_elsewhere": "cosine", "references": ["native"],
      "models": [{"id": "tiny", "file": ")"
                          << model << R"(", "format": "tq2_0"}]})";
    std::vector<std::string> arguments = {"matrix", "--matrix", matrix, "--prompts", prompts, "--models", directory};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
  };
  // A model without a vocabulary cannot read a prompt: every climb is an error, none is a parity.
  const ProcessResult broken = run("tiny.gguf", {});
  EXPECT_EQ(broken.exit_code, 2);
  EXPECT_THAT(broken.output, AllOf(HasSubstr("failed at preflight"), HasSubstr("ERROR: 0 of 4 climbs passed")));
  EXPECT_EQ(run("absent.gguf", {}).exit_code, 2);
  EXPECT_EQ(run("tiny.gguf", {"--prompt", "nope"}).exit_code, 2);
  EXPECT_EQ(run("tiny.gguf", {"--reference", "nope"}).exit_code, 2);
  const nlohmann::json json = nlohmann::json::parse(run("tiny.gguf", {"--format", "json", "--prompt", "count"}).output);
  EXPECT_EQ(json["rows"].size(), 2u);
  EXPECT_EQ(json["problems"].size(), 2u);
}

// no-color.org: NO_COLOR counts where it is not empty.
TEST_F(CliTest, ColorsAreForATerminalAndUnlessNoColorIsSet) {
  const auto on_a_terminal = [](const std::string& no_color) {
    return RunProcess({"script", "-qec",
                       fmt::format("NO_COLOR={} '{}' ladder --model '{}' --tokenizer '{}' --prompt a --reference "
                                   "native --max-tokens 1 --threads 1",
                                   no_color, BITNET_PARITY_PROGRAM, Model(), kTrainedTokenizer),
                       "/dev/null"},
                      std::chrono::seconds(60));
  };
  const ProcessResult empty = on_a_terminal("");
  if (!empty.start_error.empty()) GTEST_SKIP() << "script(1) is not here";
  EXPECT_THAT(empty.output, HasSubstr("\x1b[3"));
  EXPECT_THAT(on_a_terminal("1").output, Not(HasSubstr("\x1b[3")));
  EXPECT_THAT(Ladder({}).output, Not(HasSubstr("\x1b[3")));
}

}  // namespace
}  // namespace parity
