// The primitives on Highway, and the instruction sets that it has here.
#include "engine/kernels/vectors.h"

#include <algorithm>
#include <iterator>

#include "engine/kernels/primitives.h"
#include "hwy/targets.h"

namespace bitnet {
namespace {

struct Product {
  TensorType type;
  MatMulRows* rows;
};
constexpr Product kProducts[] = {
    {TensorType::kF32, FloatMatMulRows},       {TensorType::kF16, FloatMatMulRows},
    {TensorType::kBF16, FloatMatMulRows},      {TensorType::kQ4_0, BlocksOf32MatMulRows},
    {TensorType::kQ4_1, BlocksOf32MatMulRows}, {TensorType::kQ5_0, BlocksOf32MatMulRows},
    {TensorType::kQ5_1, BlocksOf32MatMulRows}, {TensorType::kQ8_0, BlocksOf32MatMulRows},
    {TensorType::kQ2_K, KQuantsMatMulRows},    {TensorType::kQ3_K, KQuantsMatMulRows},
    {TensorType::kQ4_K, KQuantsMatMulRows},    {TensorType::kQ5_K, KQuantsMatMulRows},
    {TensorType::kQ6_K, Q6KMatMulRows},        {TensorType::kTQ1_0, TQ10MatMulRows},
    {TensorType::kTQ2_0, TQ20MatMulRows},      {TensorType::kI2_S, I2SMatMulRows},
    {TensorType::kQ1_0, LowBitsMatMulRows},    {TensorType::kQ2_0, LowBitsMatMulRows},
};

MatMulRows* ProductOf(TensorType type) {
  const auto* found =
      std::find_if(std::begin(kProducts), std::end(kProducts), [type](const Product& p) { return p.type == type; });
  return found == std::end(kProducts) ? nullptr : found->rows;
}

constexpr Primitives kVectors = {.silu_mul = vectors::SiluMul,
                                 .squared_relu_mul = vectors::SquaredReluMul,
                                 .add = vectors::Add,
                                 .to_f16 = vectors::ToF16,
                                 .round_to_f16 = vectors::RoundToF16,
                                 .round_to_bf16 = vectors::RoundToBf16,
                                 .rms_norm = vectors::RmsNormRows,
                                 .rope = vectors::Rope,
                                 .softmax = vectors::Softmax,
                                 .quantize = vectors::Quantize,
                                 .dots = vectors::Dots,
                                 .product = ProductOf};

// As bits of Highway's HWY_AVX2, HWY_AVX3, ...; a better one is a lower bit.
int64_t Targets() { return hwy::SupportedTargets() & HWY_TARGETS; }

}  // namespace

// Asked for by every operation, and the CPU is asked once: that takes longer than many an operation.
const Primitives* VectorPrimitives() {
  static const bool any = Targets() != 0;
  return any ? &kVectors : nullptr;
}

std::vector<std::string> VectorTargets() {
  std::vector<std::string> names;
  for (int64_t left = Targets(); left != 0; left &= left - 1) names.emplace_back(hwy::TargetName(left & -left));
  return names;
}

std::string VectorTarget() { return hwy::TargetName(Targets() & -Targets()); }

void BindVectorTarget(const std::string& name) {
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
  for (int64_t left = name.empty() ? 0 : Targets(); left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    if (name != hwy::TargetName(target)) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    return;
  }
}

}  // namespace bitnet
