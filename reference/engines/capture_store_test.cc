#include "reference/engines/capture_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "reference/capture/temporary_directory.h"
#include "reference/engines/small_capture_for_test.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

// Counts its runs in a file, so that runs of other processes are counted too.
class CountingBackend : public Backend {
 public:
  CountingBackend(Capture capture, std::string log) : capture_(std::move(capture)), log_(std::move(log)) {}
  std::string name() const override { return "counting"; }
  ProbeResult Probe() override { return {}; }
  std::string Identity(const FileHasher&) override { return identity; }
  Capture Run(const Request& request) override {
    std::ofstream(log_, std::ios::app) << "run\n";
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    if (fail) throw std::runtime_error("engine failed");
    capture_.request = request;
    return capture_;
  }
  int runs() const {
    int n = 0;
    std::ifstream file(log_);
    for (std::string line; std::getline(file, line);) ++n;
    return n;
  }

  std::string identity = "one";
  bool fail = false;
  int delay_ms = 0;

 private:
  Capture capture_;
  std::string log_;
};

class CaptureStoreTest : public testing::Test {
 protected:
  CaptureStoreTest()
      : model_(root_.path() + "/model.gguf"),
        capture_(SmallCapture(model_)),
        backend_(capture_, root_.path() + "/log"),
        store_(root_.path() + "/store") {}

  TemporaryDirectory root_;
  std::string model_;
  Capture capture_;
  CountingBackend backend_;
  CaptureStore store_;
};

TEST_F(CaptureStoreTest, ACaptureIsMadeOnce) {
  EXPECT_EQ(store_.Get(backend_, capture_.request).logits.data, capture_.logits.data);
  EXPECT_EQ(store_.Get(backend_, capture_.request).logits.data, capture_.logits.data);
  CaptureStore again(root_.path() + "/store");
  EXPECT_EQ(again.Get(backend_, capture_.request).generated, capture_.generated);
  EXPECT_EQ(backend_.runs(), 1);
}

// A stale capture is never used: each of these changes the key.
TEST_F(CaptureStoreTest, TheKeyCoversAllThatTheResultDependsOn) {
  const std::string tokenizer = root_.path() + "/tokenizer.json";
  std::ofstream(tokenizer) << "{}";
  Request base = capture_.request;
  base.tokenizer = tokenizer;
  std::set<std::string> keys = {store_.Key(backend_, base)};
  const auto differs = [&](const char* what) { EXPECT_TRUE(keys.insert(store_.Key(backend_, base)).second) << what; };
  const auto changed = [&](const char* what, const std::function<void(Request&)>& change) {
    Request request = base;
    change(request);
    EXPECT_TRUE(keys.insert(store_.Key(backend_, request)).second) << what;
  };
  changed("text", [](Request& r) { r.text += " "; });
  changed("add_special", [](Request& r) { r.add_special = false; });
  changed("parse_special", [](Request& r) { r.parse_special = false; });
  changed("token_ids", [](Request& r) { r.token_ids = {1}; });
  changed("template", [](Request& r) { r.prompt_template = "instruct"; });
  changed("positions", [](Request& r) { r.positions = 1; });
  changed("max_tokens", [](Request& r) { r.max_tokens = 7; });
  changed("ignore_eos", [](Request& r) { r.ignore_eos = false; });
  changed("schedule", [](Request& r) { r.schedule = Schedule::kTokenByToken; });
  changed("n_ctx", [](Request& r) { r.n_ctx = 1024; });
  changed("n_ubatch", [](Request& r) { r.n_ubatch = 1; });
  changed("threads", [](Request& r) { r.threads = 1; });
  changed("seed", [](Request& r) { r.seed = 1; });
  changed("trace", [](Request& r) { r.trace = "core"; });
  changed("raw_tensors", [](Request& r) { r.raw_tensors = true; });
  changed("cpu_variant", [](Request& r) { r.cpu_variant = "haswell"; });
  changed("extra", [](Request& r) { (*r.extra)["x"] = 1; });
  changed("no tokenizer", [](Request& r) { r.tokenizer = ""; });
  backend_.identity = "two";
  differs("identity");
  std::ofstream(tokenizer) << "{ }";
  differs("tokenizer's contents");
  std::ofstream(model_) << "another model";
  differs("model's contents");
  // But not where the files are.
  fs::rename(model_, root_.path() + "/moved.gguf");
  base.model = root_.path() + "/moved.gguf";
  EXPECT_FALSE(keys.insert(store_.Key(backend_, base)).second);
}

TEST_F(CaptureStoreTest, TheAnswerShowsTheCallersPaths) {
  store_.Get(backend_, capture_.request);
  Request request = capture_.request;
  request.model = root_.path() + "/copy.gguf";
  fs::copy_file(model_, request.model);
  const Capture c = store_.Get(backend_, request);
  EXPECT_EQ(backend_.runs(), 1);
  EXPECT_EQ(c.model.path, request.model);
  EXPECT_EQ(c.request.model, request.model);
}

