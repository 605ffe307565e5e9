#include "engine/kernels/targets.h"

#include "engine/kernels/primitives.h"

namespace bitnet {
namespace {

bool plain_asked_for = false;

}  // namespace

std::vector<std::string> AvailableTargets() {
  std::vector<std::string> names = VectorTargets();
  names.emplace_back(kPlainTarget);
  return names;
}

const Primitives& AnyPrimitives() {
  const Primitives* vectors = plain_asked_for ? nullptr : VectorPrimitives();
  return vectors != nullptr ? *vectors : kPlainPrimitives;
}

const Primitives& PrimitivesFor(const ArithmeticOrder& order) {
  return order.has_vectors ? AnyPrimitives() : kPlainPrimitives;
}

std::string TargetName() { return &AnyPrimitives() == &kPlainPrimitives ? kPlainTarget : VectorTarget(); }
std::string TargetName(const ArithmeticOrder& order) { return order.has_vectors ? TargetName() : kPlainTarget; }

void UseTarget(const std::string& name) {
  plain_asked_for = name == kPlainTarget;
  BindVectorTarget(plain_asked_for ? "" : name);
}

}  // namespace bitnet
