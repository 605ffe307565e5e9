#include "parity_tests/harness/own_model.h"

#include <fmt/format.h>

#include <exception>

#include "parity_tests/harness/orders.h"

namespace parity {

HeldModel HoldModel(const Request& request, const BackendInfo& reference) {
  HeldModel held;
  try {
    held.loaded = LoadModel(SourceOf(request));
    held.own.model = &held.loaded->model;
    held.own.order = &OrderFor(reference, *held.own.model);
    held.own.dialect = DialectFor(reference, *held.own.model);
  } catch (const std::exception& error) {
    held.own.problem = fmt::format("Not replayed: {}", error.what());
  }
  return held;
}

}  // namespace parity
