#include "engine/kernels/order.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace bitnet {
namespace {

constexpr ArithmeticOrder kOrders[] = {
    {.name = "llama.cpp-avx512",
     .description = "llama.cpp v0.5.0, plugins for AVX-512 (skylakex, icelake, zen4, ...)",
     .lanes = 16,
     .single = {.lanes = 16, .accumulators = 4, .adjacent_fold = false, .rounded_tail = true},
     .batch = {.lanes = 16, .accumulators = 1, .adjacent_fold = false},
     .batch_rows = 4,
     .round_batch_to_f16 = true,
     .scores_as_single = false,
     .q6_k_offset_apart = true,
     .kv_padding = 256},
    {.name = "llama.cpp-avx2",
     .description = "llama.cpp v0.5.0, plugins for AVX2 (haswell, alderlake)",
     .lanes = 8,
     .single = {.lanes = 8, .accumulators = 4, .adjacent_fold = true, .rounded_tail = true},
     .batch = {.lanes = 8, .accumulators = 1, .adjacent_fold = false},
     .batch_rows = 4,
     .round_batch_to_f16 = true,
     .scores_as_single = false,
     .q6_k_offset_apart = true,
     .kv_padding = 256},
    {.name = "bitnet.cpp-avx512",
     .description = "bitnet.cpp built for AVX-512",
     .lanes = 16,
     .single = {.lanes = 16, .accumulators = 4, .adjacent_fold = false},
     .batch = {.lanes = 16, .accumulators = 1, .adjacent_fold = false},
     .batch_rows = 1,
     .round_batch_to_f16 = false,
     .scores_as_single = true,
     .q6_k_offset_apart = false,
     .kv_padding = 32},
    {.name = "bitnet.cpp-avx2",
     .description = "bitnet.cpp built for AVX2",
     .lanes = 8,
     .single = {.lanes = 8, .accumulators = 4, .adjacent_fold = true},
     .batch = {.lanes = 8, .accumulators = 1, .adjacent_fold = false},
     .batch_rows = 1,
     .round_batch_to_f16 = false,
     .scores_as_single = true,
     .q6_k_offset_apart = false,
     .kv_padding = 32},
};

}  // namespace

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
