// A build without PCRE2: a vocabulary can be read, and its pieces shown; text cannot be cut.
#include <stdexcept>

#include "engine/tokenizer/split_expression.h"

namespace bitnet {

struct SplitExpression::Compiled {};

SplitExpression::SplitExpression(std::string) {}
SplitExpression::~SplitExpression() = default;

std::vector<size_t> SplitExpression::Split(std::string_view, const std::vector<size_t>&) const {
  throw std::runtime_error(
      "this build has no PCRE2, which cuts text into words for this vocabulary; give --token-ids, or build with PCRE2");
}

}  // namespace bitnet
