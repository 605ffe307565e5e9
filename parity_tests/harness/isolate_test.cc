#include "parity_tests/harness/isolate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using std::chrono::seconds;

TEST(Isolate, WorkThatEnds) {
  std::vector<std::string> said;
  const TemporaryDirectory root;
  int changed = 0;
  const Isolated end = RunIsolated(
      seconds(20),
      [&](const Say& say) {
        changed = 1;
        say("one");
        say("two");
        std::ofstream(root.path() + "/file") << "done";
      },
      [&said](const std::string& what) { said.push_back(what); });
  EXPECT_TRUE(end.ok()) << end.Describe();
  EXPECT_THAT(said, testing::ElementsAre("one", "two"));
  EXPECT_TRUE(std::filesystem::exists(root.path() + "/file"));
  EXPECT_EQ(changed, 0) << "a copy of the memory";
}

TEST(Isolate, WhatItThrowsAndHowItCrashes) {
  const Isolated thrown = RunIsolated(seconds(20), [](const Say&) { throw std::runtime_error("no such"); });
  EXPECT_EQ(thrown.Describe(), "no such");
  const Isolated crashed = RunIsolated(seconds(20), [](const Say& say) {
    say("dividing");
    std::signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
  });
  EXPECT_EQ(crashed.Describe(), "crashed with SIGSEGV; the last that it did: dividing");
}

// With every process below it, and what it left in the temporary directory.
TEST(Isolate, AtTheLimitNothingIsLeft) {
  const TemporaryDirectory root;
  const std::string pids = root.path() + "/pids", place = root.path() + "/place";
  const Isolated end = RunIsolated(seconds(1), [&](const Say& say) {
    const TemporaryDirectory work;
    std::ofstream(place) << work.path();
    say("sleeping");
    RunProcess({"sh", "-c", "sleep 1000 & echo $! > " + pids + "; setsid sleep 1000 & echo $! >> " + pids + "; wait"},
               seconds(1000));
  });
  EXPECT_EQ(end.Describe(), "did not finish in 1 s and was stopped; the last that it did: sleeping");
  std::ifstream file(pids);
  int n = 0;
  for (pid_t pid = 0; file >> pid; ++n) EXPECT_NE(kill(pid, 0), 0) << pid << " runs on";
  EXPECT_EQ(n, 2);
  std::string left;
  std::getline(std::ifstream(place), left);
  EXPECT_FALSE(left.empty());
  EXPECT_FALSE(std::filesystem::exists(left));
}

}  // namespace
}  // namespace parity
