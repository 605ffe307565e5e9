// What the kernels run on here: an instruction set of Highway's, or plain loops.
#ifndef BITNET_PARITY_ENGINE_KERNELS_TARGETS_H_
#define BITNET_PARITY_ENGINE_KERNELS_TARGETS_H_

#include <string>
#include <vector>

#include "engine/kernels/order.h"

namespace bitnet {

// Of plain loops: any CPU, slow, with the same bits.
inline constexpr const char* kPlainTarget = "PLAIN";

// The instruction sets that were compiled and that this CPU has, the best first ("AVX3_DL", "AVX3", "AVX2"), then
// kPlainTarget.
std::vector<std::string> AvailableTargets();

// The one that is used; and what an order is computed on.
std::string TargetName();
std::string TargetName(const ArithmeticOrder& order);

// One of AvailableTargets() in place of the best; "": the best. Not while a kernel runs.
void UseTarget(const std::string& name);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_TARGETS_H_
