// Every backend that MakeBackend makes, against real child processes: shell scripts that answer, crash, hang, lie, or
// leave half a capture behind.
#include "reference/engines/backend.h"
#include "reference/capture/error_for_test.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "reference/capture/capture_writer.h"
#include "reference/capture/hash.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/registry.h"
#include "reference/engines/runner_backend.h"
#include "reference/engines/small_capture_for_test.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kRunnerVariable = "PARITY_NO_SUCH_RUNNER";
const Runner kNoSuchRunner = {.program = "no_such_runner", .variable = kRunnerVariable, .remedy = "build it"};

class BackendTest : public testing::Test {
 protected:
  BackendTest() : model_(root_.path() + "/model.gguf"), capture_(SmallCapture(model_)) {
    request_ = capture_.request;
    WriteCapture(capture_, root_.path() + "/good");
  }
  ~BackendTest() override {
    unsetenv("CROSSVAL_TIMEOUT_SECS");
    unsetenv("PARITY_RUNNER_ANSWERS");
    unsetenv(kRunnerVariable);
  }

  std::string Script(const std::string& name, const std::string& body) const {
    const std::string path = root_.path() + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }

  std::unique_ptr<Backend> Exec(const std::string& body) const {
    return MakeBackend("exec:" + Script("engine.sh", body));
  }

  // A runner whose `run` does this; $3 is the request and $5 the directory.
  std::unique_ptr<Backend> Runner(const std::string& run_body, const std::string& info_body = "") const {
    const std::string info = info_body.empty() ? R"(echo '{"version": "v9", "libraries": []}'; exit 0)" : info_body;
    const std::string program =
        Script("runner.sh", fmt::format("if [ \"$1\" = info ]; then {}; fi\n{}", info, run_body));
    setenv(kRunnerVariable, program.c_str(), 1);
    return MakeRunnerBackend("llama.cpp", kNoSuchRunner);
  }

  std::string ErrorOfRunning(Backend& backend) const {
    return ErrorOf([&] { backend.Run(request_); });
  }

  TemporaryDirectory root_;
  std::string model_;
  Capture capture_;
  Request request_;
};

TEST_F(BackendTest, UnknownSpecsListTheKnownOnes) {
  for (const char* spec :
       {"", ":", "llama", "llama.cpp:", "llama.cpp:zen4", "recorded", "recorded:", "exec:", "native"}) {
    try {
      MakeBackend(spec);
      FAIL() << spec;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(),
                  AllOf(HasSubstr("llama.cpp, bitnet.cpp, ik_llama.cpp, recorded:DIR"), HasSubstr("exec:COMMAND")));
    }
  }
}

TEST_F(BackendTest, ACommandIsGivenRequestAndDirectoryAsItsLastArguments) {
  const std::string script =
      Script("engine.sh", fmt::format("[ \"$1\" = 'two words' ] || exit 9\ngrep -q 'Hi there' \"$2\" || exit 8\n"
                                      "echo chatter\ncp -r {}/good \"$3\"",
                                      root_.path()));
  testing::internal::CaptureStdout();
  const auto backend = MakeBackend(fmt::format("exec:{} 'two words'", script));
  const Capture c = backend->Run(request_);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(c.tokens, capture_.tokens);
  EXPECT_TRUE(backend->Probe().available);
}

TEST_F(BackendTest, TheRunnerIsAskedAndItsCaptureRead) {
  const auto backend =
      Runner(fmt::format("[ \"$1 $2 $4\" = 'run --request --out' ] || exit 9\ncp -r {}/good \"$5\"", root_.path()));
  EXPECT_TRUE(backend->Probe().available);
  EXPECT_EQ(backend->Probe().version, "v9");
  EXPECT_EQ(backend->Run(request_).generated, capture_.generated);
  backend->RunTo(request_, root_.path() + "/direct");
  EXPECT_EQ(ReadCapture(root_.path() + "/direct").generated, capture_.generated);
}

TEST_F(BackendTest, WhatARunnerSaysOfItselfIsKeptWhereThatIsAskedFor) {
  const std::string info =
      fmt::format(R"(echo asked >> {}/asked; echo '{{"version": "v9", "libraries": []}}'; exit 0)", root_.path());
  const auto times_asked = [&] {
    Runner("exit 1", info)->Probe();
    const ProbeResult probe = Runner("exit 1", info)->Probe();
    EXPECT_TRUE(probe.available);
    EXPECT_EQ(probe.version, "v9");
    std::ifstream asked(root_.path() + "/asked");
    return std::count(std::istreambuf_iterator<char>(asked), {}, '\n');
  };
  EXPECT_EQ(times_asked(), 2);
  setenv("PARITY_RUNNER_ANSWERS", (root_.path() + "/answers").c_str(), 1);
  EXPECT_EQ(times_asked(), 3);
}

