#include "parity_tests/harness/orders.h"

#include <string>
#include <string_view>

#include "reference/engines/registry.h"

namespace parity {

const bitnet::ArithmeticOrder& UsualOrder(const bitnet::Model& model) {
  const bool i2_s = model.weights.layers.front().attn_q.type == bitnet::TensorType::kI2_S;
  return bitnet::FindOrder(i2_s ? "bitnet.cpp-avx512" : "llama.cpp-avx512");
}

bitnet::TokenizerDialect DialectOf(const bitnet::ArithmeticOrder& order) {
  return std::string_view(order.name).starts_with("bitnet.cpp") ? bitnet::TokenizerDialect::kBitnetCpp
                                                                : bitnet::TokenizerDialect::kLlamaCpp;
}

const bitnet::ArithmeticOrder& OrderFor(const BackendInfo& reference, const bitnet::Model& model) {
  const std::string order = OrderOf(reference);
  return order.empty() ? UsualOrder(model) : bitnet::FindOrder(order);
}

}  // namespace parity
