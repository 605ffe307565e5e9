#include "reference/engines/backend.h"

#include <fmt/format.h>

namespace parity {

void Backend::RunTo(const Request& request, const std::string& directory) { WriteCapture(Run(request), directory); }

Capture DirectoryBackend::Run(const Request& request) {
  if (!work_) work_.emplace();
  const std::string directory = fmt::format("{}/{}", work_->path(), n_runs_++);
  RunTo(request, directory);
  return ReadCapture(directory);
}

}  // namespace parity
