#include "engine/kernels/targets.h"

#include "hwy/targets.h"

namespace bitnet {

int64_t AvailableTargets() { return hwy::SupportedTargets() & HWY_TARGETS; }

const char* TargetName() {
  const int64_t supported = AvailableTargets();
  // A better target is a lower bit.
  return hwy::TargetName(supported & -supported);
}

std::string_view CpuProblem() { return AvailableTargets() == 0 ? "this CPU lacks AVX2 or FMA" : ""; }

}  // namespace bitnet
