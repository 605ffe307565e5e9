// Where in a run of an engine: a position of the sequence, a layer, and a tensor of the forward pass.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_PLACE_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_PLACE_H_

#include <fmt/format.h>

#include <string>

#include "engine/graph/graph.h"

namespace parity {

using bitnet::Point;
using bitnet::PointName;

struct Place {
  int position = -1;              // -1: at none in particular
  int layer = -1;                 // -1: outside the layers
  Point point = Point::kUnknown;  // kUnknown: no tensor is known to differ
  bool operator==(const Place&) const = default;
};

// "ffn_down"; "" for kUnknown.
inline std::string PointText(Point point) { return point == Point::kUnknown ? "" : std::string(PointName(point)); }

// "layer 3, ffn_down" or "logits".
inline std::string PlaceText(int layer, Point point) {
  const std::string name(PointName(point));
  return layer < 0 ? name : "layer " + std::to_string(layer) + ", " + name;
}

}  // namespace parity

template <>
struct fmt::formatter<bitnet::Point> : fmt::formatter<std::string_view> {
  template <typename Context>
  auto format(bitnet::Point point, Context& context) const {
    return fmt::formatter<std::string_view>::format(bitnet::PointName(point), context);
  }
};

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_PLACE_H_