TEST_F(BackendTest, TheChildIsGivenAnAbsoluteModelPath) {
  const fs::path before = fs::current_path();
  fs::current_path(root_.path());
  request_.model = "model.gguf";
  const auto backend = Exec(fmt::format("cp \"$1\" {0}/seen.json; cp -r {0}/good \"$2\"", root_.path()));
  backend->Run(request_);
  fs::current_path(before);
  EXPECT_EQ(ReadJsonFile(root_.path() + "/seen.json")["model"], model_);
}

TEST_F(BackendTest, ACrashCarriesSignalAndLastWords) {
  for (const auto& backend :
       {Exec("echo 'ggml assertion' >&2; kill -ABRT $$"), Runner("echo 'ggml assertion' >&2; kill -ABRT $$")}) {
    EXPECT_THAT(ErrorOfRunning(*backend),
                AllOf(HasSubstr("crashed with SIGABRT"), HasSubstr("ggml assertion"), HasSubstr(backend->name())));
  }
}

TEST_F(BackendTest, AHangEndsAtTheTimeLimit) {
  const auto backend = Runner("echo 'loading' >&2; sleep 100");
  ASSERT_TRUE(backend->Probe().available);
  setenv("CROSSVAL_TIMEOUT_SECS", "1", 1);
  EXPECT_THAT(ErrorOfRunning(*backend),
              AllOf(HasSubstr("did not finish in 1 s"), HasSubstr("CROSSVAL_TIMEOUT_SECS"), HasSubstr("loading")));
}

TEST_F(BackendTest, ExitCodeThreeMeansThatTheModelIsNotSupported) {
  for (const auto& backend : {Exec("echo 'unknown model architecture' >&2; exit 3"),
                              Runner("echo 'unknown model architecture' >&2; exit 3")}) {
    try {
      backend->Run(request_);
      FAIL();
    } catch (const ModelNotSupported& error) {
      EXPECT_THAT(error.what(), HasSubstr("unknown model architecture"));
    }
  }
  const auto broken = Exec("exit 2");
  EXPECT_THAT(ErrorOfRunning(*broken), AllOf(HasSubstr("exited with code 2"), HasSubstr("It said nothing")));
  EXPECT_THROW(
      try { broken->Run(request_); } catch (const ModelNotSupported&) { FAIL(); }, std::runtime_error);
}

TEST_F(BackendTest, NoCaptureHalfACaptureAndGarbageAreErrors) {
  EXPECT_THAT(ErrorOfRunning(*Exec("echo 'all is well' >&2")),
              AllOf(HasSubstr("left no capture"), HasSubstr("all is well")));
  EXPECT_THAT(ErrorOfRunning(*Exec("mkdir \"$2\"; echo x > \"$2/logits.npy\"")), HasSubstr("left no capture"));
  EXPECT_THAT(ErrorOfRunning(*Exec("mkdir \"$2\"; echo garbage > \"$2/capture.json\"")),
              AllOf(HasSubstr("capture.json"), HasSubstr("not valid JSON")));
  EXPECT_THAT(ErrorOfRunning(*Exec(fmt::format("cp -r {}/good \"$2\"; rm \"$2/logits.npy\"", root_.path()))),
              HasSubstr("logits.npy: no such file"));
  EXPECT_THAT(ErrorOfRunning(*Exec(fmt::format(
                  "cp -r {0}/good \"$2\"; head -c 100 {0}/good/logits.npy > \"$2/logits.npy\"", root_.path()))),
              HasSubstr("truncated"));
}

TEST_F(BackendTest, ProbesTellWhatIsMissing) {
  // Beside the program that asks, then where this build tree has its runners.
  const std::string here = fs::read_symlink("/proc/self/exe").parent_path();
  const auto missing = MakeRunnerBackend("llama.cpp", kNoSuchRunner);
  EXPECT_FALSE(missing->Probe().available);
  EXPECT_THAT(missing->Probe().looked_in, testing::ElementsAre(here + "/no_such_runner", PARITY_BINARY_DIR
                                                               "/reference/llama_family/no_such_runner"));
  EXPECT_THAT(missing->Probe().problem, AllOf(HasSubstr("no runner at"), HasSubstr(here)));
  EXPECT_THAT(ErrorOfRunning(*missing), AllOf(HasSubstr(here), HasSubstr("build it")));

  // As the dynamic loader says it when libllama is gone.
  const auto broken = Runner("", "echo 'error while loading shared libraries: libllama.so' >&2; exit 127");
  EXPECT_FALSE(broken->Probe().available);
  EXPECT_THAT(broken->Probe().problem, HasSubstr("libllama.so"));

  const auto garbage = Runner("", "echo hello; exit 0");
  EXPECT_FALSE(garbage->Probe().available);
  EXPECT_THAT(garbage->Probe().problem, HasSubstr("not the answer of a runner"));

  EXPECT_FALSE(MakeBackend("exec:no-such-program-anywhere")->Probe().available);
  EXPECT_FALSE(MakeBackend("recorded:/nowhere")->Probe().available);
}

