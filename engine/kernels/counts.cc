#include "engine/kernels/counts.h"

#include <fmt/format.h>

#include <mutex>
#include <vector>

#include "engine/kernels/primitives.h"
#include "engine/kernels/targets.h"

namespace bitnet {
namespace {

struct Counters {
  std::mutex mutex;
  std::vector<const KernelCounter*> all;
};

Counters& TheCounters() {
  static Counters counters;
  return counters;
}

}  // namespace

void KernelCounter::Add(const Primitives& run) {
  (&run == &kPlainPrimitives ? plain_ : in_vectors_).fetch_add(1, std::memory_order_relaxed);
}

KernelCounter::KernelCounter(std::string name) : name_(std::move(name)) {
  const std::lock_guard<std::mutex> lock(TheCounters().mutex);
  TheCounters().all.push_back(this);
}

std::map<std::string, uint64_t> KernelCalls() {
  const std::lock_guard<std::mutex> lock(TheCounters().mutex);
  std::map<std::string, uint64_t> calls;
  for (const KernelCounter* counter : TheCounters().all) {
    if (counter->plain() > 0) calls[fmt::format("{}.{}", counter->name(), kPlainTarget)] += counter->plain();
    if (counter->in_vectors() > 0)
      calls[fmt::format("{}.{}", counter->name(), VectorTarget())] += counter->in_vectors();
  }
  return calls;
}

std::map<std::string, uint64_t> KernelCallsSince(const std::map<std::string, uint64_t>& before) {
  std::map<std::string, uint64_t> calls = KernelCalls();
  for (const auto& [name, n] : before) {
    const auto found = calls.find(name);
    if (found != calls.end() && (found->second -= n) == 0) calls.erase(found);
  }
  return calls;
}

}  // namespace bitnet
