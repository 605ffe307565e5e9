#include "engine/kernels/targets.h"

#include "hwy/highway.h"

namespace bitnet {

int64_t AvailableTargets() { return hwy::SupportedTargets() & HWY_TARGETS; }

const char* TargetName() {
  const int64_t supported = AvailableTargets();
  // A better target is a lower bit.
  return hwy::TargetName(supported & -supported);
}

bool CpuIsSupported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

}  // namespace bitnet
