// A backend whose engine is linked into this program.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_IN_PROCESS_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_IN_PROCESS_BACKEND_H_

#include <memory>
#include <string>

#include "reference/engines/backend.h"
#include "reference/engines/serve.h"

namespace parity {

class InProcessBackend : public DirectoryBackend {
 public:
  // On disk only where tensors are traced.
  Capture Run(const Request& request) final;
  void RunTo(const Request& request, const std::string& directory) final;

 protected:
  // A session for one request, with the model loaded.
  virtual std::unique_ptr<Session> Open(const Request& request) = 0;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_IN_PROCESS_BACKEND_H_
