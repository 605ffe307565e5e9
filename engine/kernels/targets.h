// Which of the compiled instruction sets the kernels use on this machine.
#ifndef BITNET_PARITY_ENGINE_KERNELS_TARGETS_H_
#define BITNET_PARITY_ENGINE_KERNELS_TARGETS_H_

#include <cstdint>
#include <string_view>

namespace bitnet {

// The instruction sets that were compiled and that this CPU has, as bits of Highway's HWY_AVX2, HWY_AVX3, ...
int64_t AvailableTargets();

// "AVX2", "AVX3", "AVX3_DL": Highway's name of the best one.
const char* TargetName();

// Empty where one of them runs; else what the CPU lacks: nothing of the engine may be called there.
std::string_view CpuProblem();

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_TARGETS_H_
