// Work on several threads. How rows are dealt out never changes a result: each output is computed by one thread, in one
// order.
#ifndef BITNET_PARITY_ENGINE_KERNELS_THREAD_POOL_H_
#define BITNET_PARITY_ENGINE_KERNELS_THREAD_POOL_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace bitnet {

// Threads that take tasks as they get to them. The caller takes part, and waits for tasks alone, not for threads: one
// that the system does not let run is not missed. Whoever waits spins for as long as a token's next task may take to
// come, then sleeps, so that a core which others want too is left to the thread that has the work.
class ThreadPool {
 public:
  // The calling thread is one of `threads`; 0 counts as 1.
  explicit ThreadPool(size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t NumWorkers() const { return threads_.size() + 1; }

  // Calls f(task) for each task of [0, tasks), in any order, and returns when all are done. One caller at a time; f may
  // neither throw nor call Run.
  template <class F>
  void Run(uint32_t tasks, const F& f) {
    RunTasks(tasks, &f, [](const void* call, uint32_t task) { (*static_cast<const F*>(call))(task); });
  }

 private:
  using Call = void (*)(const void* f, uint32_t task);

  void RunTasks(uint32_t tasks, const void* f, Call call);
  void TakeTasks();
  void Worker();

  // Read only by who holds a task, while the run that it belongs to cannot end.
  const void* f_ = nullptr;
  Call call_ = nullptr;
  // Each on a cache line of its own.
  alignas(64) std::atomic<uint64_t> untaken_{0};     // the run's number, and in the lower half its tasks not yet taken
  alignas(64) std::atomic<uint32_t> unfinished_{0};  // tasks
  alignas(64) std::atomic<uint32_t> run_{0};         // its number; workers wait for the next
  std::atomic<bool> stop_{false};
  bool spin_;
  std::vector<std::thread> threads_;
};

// Multiply-adds of a product that take as long as it takes to hand work to another thread. What the other kernels do
// with an element counts as kElementWork of them.
inline constexpr size_t kLeastParallelWork = size_t{1} << 20;
inline constexpr size_t kElementWork = 16;
// Of a task, where there is enough: what threads wait for each other at a run's end is at most one.
inline constexpr size_t kTaskWork = 4 * kLeastParallelWork;

// Calls f(begin, end) on ranges that cover [0, n), each a multiple of `grain` long but the last. `work`: multiply-adds
// for each of the n; all is done on the calling thread where it is too little to share.
template <class F>
void ParallelRanges(ThreadPool& pool, size_t n, size_t grain, size_t work, const F& f) {
  if (n == 0) return;
  const size_t workers = pool.NumWorkers();
  const size_t units = (n + grain - 1) / grain;
  if (workers == 1 || units == 1 || n * work < kLeastParallelWork) {
    f(size_t{0}, n);
    return;
  }
  const size_t tasks = std::min(units, std::clamp(n * work / kTaskWork, workers * 4, workers * 64));
  const size_t units_per_task = (units + tasks - 1) / tasks;
  pool.Run(static_cast<uint32_t>((units + units_per_task - 1) / units_per_task), [&](uint32_t task) {
    const size_t begin = task * units_per_task * grain;
    f(begin, std::min(n, begin + units_per_task * grain));
  });
}

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_THREAD_POOL_H_
