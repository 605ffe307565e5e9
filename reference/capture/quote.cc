#include "reference/capture/quote.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace parity {
namespace {

// Length of the well-formed UTF-8 sequence at the start of `text` and its code point; 0 if there is none (Unicode,
// table 3-7).
size_t DecodeOne(std::string_view text, uint32_t& code_point) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  size_t length = 0;
  if (lead < 0x80) {
    code_point = lead;
    return 1;
  }
  if (lead >= 0xC2 && lead <= 0xDF) length = 2;
  if (lead >= 0xE0 && lead <= 0xEF) length = 3;
  if (lead >= 0xF0 && lead <= 0xF4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  code_point = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code_point = code_point << 6 | (byte(i) & 0x3Fu);
  }
  const bool overlong = (length == 3 && code_point < 0x800) || (length == 4 && code_point < 0x10000);
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  return overlong || surrogate || code_point > 0x10FFFF ? 0 : length;
}

bool ChangesTheLine(uint32_t c) {
  return (c >= 0x80 && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

}  // namespace

std::string Quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    uint32_t c = 0;
    const size_t length = DecodeOne(text, c);
    if (length == 0) {
      out += fmt::format("\\x{:02X}", static_cast<uint8_t>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    switch (c) {
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      default:
        if (c < 0x20 || c == 0x7F) {
          out += fmt::format("\\x{:02X}", c);
        } else if (ChangesTheLine(c)) {
          out += fmt::format("\\u{:04X}", c);
        } else {
          out += text.substr(0, length);
        }
    }
    text.remove_prefix(length);
  }
  return out + "\"";
}

std::string Utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    uint32_t c = 0;
    const size_t length = DecodeOne(text, c);
    const bool control = (c < 0x20 && c != '\n') || c == 0x7F || ChangesTheLine(c);
    out += length == 0 || control ? "\uFFFD" : text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    uint32_t c = 0;
    const size_t length = DecodeOne(text, c);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace parity
