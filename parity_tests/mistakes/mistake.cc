#include "parity_tests/mistakes/mistake.h"

#include <fmt/format.h>

#include <bit>
#include <stdexcept>

namespace parity {

Point PointSet::first() const { return bits_ == 0 ? Point::kUnknown : static_cast<Point>(std::countr_zero(bits_)); }

bool Mistake::InLayer() const {
  const Point first = (made_in.empty() ? points : made_in).first();
  return changes != nullptr && first != Point::kUnknown && bitnet::InfoOf(first).in_layer;
}

std::span<const Mistake> AllMistakes() {
  static const std::vector<Mistake> all = [] {
    std::vector<Mistake> rows;
    for (const auto family : {TokenMistakes(), WeightMistakes(), ProductMistakes(), NormMistakes(), LayerMistakes(),
                              RopeMistakes(), AttentionMistakes(), OtherMistakes(), Habits()}) {
      rows.insert(rows.end(), family.begin(), family.end());
    }
    return rows;
  }();
  return all;
}

const Mistake& FindMistake(std::string_view id) {
  for (const Mistake& mistake : AllMistakes()) {
    if (mistake.id == id) return mistake;
  }
  throw std::logic_error(fmt::format("'{}' is not a known mistake", id));
}

}  // namespace parity
