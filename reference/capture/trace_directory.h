// Traces without a capture around them: a directory with one JSON file a tensor (t0_blk0_attn_norm.trace), raw tensors
// beside (.npy), and trace.json, written last, which says what was run and names every record.
//
//   TraceDirectory traces("out");
//   traces.Add(position, layer, Point::kQProj, {n_embd}, data, /*keep_raw=*/false);   // from any thread
//   traces.Finish(run);
//   Capture again = ReadTraces("out");    // a trace directory or a capture
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_TRACE_DIRECTORY_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_TRACE_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "reference/capture/capture.h"

namespace parity {

class TraceDirectory {
 public:
  // Makes the directory. Records of an earlier run in it are removed; .trace files that no trace.json names are an
  // error.
  explicit TraceDirectory(std::string directory);

  // Thread-safe. Hashes at once, writes later: files are slow to make, and a run that is measured should not wait for
  // them. What waits is bounded (64 MiB). A second tensor of the same name is an error.
  void Add(int position, int layer, Point point, std::vector<int64_t> shape, std::span<const float> data,
           bool keep_raw);

  // Writes what waits, and trace.json from the backend, model, request, tokens and generated of `run`.
  void Finish(const Capture& run);

  size_t size() const;

 private:
  struct Waiting {
    TraceRecord record;
    std::vector<float> raw;
  };
  void Flush();  // with mutex_ held

  std::string directory_;
  mutable std::mutex mutex_;
  std::vector<Waiting> waiting_;
  size_t waiting_bytes_ = 0;
  std::vector<std::string> files_;  // written
};

// The traces at `directory`, a capture or a trace directory, in the order of the computation. Of a trace directory the
// result holds what trace.json says (if there is none: nothing of the model and the prompt, and a note). Throws
// std::runtime_error, naming file and field, on a record that is missing, truncated, foreign or wrong.
Capture ReadTraces(const std::string& directory);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_TRACE_DIRECTORY_H_
