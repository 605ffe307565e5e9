#include "engine/tokenizer/jinja_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "engine/tokenizer/jinja_library.h"
#include "engine/tokenizer/jinja_value.h"
#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/unicode_mappings.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

char AsciiUpper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// All lines of Python's str.splitlines that are one character.
bool EndsLine(uint32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

std::vector<std::string> SplitAtSpaces(std::string_view text, int64_t count) {
  std::vector<std::string> parts;
  std::string_view rest = text;
  std::string stripped = StripText(text, nullptr, true, false);
  rest = stripped;
  size_t begin = 0;
  for (size_t position = 0; position < rest.size();) {
    const size_t at = position;
    if (!IsPythonSpace(NextCodePoint(rest, &position))) continue;
    if (count >= 0 && static_cast<int64_t>(parts.size()) == count) break;
    parts.emplace_back(rest.substr(begin, at - begin));
    while (position < rest.size()) {
      size_t next = position;
      if (!IsPythonSpace(NextCodePoint(rest, &next))) break;
      position = next;
    }
    begin = position;
  }
  if (begin < rest.size())
    parts.push_back(count >= 0 && static_cast<int64_t>(parts.size()) == count
                        ? StripText(rest.substr(begin), nullptr, false, true)
                        : std::string(rest.substr(begin)));
  return parts;
}

}  // namespace

std::string UpperText(std::string_view text) {
  std::string upper;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const uint32_t c = NextCodePoint(text, &position);
    if (c < 0x80) {
      upper += AsciiUpper(static_cast<char>(c));
      continue;
    }
    // Letters without case, and those that are in upper case already.
    const bool letter = c <= 0x10FFFF && ClassOf(c) == UnicodeClass::kLetter;
    if (letter && c < 0x2E80 && LowerCase(c) == c)
      throw JinjaError(fmt::format("the upper case of U+{:04X} is not supported", c));
    upper += text.substr(begin, position - begin);
  }
  return upper;
}

std::string LowerText(std::string_view text) {
  std::string lower;
  for (size_t position = 0; position < text.size();) {
    const uint32_t c = NextCodePoint(text, &position);
    if (c == 0x3A3) throw JinjaError("the lower case of a capital sigma is not supported");
    AppendUtf8(LowerCase(c), &lower);
    if (c == 0x130) AppendUtf8(0x307, &lower);
  }
  return lower;
}

std::string CapitalizedText(std::string_view text) {
  if (text.empty()) return "";
  size_t first = 0;
  NextCodePoint(text, &first);
  return UpperText(text.substr(0, first)) + LowerText(text.substr(first));
}

std::string TitleText(std::string_view text, std::string_view separators) {
  std::string title;
  bool begins = true;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const uint32_t c = NextCodePoint(text, &position);
    const std::string_view character = text.substr(begin, position - begin);
    title += begins ? UpperText(character) : LowerText(character);
    begins = IsPythonSpace(c) || (c < 0x80 && separators.find(static_cast<char>(c)) != std::string_view::npos);
  }
  return title;
}

std::string ReplacedText(std::string_view text, std::string_view old, std::string_view fresh, int64_t count) {
  std::string result;
  if (old.empty()) {
    const std::vector<size_t> offsets = CharacterOffsets(text);
    for (size_t i = 0; i < offsets.size(); ++i) {
      if (count < 0 || static_cast<int64_t>(i) < count) result += fresh;
      if (i + 1 < offsets.size()) result += text.substr(offsets[i], offsets[i + 1] - offsets[i]);
      CheckJinjaSize(result.size());
    }
    return result;
  }
  size_t begin = 0;
  for (int64_t n = 0; count < 0 || n < count; ++n) {
    const size_t found = text.find(old, begin);
    if (found == std::string_view::npos) break;
    result += text.substr(begin, found - begin);
    result += fresh;
    begin = found + old.size();
    CheckJinjaSize(result.size());
  }
  return result += text.substr(begin);
}

std::vector<std::string> SplitText(std::string_view text, std::optional<std::string_view> separator, int64_t count,
                                   bool from_right) {
  if (!separator.has_value()) {
    if (from_right && count >= 0) throw JinjaError("rsplit at white space with a count is not supported");
    return SplitAtSpaces(text, count);
  }
  if (separator->empty()) throw JinjaError("split: found an empty separator");
  std::vector<std::string> parts;
  while (count < 0 || static_cast<int64_t>(parts.size()) < count) {
    const size_t found = from_right ? text.rfind(*separator) : text.find(*separator);
    if (found == std::string_view::npos) break;
    const std::string_view left = text.substr(0, found), right = text.substr(found + separator->size());
    parts.emplace_back(from_right ? right : left);
    text = from_right ? left : right;
  }
  parts.emplace_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> LinesOf(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t position = 0; position < text.size();) {
    const size_t at = position;
    const uint32_t c = NextCodePoint(text, &position);
    if (!EndsLine(c)) continue;
    if (c == '\r' && text.substr(position).starts_with('\n')) ++position;
    lines.emplace_back(text.substr(begin, (keep_ends ? position : at) - begin));
    begin = position;
  }
  if (begin < text.size()) lines.emplace_back(text.substr(begin));
  return lines;
}

// Jinja adds a line break before it looks for lines, so that one at the end stays.
std::string IndentedText(std::string_view text, std::string_view indention, bool first, bool blank) {
  const std::string with_end = std::string(text) + "\n";
  std::string result;
  if (blank) {
    result = ReplacedText(text, "\n", "\n" + std::string(indention), -1);
  } else {
    const std::vector<std::string> lines = LinesOf(with_end, /*keep_ends=*/false);
    for (size_t i = 0; i < lines.size(); ++i) {
      if (i > 0) result += "\n";
      if (i > 0 && !lines[i].empty()) result += indention;
      result += lines[i];
      CheckJinjaSize(result.size());
    }
  }
  return first ? std::string(indention) + result : result;
}

std::string HtmlText(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '\'':
        html += "&#39;";
        break;
      case '"':
        html += "&#34;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::optional<double> NumberOfText(std::string_view text) {
  const std::string copy(text);
  if (copy.empty() || copy.find_first_not_of("0123456789+-.eE") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size()) return std::nullopt;
  return value;
}

}  // namespace bitnet
