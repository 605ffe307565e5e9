#include "parity_tests/judge/trace_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/metrics.h"
#include "reference/capture/trace_record.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

[[noreturn]] void Refuse(const Capture& a, const Capture& b, const std::string& what) {
  throw std::runtime_error(fmt::format("{} and {} cannot be compared: {}", a.directory, b.directory, what));
}

void CheckComparable(const Capture& a, const Capture& b, const TraceDiffOptions& options) {
  const bool known = !a.model.blake3.empty() && !b.model.blake3.empty();
  if (known && a.model.architecture != b.model.architecture) {
    Refuse(a, b, fmt::format("model.architecture is {} and {}", a.model.architecture, b.model.architecture));
  }
  if (options.check_model && known && a.model.blake3 != b.model.blake3) {
    Refuse(a, b,
           fmt::format("they are of different models ({}, blake3 {:.12}..., and {}, blake3 {:.12}...)", a.model.path,
                       a.model.blake3, b.model.path, b.model.blake3));
  }
  if (known && a.tokens != b.tokens) {
    const size_t n = std::min(a.tokens.size(), b.tokens.size());
    size_t i = 0;
    while (i < n && a.tokens[i] == b.tokens[i]) ++i;
    Refuse(a, b,
           i < n ? fmt::format("they are of different prompts (token {} is {} and {})", i, a.tokens[i], b.tokens[i])
                 : fmt::format("they are of different prompts ({} and {} tokens)", a.tokens.size(), b.tokens.size()));
  }
}

// A capture says what it was asked to trace. A stage that its graph has anywhere must be there at every position and in
// every layer that the request selects; nothing else may.
void CheckComplete(const Capture& capture) {
  const int n_layer = static_cast<int>(CountOf(capture.model, "n_layer"));
  if (capture.request.trace == "none" || n_layer == 0) return;
  const TraceSelection selection(capture.request.trace);
  std::set<Point> points;
  std::unordered_set<std::string> there;
  int last = 0;
  for (const TraceRecord& r : capture.traces) {
    if (r.point != Point::kUnknown && !selection.Wants(r.point, r.layer, r.position)) {
      throw std::runtime_error(
          fmt::format("{}: {}: a record that the request (trace {}) does not ask for; capture again", capture.directory,
                      r.name, capture.request.trace));
    }
    points.insert(r.point);
    there.insert(r.name);
    last = std::max(last, r.position);
  }
  for (const bitnet::PointInfo& point : bitnet::kGraph) {
    if (!points.contains(point.point)) continue;
    const int first_layer = point.in_layer ? 0 : -1, last_layer = point.in_layer ? n_layer - 1 : -1;
    for (int layer = first_layer; layer <= last_layer; ++layer) {
      if (!selection.Wants(point.point, layer)) continue;
      for (int position = 0; position <= last; ++position) {
        if (!selection.WantsPosition(position) || there.contains(TraceName(position, layer, point.name))) continue;
        throw std::runtime_error(
            fmt::format("{}: {}: no such record, but the request (trace {}) asks for it; capture again",
                        capture.directory, TraceName(position, layer, point.name), capture.request.trace));
      }
    }
  }
}

void CheckRaw(const Capture& capture) {
  for (const TraceRecord& r : capture.traces) {
    if (!r.tensor_file.empty()) continue;
    throw std::runtime_error(
        fmt::format("{}: {}: no raw tensor was kept, but raw tensors were asked for; trace again with raw tensors",
                    capture.directory, r.name));
  }
}

// What may differ between two captures and still be compared, and must be said.
void NoteDifferences(const Capture& a, const Capture& b, TraceDiff& diff) {
  const bool requests = !a.model.blake3.empty() && !b.model.blake3.empty();
  if (requests && a.request.schedule != b.request.schedule) {
    diff.notes.push_back(
        fmt::format("a is of schedule {}, b of {}: sums are added up in another order, and that alone makes them "
                    "differ by rounding",
                    ScheduleName(a.request.schedule), ScheduleName(b.request.schedule)));
  }
  if (!requests && !a.model.path.empty() && !b.model.path.empty() && a.model.path != b.model.path) {
    diff.notes.push_back(
        fmt::format("a is of {}, b of {}: whether that is one model is not known, since a hash is missing",
                    a.model.path, b.model.path));
  }
}

