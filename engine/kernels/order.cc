#include "engine/kernels/order.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace bitnet {
namespace {

constexpr ArithmeticOrder kLlamaAvx512 = {
    .name = "llama.cpp-avx512",
    .description = "llama.cpp v0.5.0, plugins for AVX-512 without BF16 (skylakex, cannonlake, cascadelake, icelake)",
    .lanes = 16,
    .single = {.lanes = 16, .accumulators = 4, .adjacent_fold = false, .rounded_tail = true},
    .batch = {.lanes = 16, .accumulators = 1, .adjacent_fold = false},
    .bf16_single = {.lanes = 16, .accumulators = 2, .adjacent_fold = false},
    .bf16_batch = {.lanes = 16, .accumulators = 1, .adjacent_fold = false},
    .batch_rows = 4,
    .round_batch_to_f16 = true,
    .scores_as_single = false,
    .q6_k_offset_apart = true,
    .tq_rounds_products = false,
    .repacks_q4 = true,
    .repacks_q2_k = true,
    .i8_rounds_once = false,
    .kv_padding = 256};

constexpr ArithmeticOrder kLlamaAvx512Bf16 = [] {
  ArithmeticOrder order = kLlamaAvx512;
  order.name = "llama.cpp-avx512-bf16";
  order.description = "llama.cpp v0.5.0, plugins for AVX-512 with BF16 (zen4, cooperlake)";
  order.bf16_single.pairs = order.bf16_batch.pairs = true;
  return order;
}();

constexpr ArithmeticOrder kLlamaAvx2 = {
    .name = "llama.cpp-avx2",
    .description = "llama.cpp v0.5.0, plugins for AVX2 (haswell, alderlake)",
    .lanes = 8,
    .single = {.lanes = 8, .accumulators = 4, .adjacent_fold = true, .rounded_tail = true},
    .batch = {.lanes = 8, .accumulators = 1, .adjacent_fold = false},
    .bf16_single = {.lanes = 8, .accumulators = 4, .adjacent_fold = false},
    .bf16_batch = {.lanes = 8, .accumulators = 1, .adjacent_fold = false},
    .batch_rows = 4,
    .round_batch_to_f16 = true,
    .scores_as_single = false,
    .q6_k_offset_apart = true,
    .tq_rounds_products = false,
    .repacks_q4 = true,
    .repacks_q2_k = false,
    .i8_rounds_once = false,
    .kv_padding = 256};

// Up to the end of 2025 a row of attention ended at a multiple of 32 cells. For AVX2 that changes no bit: its step
// is 32.
constexpr ArithmeticOrder ShortRows(ArithmeticOrder order, std::string_view name, std::string_view description) {
  order.name = name;
  order.description = description;
  order.kv_padding = 32;
  return order;
}

// What clang's bitnet.cpp does otherwise than the llama.cpp of the same vectors. BF16 rows take the one-position way
// always.
constexpr ArithmeticOrder BitnetCpp(ArithmeticOrder order, std::string_view name, std::string_view description) {
  order.name = name;
  order.description = description;
  order.single.rounded_tail = false;
  order.bf16_batch = order.bf16_single;
  order.batch_rows = 1;
  order.round_batch_to_f16 = false;
  order.scores_as_single = true;
  order.q6_k_offset_apart = false;
  order.tq_rounds_products = true;
  order.repacks_q4 = order.repacks_q2_k = false;
  order.kv_padding = 32;
  return order;
}

// ... and what GCC rounds at another place there: it made llama.cpp's plugins too.
constexpr ArithmeticOrder ByGcc(ArithmeticOrder order, std::string_view name, std::string_view description) {
  order.name = name;
  order.description = description;
  order.single.rounded_tail = true;
  order.i8_rounds_once = true;
  order.tq_rounds_products = false;
  return order;
}

// 64-bit ARM, by clang. Of what llama-quantize makes beside these there is no order: nobody has looked at it.
constexpr TensorType kArmTypes[] = {TensorType::kF32,  TensorType::kF16,   TensorType::kBF16, TensorType::kQ8_0,
                                    TensorType::kQ6_K, TensorType::kTQ1_0, TensorType::kTQ2_0};
constexpr ArithmeticOrder kLlamaNeon = {.name = "llama.cpp-neon",
                                        .description = "llama.cpp v0.5.0, plugin for any 64-bit ARM (armv8.0_1)",
                                        .lanes = 4,
                                        .single = {.lanes = 4, .accumulators = 4, .adjacent_fold = true},
                                        .batch = {.lanes = 4, .accumulators = 1, .adjacent_fold = true},
                                        .bf16_single = {.lanes = 4, .accumulators = 0, .adjacent_fold = true},
                                        .bf16_batch = {.lanes = 4, .accumulators = 0, .adjacent_fold = true},
                                        .batch_rows = 4,
                                        .round_batch_to_f16 = false,
                                        .scores_as_single = true,
                                        .q6_k_offset_apart = false,
                                        .tq_rounds_products = false,
                                        .repacks_q4 = false,
                                        .repacks_q2_k = false,
                                        .i8_rounds_once = false,
                                        .kv_padding = 256,
                                        .f32_batch_from = 4,
                                        .one_sum_a_block = true,
                                        .q8_0_lanes = Q80Lanes::kNeon,
                                        .q8_0_inverts = true,
                                        .has_vectors = false,
                                        .types = kArmTypes};

constexpr ArithmeticOrder kLlamaNeonDotProd = [] {
  ArithmeticOrder order = kLlamaNeon;
  order.name = "llama.cpp-neon-dotprod";
  order.description = "llama.cpp v0.5.0, plugin for ARM with the int8 dot product (armv8.2_1)";
  order.q8_0_lanes = Q80Lanes::kNeonDotProd;
  order.q8_0_batch = order.repacks_q8_0 = order.repacks_q6_k = true;
  return order;
}();

constexpr ArithmeticOrder kLlamaNeonFp16 = [] {
  ArithmeticOrder order = kLlamaNeonDotProd;
  order.name = "llama.cpp-neon-fp16";
  order.description = "llama.cpp v0.5.0, plugin for ARM with the int8 dot product and F16 vectors (armv8.2_2)";
  order.f16_single = {.lanes = 8, .accumulators = 4, .adjacent_fold = true, .f16_sums = true};
  order.f16_batch = {.lanes = 8, .accumulators = 1, .adjacent_fold = true, .f16_sums = true};
  order.f16_batch_from = 8;
  order.round_batch_to_f16 = true;
  order.scores_as_single = false;
  return order;
}();

// On ARM, clang's bitnet.cpp adds as the llama.cpp of the same vectors, and lays no Q8_0 out anew.
constexpr TensorType kBitnetArmTypes[] = {TensorType::kF32,   TensorType::kF16,   TensorType::kBF16, TensorType::kQ8_0,
                                          TensorType::kTQ1_0, TensorType::kTQ2_0, TensorType::kI2_S};
constexpr ArithmeticOrder BitnetCppOnArm(ArithmeticOrder order, std::string_view name, std::string_view description) {
  order.name = name;
  order.description = description;
  order.batch_rows = 1;
  order.repacks_q8_0 = order.repacks_q6_k = false;
  order.kv_padding = 32;
  order.types = kBitnetArmTypes;
  return order;
}

constexpr ArithmeticOrder kBitnetAvx512 =
    BitnetCpp(kLlamaAvx512, "bitnet.cpp-avx512", "bitnet.cpp built for AVX-512 by clang");
constexpr ArithmeticOrder kBitnetAvx512Bf16 =
    BitnetCpp(kLlamaAvx512Bf16, "bitnet.cpp-avx512-bf16", "bitnet.cpp built for AVX-512 with BF16 by clang");
constexpr ArithmeticOrder kBitnetAvx2 = BitnetCpp(kLlamaAvx2, "bitnet.cpp-avx2", "bitnet.cpp built for AVX2 by clang");

constexpr ArithmeticOrder kOrders[] = {
    kLlamaAvx512,
    kLlamaAvx512Bf16,
    kLlamaAvx2,
    kLlamaNeon,
    kLlamaNeonDotProd,
    kLlamaNeonFp16,
    ShortRows(kLlamaAvx512, "llama.cpp-2025-avx512", "llama.cpp of 2025, built for AVX-512"),
    kBitnetAvx512,
    ByGcc(kBitnetAvx512, "bitnet.cpp-avx512-gcc", "bitnet.cpp built for AVX-512 by GCC"),
    kBitnetAvx512Bf16,
    ByGcc(kBitnetAvx512Bf16, "bitnet.cpp-avx512-bf16-gcc", "bitnet.cpp built for AVX-512 with BF16 by GCC"),
    kBitnetAvx2,
    ByGcc(kBitnetAvx2, "bitnet.cpp-avx2-gcc", "bitnet.cpp built for AVX2 by GCC"),
    BitnetCppOnArm(kLlamaNeonDotProd, "bitnet.cpp-neon", "bitnet.cpp built for ARM with the int8 dot product by clang"),
    BitnetCppOnArm(kLlamaNeonFp16, "bitnet.cpp-neon-fp16",
                   "bitnet.cpp built for ARM with the int8 dot product and F16 vectors by clang"),
};

}  // namespace

