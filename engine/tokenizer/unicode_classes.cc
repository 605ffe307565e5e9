#include "engine/tokenizer/unicode_classes.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace bitnet {
namespace {

struct Run {
  uint32_t first;
  char unicode_class;
};

constexpr Run kRuns[] = {
#include "engine/tokenizer/unicode_classes.inc"
};

UnicodeClass ClassOfAscii(char c) {
  if (c >= '0' && c <= '9') return UnicodeClass::kNumber;
  if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return UnicodeClass::kLetter;
  if (c == ' ' || (c >= '\t' && c <= '\r')) return UnicodeClass::kSpace;
  if (c < ' ' || c == '\x7F') return UnicodeClass::kControl;
  return std::string_view("$+<=>^`|~").find(c) == std::string_view::npos ? UnicodeClass::kPunctuation
                                                                         : UnicodeClass::kSymbol;
}

}  // namespace

UnicodeClass ClassOf(uint32_t code_point) {
  if (code_point < 0x80) return ClassOfAscii(static_cast<char>(code_point));
  const Run* next = std::upper_bound(std::begin(kRuns), std::end(kRuns), code_point,
                                     [](uint32_t value, const Run& run) { return value < run.first; });
  return static_cast<UnicodeClass>((next - 1)->unicode_class);
}

}  // namespace bitnet