double RelativeRms(double a, double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return std::numeric_limits<double>::infinity();
  const double larger = std::max(a, b);
  return larger > 0 ? std::fabs(a - b) / larger : 0;
}

RawDifference CompareRaw(const std::vector<float>& a, const std::vector<float>& b) {
  RawDifference d;
  if (a.empty()) return d;
  const RowMetrics m = CompareRows(a, b);
  d.max_abs = m.max_abs;
  d.mse = m.mse;
  d.cosine = m.cosine;
  d.worst_index = m.worst_column;
  d.worst_a = a[static_cast<size_t>(m.worst_column)];
  d.worst_b = b[static_cast<size_t>(m.worst_column)];
  for (size_t i = 0; i < a.size(); ++i) d.differing += std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i]);
  return d;
}

TensorDifference Compare(const Capture& a, const TraceRecord& in_a, const Capture& b, const TraceRecord& in_b,
                         RawTensors raw) {
  TensorDifference d;
  d.name = in_a.name;
  d.place = {in_a.position, in_a.layer, in_a.point};
  d.stage = in_a.stage;
  d.shape_a = in_a.shape;
  d.shape_b = in_b.shape;
  d.blake3_a = in_a.blake3;
  d.blake3_b = in_b.blake3;
  d.dtype_a = in_a.dtype;
  d.dtype_b = in_b.dtype;
  d.rms_a = in_a.rms;
  d.rms_b = in_b.rms;
  d.num_elements = in_a.num_elements;
  d.rms_relative = RelativeRms(in_a.rms, in_b.rms);
  if (in_a.shape != in_b.shape || in_a.dtype != in_b.dtype) {
    d.status = TensorStatus::kShape;
    return d;
  }
  // Equal bits do not count as agreement if one of them is NaN.
  const bool finite = std::isfinite(in_a.rms) && std::isfinite(in_b.rms);
  if (in_a.blake3 == in_b.blake3 && finite) {
    d.rms_relative = 0;
    return d;
  }
  d.status = d.rms_relative > kSuspiciousRms ? TensorStatus::kSuspicious : TensorStatus::kDiffers;
  if (raw != RawTensors::kNo && !in_a.tensor_file.empty() && !in_b.tensor_file.empty()) {
    d.raw = CompareRaw(ReadTensor(a, in_a), ReadTensor(b, in_b));
  }
  return d;
}

}  // namespace

TraceDiff DiffTraces(const Capture& a, const Capture& b, const TraceDiffOptions& options) {
  CheckComparable(a, b, options);
  if (options.check_complete) {
    CheckComplete(a);
    CheckComplete(b);
  }
  if (options.raw == RawTensors::kRequired) {
    CheckRaw(a);
    CheckRaw(b);
  }
  TraceDiff diff;
  diff.a = a.directory;
  diff.b = b.directory;
  diff.backend_a = a.backend;
  diff.backend_b = b.backend;
  diff.said_a = SaidIn(a);
  diff.said_b = SaidIn(b);
  diff.notes = a.notes;
  diff.notes.insert(diff.notes.end(), b.notes.begin(), b.notes.end());
  NoteDifferences(a, b, diff);

  std::vector<const TraceRecord*> in_a;
  for (const TraceRecord& record : a.traces) in_a.push_back(&record);
  std::sort(in_a.begin(), in_a.end(),
            [](const TraceRecord* x, const TraceRecord* y) { return ComputationOrder(*x) < ComputationOrder(*y); });
  std::unordered_map<std::string_view, const TraceRecord*> in_b;
  for (const TraceRecord& record : b.traces) in_b.emplace(record.name, &record);

  for (const TraceRecord* record : in_a) {
    const auto other = in_b.find(record->name);
    if (other == in_b.end()) {
      diff.only_a.push_back(record->name);
      continue;
    }
    diff.tensors.push_back(Compare(a, *record, b, *other->second, options.raw));
    in_b.erase(other);
    if (!diff.first && diff.tensors.back().status != TensorStatus::kEqual) diff.first = diff.tensors.size() - 1;
  }
  for (const TraceRecord& record : b.traces) {
    if (in_b.contains(record.name)) diff.only_b.push_back(record.name);
  }
  if (diff.tensors.empty()) Refuse(a, b, "no tensor was traced in both");
  return diff;
}

}  // namespace parity