bool Knows(const ArithmeticOrder& order, TensorType type) {
  return order.types.empty() || std::ranges::find(order.types, type) != order.types.end();
}

namespace {

const DotOrder& BatchOrder(const ArithmeticOrder& order, FloatRows type) {
  if (type == FloatRows::kBF16) return order.bf16_batch;
  return type == FloatRows::kF16 && order.f16_batch.lanes != 0 ? order.f16_batch : order.batch;
}

const DotOrder& SingleOrder(const ArithmeticOrder& order, FloatRows type) {
  if (type == FloatRows::kBF16) return order.bf16_single;
  return type == FloatRows::kF16 && order.f16_single.lanes != 0 ? order.f16_single : order.single;
}

}  // namespace

bool IsBatch(const ArithmeticOrder& order, FloatRows type, size_t n, size_t cols, size_t rows) {
  const DotOrder& batch = BatchOrder(order, type);
  const size_t step = static_cast<size_t>(batch.lanes) * batch.accumulators * (batch.pairs ? 2 : 1);
  const auto from = static_cast<size_t>(type == FloatRows::kF16 ? order.f16_batch_from : order.f32_batch_from);
  return n >= from && step != 0 && cols % step == 0 && rows % order.batch_rows == 0;
}

const DotOrder& DotOrderOf(const ArithmeticOrder& order, FloatRows type, size_t n, size_t cols, size_t rows) {
  return IsBatch(order, type, n, cols, rows) ? BatchOrder(order, type) : SingleOrder(order, type);
}

std::span<const ArithmeticOrder> AllOrders() { return kOrders; }

const ArithmeticOrder& FindOrder(std::string_view name) {
  std::string known;
  for (const ArithmeticOrder& order : kOrders) {
    if (order.name == name) return order;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", order.name);
  }
  throw std::runtime_error(fmt::format("arithmetic order '{}' is not known; use one of: {}", name, known));
}

}  // namespace bitnet
