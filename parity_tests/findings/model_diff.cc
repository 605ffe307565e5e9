#include "parity_tests/findings/model_diff.h"

#include <fmt/format.h>

#include <algorithm>

namespace parity {

std::string_view RelationName(TensorRelation relation) {
  switch (relation) {
    case TensorRelation::kSameBytes:
      return "same_bytes";
    case TensorRelation::kSameValues:
      return "same_values";
    case TensorRelation::kRounded:
      return "rounded";
    case TensorRelation::kScaled:
      return "scaled";
    case TensorRelation::kRowsScaled:
      return "rows_scaled";
    case TensorRelation::kRowsPermuted:
      return "rows_permuted";
    case TensorRelation::kColumnsPermuted:
      return "columns_permuted";
    case TensorRelation::kTransposed:
      return "transposed";
    case TensorRelation::kOther:
      return "other";
    case TensorRelation::kShape:
      return "shape";
    case TensorRelation::kNotRead:
      return "not_read";
    case TensorRelation::kMissing:
      return "missing";
  }
  return "other";
}

std::string Describe(const TensorDiff& diff) {
  switch (diff.relation) {
    case TensorRelation::kSameBytes:
      return "the same bytes";
    case TensorRelation::kSameValues:
      return "the same values";
    case TensorRelation::kRounded:
      return fmt::format("the same values, rounded to {}; largest difference {:.3g}", diff.detail, diff.max_abs);
    case TensorRelation::kScaled:
      return fmt::format("B is A times {:.6g}", diff.factor);
    case TensorRelation::kRowsScaled:
      return fmt::format("each row of B is that of A times a factor of its own, {}", diff.detail);
    case TensorRelation::kRowsPermuted:
      return fmt::format("the rows of A in another order: {}", diff.detail);
    case TensorRelation::kColumnsPermuted:
      return fmt::format("the columns of A in another order: {}", diff.detail);
    case TensorRelation::kTransposed:
      return "A transposed";
    case TensorRelation::kOther:
      return fmt::format("other values: {}; B is A times {:.4g} but for {:.3g} of its norm", diff.detail, diff.factor,
                         diff.rest);
    case TensorRelation::kShape:
      return fmt::format("two shapes: A {}, B {}", diff.shape_a, diff.shape_b);
    case TensorRelation::kNotRead:
      return fmt::format("other bytes; {} is not decoded here", diff.detail);
    case TensorRelation::kMissing:
      return diff.type_a.empty() ? "in B alone" : "in A alone";
  }
  return "";
}

bool ModelDiff::equal() const {
  return hyperparameters.empty() && vocabulary.empty() && first_that_breaks_parity() == nullptr;
}

const TensorDiff* ModelDiff::first_that_breaks_parity() const {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [](const TensorDiff& diff) { return diff.breaks_parity(); });
  return found == tensors.end() ? nullptr : &*found;
}

}  // namespace parity
