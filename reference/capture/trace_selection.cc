#include "reference/capture/trace_selection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <stdexcept>

namespace parity {
namespace {

constexpr const char* kSyntax =
    "expected none, core, full or globs, then filters, as core;seq=0-3;layer=0,5-7;stage=attn_*";

[[noreturn]] void Fail(const std::string& spec, const std::string& what) {
  throw std::runtime_error(fmt::format("trace: '{}': {}; {}", spec, what, kSyntax));
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool GlobMatches(const std::string& glob, std::string_view text) {
  return fnmatch(glob.c_str(), std::string(text).c_str(), 0) == 0;
}

// Bits of the points whose names match.
uint64_t PointsLike(const std::string& glob) {
  uint64_t bits = 0;
  for (size_t i = 0; i < bitnet::kGraph.size(); ++i)
    bits |= static_cast<uint64_t>(GlobMatches(glob, bitnet::kGraph[i].name)) << i;
  return bits;
}

[[noreturn]] void FailGlob(const std::string& spec, const std::string& glob) {
  std::vector<std::string_view> names;
  for (const bitnet::PointInfo& p : bitnet::kGraph) names.push_back(p.name);
  Fail(spec, fmt::format("'{}' matches no stage (they are {}, or blk<layer>/<stage>)", glob, fmt::join(names, " ")));
}

}  // namespace

std::string TraceName(int position, int layer, std::string_view point) {
  return layer < 0 ? fmt::format("t{}/{}", position, point) : fmt::format("t{}/blk{}/{}", position, layer, point);
}

std::string JoinTraceSpec(const std::string& points, const std::string& filter) {
  return filter.empty() ? points : points + ";" + filter;
}

TraceSelection::TraceSelection(const std::string& spec) {
  const std::vector<std::string> parts = Split(spec, ';');
  if (!parts.empty() && parts.front().find('=') != std::string::npos) AddPoints("full", spec);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].find('=') != std::string::npos) {
      AddFilter(parts[i], spec);
    } else if (i == 0) {
      AddPoints(parts[i], spec);
    } else {
      Fail(spec, fmt::format("'{}' is no filter", parts[i]));
    }
  }
}

void TraceSelection::AddPoints(const std::string& part, const std::string& spec) {
  for (const std::string& glob : Split(part, ',')) {
    if (glob.empty() || glob == "none") continue;
    if (glob == "core") {
      for (size_t i = 0; i < bitnet::kGraph.size(); ++i) points_ |= static_cast<uint64_t>(bitnet::kGraph[i].core) << i;
      continue;
    }
    if (const size_t slash = glob.find('/'); slash != std::string::npos) {
      const uint64_t like = PointsLike(glob.substr(slash + 1));
      bool in_layer = false;
      for (size_t i = 0; i < bitnet::kGraph.size(); ++i)
        in_layer |= bitnet::kGraph[i].in_layer && (like >> i & 1u) != 0;
      if (!in_layer || !glob.starts_with("blk")) FailGlob(spec, glob);
      patterns_.push_back(glob);
      continue;
    }
    const uint64_t like = PointsLike(glob == "full" ? "*" : glob);
    if (like == 0) FailGlob(spec, glob);
    points_ |= like;
  }
}

void TraceSelection::AddFilter(const std::string& part, const std::string& spec) {
  const size_t equals = part.find('=');
  const std::string key = part.substr(0, equals), list = part.substr(equals + 1);
  if (list.empty()) Fail(spec, fmt::format("'{}' has no value", part));
  if (key == "stage") {
    uint64_t like = 0;
    for (const std::string& glob : Split(list, ',')) {
      const uint64_t bits = PointsLike(glob);
      if (bits == 0) FailGlob(spec, glob);
      like |= bits;
    }
    point_filter_ &= like;
    return;
  }
  if (key != "seq" && key != "layer") Fail(spec, fmt::format("'{}' is none of seq, layer, stage", key));
  for (const std::string& item : Split(list, ',')) {
    const auto number = [&](const std::string& text) {
      int value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size() || value < (key == "layer" ? -1 : 0)) {
        Fail(spec, fmt::format("'{}' in '{}' is no number or range", item, part));
      }
      return value;
    };
    const size_t dash = item.find('-', 1);
    const Range range = dash == std::string::npos ? Range{number(item), number(item)}
                                                  : Range{number(item.substr(0, dash)), number(item.substr(dash + 1))};
    if (range.last < range.first) Fail(spec, fmt::format("the range '{}' ends before it begins", item));
    (key == "seq" ? positions_ : layers_).push_back(range);
  }
}

bool TraceSelection::Within(const std::vector<Range>& ranges, int value) {
  return ranges.empty() ||
         std::any_of(ranges.begin(), ranges.end(), [=](const Range& r) { return r.first <= value && value <= r.last; });
}

bool TraceSelection::Wants(Point point, int layer) const {
  if (point == Point::kUnknown || empty() || !Within(layers_, layer)) return false;
  const auto index = static_cast<unsigned>(point);
  if ((point_filter_ >> index & 1u) == 0) return false;
  if ((points_ >> index & 1u) != 0) return true;
  if (patterns_.empty()) return false;
  const std::string place = fmt::format("blk{}/{}", layer, PointName(point));
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& p) { return GlobMatches(p, place); });
}

bool TraceSelection::Wants(Point point, int layer, int position) const {
  return WantsPosition(position) && Wants(point, layer);
}

}  // namespace parity
