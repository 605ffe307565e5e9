// Our engine's tracepoints, written to a trace directory.
//
//   DirectorySink sink("core;seq=0-3", "traces", /*keep_raw=*/false);
//   Context context(model, {.trace = &sink});
//   ... sink.Finish(run);
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_DIRECTORY_SINK_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_DIRECTORY_SINK_H_

#include <string>

#include "engine/model/trace.h"
#include "reference/capture/trace_directory.h"
#include "reference/capture/trace_selection.h"

namespace parity {

class DirectorySink : public bitnet::TraceSink {
 public:
  // `spec`: see TraceSelection. Throws on a bad one before anything is written.
  DirectorySink(const std::string& spec, const std::string& directory, bool keep_raw);

  bool Wants(bitnet::Point point, int layer) const override;
  void OnTensor(const bitnet::TracedTensor& tensor) override;

  void Finish(Capture run);
  size_t size() const { return traces_.size(); }

 private:
  std::string spec_;
  TraceSelection selection_;
  bool keep_raw_;
  TraceDirectory traces_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_DIRECTORY_SINK_H_
