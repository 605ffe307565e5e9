// Work on several threads. How rows are dealt out never changes a result: each output is computed by one thread, in one
// order.
#ifndef BITNET_PARITY_ENGINE_KERNELS_THREAD_POOL_H_
#define BITNET_PARITY_ENGINE_KERNELS_THREAD_POOL_H_

#include <algorithm>
#include <cstddef>

#include "hwy/contrib/thread_pool/thread_pool.h"

namespace bitnet {

using ThreadPool = hwy::ThreadPool;

// Multiply-adds of a product that take as long as it takes to hand work to another thread. What the other kernels do
// with an element counts as kElementWork of them.
inline constexpr size_t kLeastParallelWork = size_t{1} << 20;
inline constexpr size_t kElementWork = 16;

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
  const size_t tasks = std::min(units, workers * 4);
  const size_t units_per_task = (units + tasks - 1) / tasks;
  pool.Run(0, (units + units_per_task - 1) / units_per_task, [&](uint64_t task, size_t) {
    const size_t begin = task * units_per_task * grain;
    f(begin, std::min(n, begin + units_per_task * grain));
  });
}

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_THREAD_POOL_H_