TEST_F(BackendTest, TheEnvironmentNamesARunner) {
  const std::string program = Script("other.sh", R"(echo '{"version": "from the environment", "libraries": []}')");
  setenv("PARITY_LLAMA_CPP_RUNNER", program.c_str(), 1);
  const ProbeResult probe = MakeBackend("llama.cpp")->Probe();
  setenv("PARITY_LLAMA_CPP_RUNNER", "/nowhere", 1);
  const ProbeResult nowhere = MakeBackend("llama.cpp")->Probe();
  unsetenv("PARITY_LLAMA_CPP_RUNNER");
  EXPECT_EQ(probe.version, "from the environment");
  EXPECT_FALSE(nowhere.available);
  EXPECT_THAT(nowhere.looked_in, testing::ElementsAre("/nowhere"));
}

TEST_F(BackendTest, IdentityChangesWithTheProgram) {
  const std::string first = Exec("exit 0")->Identity(HashFile);
  EXPECT_EQ(Exec("exit 0")->Identity(HashFile), first);
  EXPECT_NE(Exec("exit 1")->Identity(HashFile), first);
  const std::string runner = Runner("exit 0")->Identity(HashFile);
  EXPECT_EQ(Runner("exit 0")->Identity(HashFile), runner);
  EXPECT_NE(Runner("exit 1")->Identity(HashFile), runner);
}

TEST_F(BackendTest, ARecordedCaptureNeedNotKnowItsModelsHash) {
  capture_.model.blake3.clear();
  WriteCapture(capture_, root_.path() + "/one");
  EXPECT_EQ(MakeBackend("recorded:" + root_.path() + "/one")->Run(request_).tokens, capture_.tokens);
}

TEST_F(BackendTest, RecordsOfTwoEnginesAreNoAnswer) {
  capture_.backend.name = "native";
  WriteCapture(capture_, root_.path() + "/candidate");
  try {
    MakeBackend("recorded:" + root_.path())->Run(request_);
    FAIL() << "took one of them";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("two engines"), HasSubstr("/candidate (native)"), HasSubstr("/good (llama.cpp)")));
  }
}

TEST_F(BackendTest, ARecordedCaptureAnswersItsRequest) {
  for (const std::string& directory : {root_.path() + "/good", root_.path()}) {
    const auto backend = MakeBackend("recorded:" + directory);
    EXPECT_TRUE(backend->Probe().available);
    EXPECT_EQ(backend->Run(request_).logits.data, capture_.logits.data);
  }
  // Less than was recorded: the rest is cut off.
  request_.positions = 2;
  request_.max_tokens = 1;
  const Capture cut = MakeBackend("recorded:" + root_.path())->Run(request_);
  EXPECT_EQ(cut.logits.rows, 2);
  EXPECT_EQ(cut.logits.data.size(), 8u);
  EXPECT_EQ(cut.shapes.logits[0], 2);
  EXPECT_EQ(cut.request.positions, 2);
  EXPECT_EQ(cut.request.max_tokens, 1);
  EXPECT_EQ(cut.generated.size(), 1u);
  EXPECT_EQ(cut.decode_logits.data.size(), 4u);
  // By ids instead of text.
  request_.text = "";
  request_.token_ids = {1, 2, 3};
  const Capture by_ids = MakeBackend("recorded:" + root_.path())->Run(request_);
  EXPECT_EQ(by_ids.tokens, capture_.tokens);
  EXPECT_EQ(by_ids.request.token_ids, request_.token_ids) << "the ladder's preflight compares them";
}

TEST_F(BackendTest, ARequestThatNoCaptureAnswersIsTurnedAwayWithTheReason) {
  const auto backend = MakeBackend("recorded:" + root_.path());
  const auto expect = [&](const char* says, const std::function<void(Request&)>& change) {
    const Request before = request_;
    change(request_);
    EXPECT_THAT(ErrorOfRunning(*backend), AllOf(HasSubstr("good: model.gguf"), HasSubstr(says)));
    request_ = before;
  };
  expect("another text", [](Request& r) { r.text = "Hi"; });
  expect("other token ids", [](Request& r) { r.token_ids = {1, 2}; });
  expect("add_special or parse_special differ", [](Request& r) { r.add_special = false; });
  expect("template raw", [](Request& r) { r.prompt_template = "instruct"; });
  expect("schedule batch", [](Request& r) { r.schedule = Schedule::kTokenByToken; });
  expect("made with zen4", [](Request& r) { r.cpu_variant = "haswell"; });
  expect("2 generated tokens only", [](Request& r) { r.max_tokens = 3; });
  expect("n_ctx 256", [](Request& r) { r.n_ctx = 512; });
  expect("batches of 512", [](Request& r) { r.n_ubatch = 2; });
  expect("trace none", [](Request& r) { r.trace = "core"; });
  expect("ignore_eos differs", [](Request& r) { r.ignore_eos = false; });
  expect("of another model file", [&](Request& r) {
    r.model = root_.path() + "/other.gguf";
    std::ofstream(r.model) << "other";
  });
  request_.model = root_.path() + "/none.gguf";
  EXPECT_THAT(ErrorOfRunning(*backend), HasSubstr("none.gguf"));
  fs::remove_all(root_.path() + "/good");
  EXPECT_FALSE(backend->Probe().available);
}

}  // namespace
}  // namespace parity
