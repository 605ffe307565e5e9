#include "parity_tests/harness/own_model.h"

#include <fmt/format.h>

#include <exception>

#include "parity_tests/harness/native_backend.h"

namespace parity {

HeldModel HoldModel(const std::string& path, const BackendInfo& reference) {
  HeldModel held;
  try {
    held.loaded = LoadModel(path);
    held.own.model = &held.loaded->model;
    const std::string order = OrderOf(reference);
    held.own.order = order.empty() ? &bitnet::DefaultOrder(*held.own.model) : &bitnet::FindOrder(order);
  } catch (const std::exception& error) {
    held.own.problem = fmt::format("Not replayed: {}", error.what());
  }
  return held;
}

}  // namespace parity