TEST_F(CaptureStoreTest, AFailureIsThrownAndNotKept) {
  backend_.fail = true;
  EXPECT_THROW(store_.Get(backend_, capture_.request), std::runtime_error);
  backend_.fail = false;
  EXPECT_EQ(store_.Get(backend_, capture_.request).tokens, capture_.tokens);
  EXPECT_EQ(backend_.runs(), 2);
}

TEST_F(CaptureStoreTest, ADamagedCaptureIsMadeAgain) {
  store_.Get(backend_, capture_.request);
  const std::string directory = root_.path() + "/store/" + store_.Key(backend_, capture_.request);
  fs::resize_file(directory + "/logits.npy", 10);
  EXPECT_EQ(store_.Get(backend_, capture_.request).logits.data, capture_.logits.data);
  EXPECT_EQ(backend_.runs(), 2);
}

TEST_F(CaptureStoreTest, ProcessesAtTheSameTimeShareOneRun) {
  backend_.delay_ms = 300;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      bool good = false;
      try {
        good =
            CaptureStore(root_.path() + "/store").Get(backend_, capture_.request).logits.data == capture_.logits.data;
      } catch (...) {
      }
      _exit(good ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (pid_t pid : children) {
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(backend_.runs(), 1);
}

// 100 processes make and read a few captures; most of them are killed at some moment.
TEST_F(CaptureStoreTest, WritersThatAreKilledTearNothingAndBlockNobody) {
  constexpr int kWriters = 100, kCaptures = 4;
  backend_.delay_ms = 20;
  const auto request_of = [&](int i) {
    Request request = capture_.request;
    request.seed = static_cast<uint64_t>(i % kCaptures);
    return request;
  };
  std::vector<pid_t> writers;
  for (int i = 0; i < kWriters; ++i) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      bool good = true;
      try {
        for (int round = 0; round < 20 && good; ++round) {
          const Capture c = CaptureStore(root_.path() + "/store").Get(backend_, request_of(i + round));
          good = c.logits.data == capture_.logits.data && c.tokens == capture_.tokens;
          // Another process's capture is damaged from outside now and then.
          if (round % 7 == 3) fs::remove(c.directory + "/logits.npy");
        }
      } catch (const std::exception& error) {
        // Damaged again and again while this process tried.
        good = std::string(error.what()).find("logits.npy") != std::string::npos;
      }
      _exit(good ? 0 : 1);
    }
    writers.push_back(pid);
  }
  std::mt19937 random(1);
  int survived = 0;
  for (size_t i = 0; i < writers.size(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 12));
    if (i % 4 != 0) kill(writers[i], SIGKILL);
  }
  for (const pid_t pid : writers) {
    int status = -1;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) continue;
    EXPECT_EQ(WEXITSTATUS(status), 0);
    ++survived;
  }
  EXPECT_GE(survived, kWriters / 4);
  const auto start = std::chrono::steady_clock::now();
  CaptureStore after(root_.path() + "/store");
  for (int i = 0; i < kCaptures; ++i) {
    EXPECT_EQ(after.Get(backend_, request_of(i)).logits.data, capture_.logits.data);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_TRUE(fs::is_empty(root_.path() + "/store/making")) << "a killed writer's folder";
}

// One that stands still, and holds the lock, holds nobody for longer than an engine may run.
TEST_F(CaptureStoreTest, AWriterThatStandsStillIsNotWaitedForForever) {
  const std::string lock = root_.path() + "/store/locks/" + store_.Key(backend_, capture_.request);
  const int fd = open(lock.c_str(), O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  setenv("CROSSVAL_TIMEOUT_SECS", "1", 1);
  EXPECT_EQ(store_.Get(backend_, capture_.request).tokens, capture_.tokens);
  unsetenv("CROSSVAL_TIMEOUT_SECS");
  close(fd);
}

TEST_F(CaptureStoreTest, AFileIsHashedAgainOnlyWhenItChanges) {
  const std::string hash = store_.FileHash(model_);
  EXPECT_EQ(hash, HashFile(model_));
  // Remembered: the note in the store is what answers.
  for (const auto& note : fs::directory_iterator(root_.path() + "/store/file_hashes")) {
    std::ofstream(note.path()) << std::string(64, 'b') << '\n';
  }
  EXPECT_EQ(store_.FileHash(model_), std::string(64, 'b'));
  // Another size, or another time of modification: hashed again.
  const auto time = fs::last_write_time(model_);
  std::ofstream(model_, std::ios::app) << "more";
  fs::last_write_time(model_, time);
  EXPECT_EQ(store_.FileHash(model_), HashFile(model_));
  const std::string before = HashFile(model_);
  std::fstream(model_, std::ios::in | std::ios::out) << "N";
  fs::last_write_time(model_, time + std::chrono::seconds(1));
  EXPECT_NE(store_.FileHash(model_), before);
  EXPECT_THROW(store_.FileHash(root_.path() + "/none"), std::runtime_error);
}

}  // namespace
}  // namespace parity
