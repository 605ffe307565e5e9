#include "reference/engines/backend.h"

namespace parity {

void Backend::RunTo(const Request& request, const std::string& directory) { WriteCapture(Run(request), directory); }

}  // namespace parity
