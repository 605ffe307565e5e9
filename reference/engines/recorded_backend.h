// recorded:DIR: a folder of captures, or one capture. A request is answered by the capture of the same model file and
// the same text (or ids), template, schedule and CPU variant that holds at least the positions, tokens and traces asked
// for; what it holds beyond is cut off.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_RECORDED_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_RECORDED_BACKEND_H_

#include <memory>
#include <string>

#include "reference/engines/backend.h"

namespace parity {

std::unique_ptr<Backend> MakeRecordedBackend(const std::string& directory);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_RECORDED_BACKEND_H_
