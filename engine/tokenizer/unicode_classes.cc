#include "engine/tokenizer/unicode_classes.h"

#include <algorithm>
#include <iterator>

namespace bitnet {
namespace {

struct Run {
  uint32_t first;
  char unicode_class;
};

constexpr Run kRuns[] = {
#include "engine/tokenizer/unicode_classes.inc"
};

}  // namespace

UnicodeClass ClassOf(uint32_t code_point) {
  const Run* next = std::upper_bound(std::begin(kRuns), std::end(kRuns), code_point,
                                     [](uint32_t value, const Run& run) { return value < run.first; });
  return static_cast<UnicodeClass>((next - 1)->unicode_class);
}

}  // namespace bitnet
