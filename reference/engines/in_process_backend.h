// A backend whose engine is linked into this program.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_IN_PROCESS_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_IN_PROCESS_BACKEND_H_

#include <memory>
#include <optional>
#include <string>

#include "reference/capture/temporary_directory.h"
#include "reference/engines/backend.h"
#include "reference/engines/serve.h"

namespace parity {

class InProcessBackend : public Backend {
 public:
  // Traced tensors go straight to disk, into a directory that lives as long as the backend.
  Capture Run(const Request& request) final;
  void RunTo(const Request& request, const std::string& directory) final;

 protected:
  // A session for one request, with the model loaded.
  virtual std::unique_ptr<Session> Open(const Request& request) = 0;

 private:
  std::optional<TemporaryDirectory> work_;  // made by the first run that traces
  int n_runs_ = 0;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_IN_PROCESS_BACKEND_H_
