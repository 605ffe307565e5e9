#include "engine/kernels/rms_norm.h"

#include "engine/kernels/counts.h"
#include "engine/kernels/primitives.h"

namespace bitnet {

void RmsNorm(const float* x, size_t n, size_t cols, const float* gamma, float eps, float* y, ThreadPool& pool) {
  static KernelCounter counter("rms_norm");
  const Primitives& run = AnyPrimitives();
  counter.Add(run);
  ParallelRanges(pool, n, 8, cols * kElementWork, [&](size_t begin, size_t end) {
    run.rms_norm(x + begin * cols, end - begin, cols, gamma, eps, y + begin * cols);
  });
}

}  // namespace bitnet
