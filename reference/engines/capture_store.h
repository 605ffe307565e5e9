// Captures that are made once and shared, also between processes that run at the same time, on one machine or on many
// that share a folder. A capture appears whole, by one rename; who is killed while making one leaves nothing that
// others see or wait for.
//
//   CaptureStore store("build/captures");
//   Capture c = store.Get(*backend, request);    // runs the engine, or reads what another process has made
//
// A capture is kept under a key of all that it depends on: the request without its paths, the contents of the model and
// the tokenizer file, and the backend's Identity. To empty the store, delete its directory.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_CAPTURE_STORE_H_
#define BITNET_PARITY_REFERENCE_ENGINES_CAPTURE_STORE_H_

#include <string>

#include "reference/engines/backend.h"

namespace parity {

class CaptureStore {
 public:
  explicit CaptureStore(std::string directory);

  // Throws what the backend's Run throws. A failure is not kept: the next call tries again.
  Capture Get(Backend& backend, const Request& request);

  // Name of the directory in which Get keeps the answer: 64 hex digits.
  std::string Key(Backend& backend, const Request& request) const;

  // BLAKE3 of a file, remembered by path, size, modification time and inode.
  std::string FileHash(const std::string& path) const;

 private:
  std::string directory_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_CAPTURE_STORE_H_
