// From the engine's tracepoints to records: what a selection wants, with each tensor's shape.
//
//   CaptureSink sink(request, &writer);                              // into a capture
//   DirectorySink sink("core;seq=0-3", "traces", /*keep_raw=*/false);  // into a trace directory
//   Context context(model, {.trace = &sink});
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_CAPTURE_SINK_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_CAPTURE_SINK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/trace.h"
#include "reference/capture/capture_writer.h"
#include "reference/capture/trace_directory.h"
#include "reference/capture/trace_selection.h"

namespace parity {

class SelectionSink : public bitnet::TraceSink {
 public:
  bool Wants(Point point, int layer) const override { return selection_.Wants(point, layer); }
  void OnTensor(const bitnet::TracedTensor& tensor) override;

 protected:
  // `spec`: see TraceSelection, which throws on a bad one. positions: how many, from the first on; 0: all.
  SelectionSink(const std::string& spec, int positions) : selection_(spec), positions_(positions) {}
  virtual void Add(const bitnet::TracedTensor& tensor, std::vector<int64_t> shape) = 0;

 private:
  TraceSelection selection_;
  int positions_;
};

// `writer` must outlive the sink.
class CaptureSink : public SelectionSink {
 public:
  CaptureSink(const Request& request, CaptureWriter* writer)
      : SelectionSink(request.trace, request.positions), keep_raw_(request.raw_tensors), writer_(writer) {}

 private:
  void Add(const bitnet::TracedTensor& t, std::vector<int64_t> shape) override {
    writer_->AddTensor(t.position, t.layer, t.point, std::move(shape), t.data, keep_raw_);
  }

  bool keep_raw_;
  CaptureWriter* writer_;
};

class DirectorySink : public SelectionSink {
 public:
  // Throws on a bad `spec` before anything is written.
  DirectorySink(const std::string& spec, const std::string& directory, bool keep_raw)
      : SelectionSink(spec, /*positions=*/0), spec_(spec), keep_raw_(keep_raw), traces_(directory) {}

  void Finish(Capture run) {
    run.request.trace = spec_;
    traces_.Finish(run);
  }
  size_t size() const { return traces_.size(); }

 private:
  void Add(const bitnet::TracedTensor& t, std::vector<int64_t> shape) override {
    traces_.Add(t.position, t.layer, t.point, std::move(shape), t.data, keep_raw_);
  }

  std::string spec_;
  bool keep_raw_;
  TraceDirectory traces_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_CAPTURE_SINK_H_
