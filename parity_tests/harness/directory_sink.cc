#include "parity_tests/harness/directory_sink.h"

#include <vector>

namespace parity {

DirectorySink::DirectorySink(const std::string& spec, const std::string& directory, bool keep_raw)
    : spec_(spec), selection_(spec), keep_raw_(keep_raw), traces_(directory) {}

bool DirectorySink::Wants(bitnet::Point point, int layer) const { return selection_.Wants(point, layer); }

void DirectorySink::OnTensor(const bitnet::TracedTensor& t) {
  if (!selection_.WantsSeq(t.position)) return;
  std::vector<int64_t> shape;
  if (t.rows > 1) shape.push_back(static_cast<int64_t>(t.rows));
  shape.push_back(static_cast<int64_t>(t.cols));
  traces_.Add(t.position, t.layer, t.point, shape, t.data, keep_raw_);
}

void DirectorySink::Finish(Capture run) {
  run.request.trace = spec_;
  traces_.Finish(run);
}

}  // namespace parity
