#include "engine/kernels/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <set>

namespace bitnet {
namespace {

TEST(ThreadPool, EachTaskIsDoneOnce) {
  for (const size_t threads : {0, 1, 2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.NumWorkers(), std::max<size_t>(threads, 1));
    for (uint32_t tasks = 0; tasks < 300; ++tasks) {
      std::vector<std::atomic<int>> done(tasks);
      pool.Run(tasks, [&](uint32_t task) { ++done[task]; });
      for (uint32_t task = 0; task < tasks; ++task) {
        ASSERT_EQ(done[task], 1) << threads << " threads, task " << task << " of " << tasks;
      }
    }
  }
}

// What a task writes without atomics is there when Run returns, and what the caller writes next does not reach it.
TEST(ThreadPool, RunsDoNotOverlap) {
  ThreadPool pool(4);
  std::vector<uint64_t> values(16);
  for (uint64_t run = 1; run <= 20000; ++run) {
    pool.Run(16, [&, run](uint32_t task) { values[task] += run; });
    for (const uint64_t value : values) ASSERT_EQ(value, run * (run + 1) / 2);
  }
}

// Longer than anybody spins: threads that sleep are woken, the caller too, and not before all is done.
TEST(ThreadPool, WakesWhoSleeps) {
  ThreadPool pool(3);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  int done = 0;
  for (int run = 0; run < 20 || (run < 200 && seen.size() < 3); ++run) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    pool.Run(3, [&](uint32_t task) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5 + task));
      const std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
      ++done;
    });
    const std::lock_guard lock(mutex);
    ASSERT_EQ(done, 3 * (run + 1));
  }
  EXPECT_EQ(seen.size(), 3);
}

TEST(ParallelRanges, CoverEverythingInWholeGrains) {
  ThreadPool pool(3);
  for (const size_t n : {1, 7, 8, 9, 63, 64, 65, 1000}) {
    for (const size_t grain : {1, 4, 8}) {
      for (const size_t work : {size_t{1}, kLeastParallelWork}) {
        std::vector<std::atomic<int>> done(n);
        ParallelRanges(pool, n, grain, work, [&](size_t begin, size_t end) {
          EXPECT_EQ(begin % grain, 0);
          EXPECT_TRUE(end == n || end % grain == 0);
          for (size_t i = begin; i < end; ++i) ++done[i];
        });
        for (const auto& times : done) ASSERT_EQ(times, 1);
      }
    }
  }
}

}  // namespace
}  // namespace bitnet
