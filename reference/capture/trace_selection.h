// Which tensors a request traces, and how a traced tensor is called.
//
//   TraceSelection selection("core,blk3/*");
//   if (selection.Wants(Point::kQProj, 3)) ...
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_TRACE_SELECTION_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_TRACE_SELECTION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/graph.h"

namespace parity {

using bitnet::Point;
using bitnet::PointName;

// "t0/blk0/attn_norm", or "t0/embeddings" for layer -1.
std::string TraceName(int position, int layer, std::string_view point);

class TraceSelection {
 public:
  // "none", "core", "full", or these and globs (`*`, `?`, `[..]`) separated by commas. A glob with a slash is matched
  // against "blk<layer>/<point>", one without against the point's name. Filters may follow (or stand alone, which means
  // "full"), separated by semicolons, each a list with commas:
  //
  //   core;seq=0-3;layer=0,5-7;stage=attn_*
  //
  // seq (the position) and layer: numbers and inclusive ranges (layer -1: outside the layers); stage: globs over
  // points. Throws std::runtime_error that shows the syntax on anything else, and on a glob that matches no point.
  explicit TraceSelection(const std::string& spec);

  bool Wants(Point point, int layer) const;                // at some position
  bool Wants(Point point, int layer, int position) const;  // at this one
  bool WantsPosition(int position) const { return Within(positions_, position); }
  bool empty() const { return points_ == 0 && patterns_.empty(); }

 private:
  struct Range {
    int first;
    int last;
  };
  static bool Within(const std::vector<Range>& ranges, int value);
  void AddPoints(const std::string& part, const std::string& spec);
  void AddFilter(const std::string& part, const std::string& spec);

  uint64_t points_ = 0;                   // bit i: the i-th point of the graph, in every layer
  std::vector<std::string> patterns_;     // globs over "blk<layer>/<point>"
  uint64_t point_filter_ = ~uint64_t{0};  // bit i: the i-th point is let through
  std::vector<Range> layers_;             // empty: all
  std::vector<Range> positions_;          // empty: all
};

// "core" or "full" and a filter as one specification: ("core", "seq=0-3") is "core;seq=0-3".
std::string JoinTraceSpec(const std::string& points, const std::string& filter);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_TRACE_SELECTION_H_
