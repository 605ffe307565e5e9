// An engine that turns a Request into a Capture.
//
//   std::unique_ptr<Backend> backend = MakeBackend("llama.cpp");    // registry.h
//   if (!backend->Probe().available) ...
//   Capture capture = backend->Run(request);
#ifndef BITNET_PARITY_REFERENCE_ENGINES_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_BACKEND_H_

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/capture/capture.h"
#include "reference/capture/request.h"
#include "reference/capture/temporary_directory.h"

namespace parity {

struct ProbeResult {
  bool available = false;
  std::string version;
  std::vector<std::string> looked_in;     // where it was looked for, in order
  std::vector<std::string> found;         // libraries, headers, commands
  std::vector<std::string> details;       // what the engine says of itself, "key: value" each
  std::vector<std::string> known_faults;  // what is known to be wrong with such a build
  std::string problem;                    // why it is not available, in one line
  std::string remedy;                     // what to do about it
};

// The hash of a file's content: HashFile, or something that remembers.
using FileHasher = std::function<std::string(const std::string& path)>;

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  virtual ProbeResult Probe() = 0;
  // All that the result depends on beside request and model: versions, and what `hash` says of binaries. Part of a
  // capture's key.
  virtual std::string Identity(const FileHasher& hash) = 0;
  // True where an engine answers, which can be asked anything; false where a capture was made before.
  virtual bool live() const { return true; }
  // True where it ends its text at an end-of-generation token, whatever the request says: the other side must, too.
  virtual bool stops_at_end() const { return false; }
  // Whether a longer text as its prompt is gone on with: a chat puts its prompt into a template.
  virtual bool goes_on_with_text() const { return true; }
  // Throws std::runtime_error with the engine's own last words, or ModelNotSupported. Raw tensors stay readable while
  // this backend lives.
  virtual Capture Run(const Request& request) = 0;
  // The same, as a capture at `directory`.
  virtual void RunTo(const Request& request, const std::string& directory);
};

// A backend that leaves its captures on disk: RunTo is what it does, and Run reads the answer from a directory that
// lives as long as the backend.
class DirectoryBackend : public Backend {
 public:
  Capture Run(const Request& request) override;
  void RunTo(const Request& request, const std::string& directory) override = 0;

 private:
  std::optional<TemporaryDirectory> work_;  // made by the first run
  int n_runs_ = 0;
};

// Thrown by Run where the engine is sound but cannot run this model ("unknown model architecture"). A reason to skip.
class ModelNotSupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_BACKEND_H_
