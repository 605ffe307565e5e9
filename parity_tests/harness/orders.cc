#include "parity_tests/harness/orders.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "engine/graph/graph.h"
#include "parity_tests/oracle/parameters.h"
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

bitnet::TokenizerDialect DialectFor(const BackendInfo& reference, const bitnet::Model& model) {
  const std::string name = OrderOf(reference);
  return DialectOf(name.empty() ? UsualOrder(model) : bitnet::FindOrder(name));
}

namespace {

// The first product of the model with weights that the order does not know: where it is, and of what type.
struct Unknown {
  std::string tensor;
  bitnet::TensorType type;
};
std::optional<Unknown> FirstUnknown(const bitnet::ArithmeticOrder& order, const bitnet::Model& model) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (info.op != bitnet::Op::kProduct || !bitnet::Exists(info, shape)) continue;
    for (int layer = info.in_layer ? 0 : -1; layer < (info.in_layer ? static_cast<int>(shape.n_layer) : 0); ++layer) {
      const bitnet::TensorType type = MatrixOf(model, info.weight, layer).type;
      if (bitnet::Knows(order, type)) continue;
      return Unknown{layer < 0 ? std::string(info.name) : fmt::format("{} of layer {}", info.name, layer), type};
    }
  }
  return std::nullopt;
}

}  // namespace

const bitnet::ArithmeticOrder* KnownOrder(const BackendInfo& reference, const bitnet::Model& model) {
  const std::string name = OrderOf(reference);
  if (name.empty()) return nullptr;
  const bitnet::ArithmeticOrder& order = bitnet::FindOrder(name);
  return FirstUnknown(order, model) ? nullptr : &order;
}

const bitnet::ArithmeticOrder& OrderFor(const BackendInfo& reference, const bitnet::Model& model) {
  const bitnet::ArithmeticOrder* order = KnownOrder(reference, model);
  return order != nullptr ? *order : UsualOrder(model);
}

const bitnet::ArithmeticOrder& OrderNamed(const std::string& name, const bitnet::Model& model) {
  if (name.empty()) return UsualOrder(model);
  const bitnet::ArithmeticOrder& order = bitnet::FindOrder(name);
  const std::optional<Unknown> unknown = FirstUnknown(order, model);
  if (!unknown) return order;
  std::vector<std::string> known;
  for (const bitnet::TensorType type : order.types) known.push_back(bitnet::TypeName(type));
  throw std::runtime_error(
      fmt::format("{}: found weights of {} in {}, expected {}: nobody has written down how the builds of order {} add "
                  "them up; leave the order out",
                  model.file.path(), bitnet::TypeName(unknown->type), unknown->tensor, fmt::join(known, ", "), name));
}

}  // namespace parity
