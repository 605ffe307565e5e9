#include "engine/kernels/thread_pool.h"

#include <chrono>

#include "hwy/cache_control.h"

namespace bitnet {
namespace {

// Waking a thread takes about as long as this.
constexpr std::chrono::microseconds kSpin(100);

// Spins while `value` is `old`, as far as kSpin reaches.
void SpinWhile(const std::atomic<uint32_t>& value, uint32_t old) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      hwy::Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
}

}  // namespace

ThreadPool::ThreadPool(size_t threads) : spin_(threads <= std::thread::hardware_concurrency()) {
  for (size_t i = 1; i < threads; ++i) threads_.emplace_back([this] { Worker(); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  ++run_;
  run_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::RunTasks(uint32_t tasks, const void* f, Call call) {
  if (tasks == 0) return;
  f_ = f;
  call_ = call;
  unfinished_.store(tasks, std::memory_order_relaxed);
  const uint32_t run = run_.load(std::memory_order_relaxed) + 1;
  untaken_.store((uint64_t{run} << 32) | tasks, std::memory_order_release);
  run_.store(run, std::memory_order_release);
  run_.notify_all();
  TakeTasks();
  for (uint32_t left; (left = unfinished_.load(std::memory_order_acquire)) != 0;) {
    if (spin_) SpinWhile(unfinished_, left);
    unfinished_.wait(left, std::memory_order_acquire);
  }
}

void ThreadPool::TakeTasks() {
  uint64_t untaken = untaken_.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(untaken) != 0) {
    if (!untaken_.compare_exchange_weak(untaken, untaken - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
      continue;
    }
    call_(f_, static_cast<uint32_t>(untaken) - 1);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    untaken = untaken_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Worker() {
  for (uint32_t seen = 0; !stop_;) {
    if (spin_) SpinWhile(run_, seen);
    run_.wait(seen, std::memory_order_acquire);
    seen = run_.load(std::memory_order_acquire);
    TakeTasks();
  }
}

}  // namespace bitnet
