#include "reference/engines/process.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

ProcessResult Shell(const std::string& script, seconds limit = seconds(60)) {
  return RunProcess({"/bin/sh", "-c", script}, limit);
}

TEST(ProcessTest, KeepsOutputApartAndReportsTheExitCode) {
  const ProcessResult r = Shell("echo out; echo err >&2; exit 7");
  EXPECT_EQ(r.exit_code, 7);
  EXPECT_EQ(r.output, "out\n");
  EXPECT_EQ(r.last_words, "err");
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.Describe(), "exited with code 7");
  EXPECT_TRUE(Shell("true").ok());
}

TEST(ProcessTest, NothingReachesOurOwnOutput) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Shell("echo out; echo err >&2");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ProcessTest, StandardInputIsEmpty) { EXPECT_EQ(Shell("cat; echo done").output, "done\n"); }

TEST(ProcessTest, ACrashIsTheNameOfItsSignal) {
  const ProcessResult r = Shell("echo 'about to go' >&2; kill -SEGV $$");
  EXPECT_EQ(r.signal, SIGSEGV);
  EXPECT_EQ(r.Describe(), "crashed with SIGSEGV");
  EXPECT_EQ(r.last_words, "about to go");
}

TEST(ProcessTest, AHangIsKilledWithItsChildren) {
  const TemporaryDirectory directory;
  const std::string mark = directory.path() + "/still-here";
  const auto start = std::chrono::steady_clock::now();
  const ProcessResult r = Shell(fmt::format("echo waiting >&2; (sleep 1.5; touch {}) & sleep 100", mark), seconds(1));
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(30));
  EXPECT_TRUE(r.timed_out);
  EXPECT_EQ(r.Describe(), "did not finish in 1 s (CROSSVAL_TIMEOUT_SECS) and was killed");
  EXPECT_EQ(r.last_words, "waiting");
  std::this_thread::sleep_for(seconds(1));
  EXPECT_FALSE(std::ifstream(mark)) << "the grandchild went on";
}

TEST(ProcessTest, DoesNotWaitForAChildLeftBehindThatHoldsThePipes) {
  const auto start = std::chrono::steady_clock::now();
  const ProcessResult r = Shell("sleep 50 & echo done");
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(30));
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(r.output, "done\n");
}

TEST(ProcessTest, AProgramThatClosesItsOutputIsWaitedFor) {
  EXPECT_EQ(Shell("exec >&- 2>&-; sleep 0.3; exit 5").exit_code, 5);
}

TEST(ProcessTest, LastWordsAreTheLastFortyLines) {
  const ProcessResult r = Shell("i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i >&2; done");
  EXPECT_EQ(r.last_words.substr(0, 8), "line 61\n");
  EXPECT_THAT(r.last_words, testing::EndsWith("line 100"));
  // Without standard error, what it printed.
  EXPECT_EQ(Shell("echo only this; exit 1").last_words, "only this");
}

TEST(ProcessTest, AFloodOfOutputIsBoundedAndDoesNotBlock) {
  const ProcessResult r = Shell("head -c 30000000 /dev/zero; head -c 30000000 /dev/zero >&2; exit 4");
  EXPECT_EQ(r.exit_code, 4);
  EXPECT_EQ(r.output.size(), size_t{16} << 20);
  EXPECT_LE(r.last_words.size(), size_t{64} << 10);
}

TEST(ProcessTest, AProgramThatIsNotThereCannotBeStarted) {
  const ProcessResult r = RunProcess({"/nowhere/engine"}, seconds(5));
  EXPECT_FALSE(r.ok());
  EXPECT_THAT(r.Describe(), HasSubstr("/nowhere/engine: No such file or directory"));
}

TEST(TimeLimitTest, ComesFromTheEnvironment) {
  unsetenv("CROSSVAL_TIMEOUT_SECS");
  EXPECT_EQ(TimeLimit(), seconds(180));
  setenv("CROSSVAL_TIMEOUT_SECS", "7", 1);
  EXPECT_EQ(TimeLimit(), seconds(7));
  for (const char* bad : {"0", "-1", "1.5", "10s", "99999999999", "x"}) {
    setenv("CROSSVAL_TIMEOUT_SECS", bad, 1);
    EXPECT_THROW(TimeLimit(), std::runtime_error) << bad;
  }
  unsetenv("CROSSVAL_TIMEOUT_SECS");
}

}  // namespace
}  // namespace parity
