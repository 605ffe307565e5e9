// A build without Highway.
#include "engine/kernels/primitives.h"

namespace bitnet {

const Primitives* VectorPrimitives() { return nullptr; }
std::vector<std::string> VectorTargets() { return {}; }
std::string VectorTarget() { return ""; }
void BindVectorTarget(const std::string&) {}

}  // namespace bitnet
