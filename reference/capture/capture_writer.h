// Writes a capture while the engine runs: traced tensors as they come, the rest at the end. Everything goes to a
// temporary directory beside the target, which is renamed when it is whole; a writer that is destroyed before removes
// it.
//
// EngineCapture is what an adapter needs, a program that `exec:` calls with a request and a directory:
//
//   const Request request = ReadRequest(argv[1]);
//   EngineCapture capture(request, argv[2]);
//   capture.Tensor(position, layer, "q_proj", q);          // where the engine computes it; kept if the request asks
//   capture.PromptToken(id, piece, logits);                // for each position of the prompt
//   capture.GeneratedToken(id, piece, logits);             // ... and the logits from which it was taken
//   capture.Finish(backend, model, shapes);
//
// fixtures/example_writer/adapter.cc is one. CaptureWriter below it leaves the selection to the caller:
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
#include <string_view>
#include <utility>
#include <vector>

#include "reference/capture/capture.h"
#include "reference/capture/leftovers.h"
#include "reference/capture/trace_record.h"
#include "reference/capture/trace_selection.h"

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
  Leftover leftover_;  // temporary_
  std::map<std::string, TraceRecord> records_;
};

class EngineCapture {
 public:
  EngineCapture(Request request, const std::string& directory);

  // Where a tensor is costly to get at.
  bool Wants(int position, int layer, std::string_view stage) const;
  // One position's tensor; `layer` is -1 outside the layers. Scores and probabilities are [heads, keys], one head
  // behind the other. Does nothing unless the request asks for it. A stage that is none is an error.
  void Tensor(int position, int layer, std::string_view stage, std::span<const float> data, int64_t heads = 1);

  void PromptToken(int32_t id, std::string piece, std::span<const float> logits);
  void GeneratedToken(int32_t id, std::string piece, std::span<const float> logits);
  void Note(std::string text) { capture_.notes.push_back(std::move(text)); }
  Timings& timings() { return capture_.timings; }

  // `shapes` needs n_ctx, n_ubatch and kv_cells; what the model's hyper-parameters and the logits say is filled in
  // where it is 0, and a mask where there is none: each position attends those before it, and itself.
  void Finish(BackendInfo backend, ModelInfo model, Shapes shapes);

 private:
  CaptureWriter writer_;
  TraceSelection selection_;
  Capture capture_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_CAPTURE_WRITER_H_
