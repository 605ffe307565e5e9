#include "engine/kernels/counts.h"

#include <mutex>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/counts.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitnet {
namespace HWY_NAMESPACE {

// Compiled once for each target, as the kernels are, and reached by the same dispatch.
const char* ThisTarget() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace bitnet
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitnet {
namespace {

HWY_EXPORT(ThisTarget);

struct Counters {
  std::mutex mutex;
  std::vector<const KernelCounter*> all;
};

Counters& TheCounters() {
  static Counters counters;
  return counters;
}

}  // namespace

KernelCounter::KernelCounter(std::string name) : name_(std::move(name)) {
  const std::lock_guard<std::mutex> lock(TheCounters().mutex);
  TheCounters().all.push_back(this);
}

std::map<std::string, uint64_t> KernelCalls() {
  const std::string target = HWY_DYNAMIC_DISPATCH(ThisTarget)();
  const std::lock_guard<std::mutex> lock(TheCounters().mutex);
  std::map<std::string, uint64_t> calls;
  for (const KernelCounter* counter : TheCounters().all) {
    if (counter->calls() > 0) calls[counter->name() + "." + target] += counter->calls();
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
#endif  // HWY_ONCE
