#include "reference/engines/in_process_backend.h"

#include <chrono>

#include "reference/capture/capture_writer.h"

namespace parity {

using Clock = std::chrono::steady_clock;

Capture InProcessBackend::Run(const Request& request) {
  if (request.trace != "none") return DirectoryBackend::Run(request);
  const Clock::time_point start = Clock::now();
  return Serve(request, *Open(request), nullptr, start);
}

void InProcessBackend::RunTo(const Request& request, const std::string& directory) {
  const Clock::time_point start = Clock::now();
  const std::unique_ptr<Session> session = Open(request);
  CaptureWriter writer(directory);
  writer.Finish(Serve(request, *session, &writer, start));
}

}  // namespace parity
