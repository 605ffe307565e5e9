// Writes a capture while the engine runs: traced tensors as they come, the rest at the end. Everything goes to a
// temporary directory beside the target, which is renamed when it is whole; a writer that is destroyed before removes
// it.
//
//   CaptureWriter writer("out");
//   writer.AddTensor(position, layer, Point::kQProj, {n_embd}, data, /*keep_raw=*/true);
//   writer.Finish(capture);
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_CAPTURE_WRITER_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_CAPTURE_WRITER_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "reference/capture/capture.h"
#include "reference/capture/trace_record.h"

namespace parity {

class CaptureWriter {
 public:
  explicit CaptureWriter(const std::string& directory);
  ~CaptureWriter();
  CaptureWriter(const CaptureWriter&) = delete;
  CaptureWriter& operator=(const CaptureWriter&) = delete;

  // A second tensor of the same name replaces the first.
  void AddTensor(int position, int layer, Point point, std::vector<int64_t> shape, std::span<const float> data,
                 bool keep_raw);

  // Writes `capture`, with the tensors added here beside capture.traces, and renames. Raw tensors that capture.traces
  // name are copied from capture.directory. Throws if the target exists and is not a capture.
  void Finish(const Capture& capture);

 private:
  std::string directory_;
  std::string temporary_;
  std::map<std::string, TraceRecord> records_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_CAPTURE_WRITER_H_
