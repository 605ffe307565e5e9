// ANSI colours in text for a terminal.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_COLOR_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_COLOR_H_

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace parity {

enum class Color { kNone, kGreen, kRed, kYellow, kBold, kDim };

// `text` unchanged if `on` is false.
inline std::string Paint(std::string_view text, Color color, bool on) {
  constexpr std::string_view kCodes[] = {"0", "32", "31", "33", "1", "2"};
  if (!on || color == Color::kNone) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<size_t>(color)], text);
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_COLOR_H_
