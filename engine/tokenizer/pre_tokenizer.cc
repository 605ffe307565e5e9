// The expressions do not run over the text but over its class string: one byte for each code point, ASCII as itself and
// everything else as its class. So the machine's PCRE2 and its version of Unicode decide nothing, and a match counts
// code points.
#include "engine/tokenizer/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include "engine/tokenizer/pre_tokenizer_table.h"
#include "engine/tokenizer/split_expression.h"
#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

// The class of a character in no set; ASCII stands for itself.
char ClassByte(uint32_t code_point) {
  if (code_point < 0x80) return static_cast<char>(code_point);
  switch (ClassOf(code_point)) {
    case UnicodeClass::kLetter:
      return '\x80';
    case UnicodeClass::kNumber:
      return '\x81';
    case UnicodeClass::kPunctuation:
      return '\x82';
    case UnicodeClass::kSpace:
      return '\x83';
    case UnicodeClass::kMark:
    case UnicodeClass::kNonspacingMark:
      return '\x84';
    case UnicodeClass::kSymbol:
      return '\x85';
    case UnicodeClass::kControl:
    case UnicodeClass::kOther:
      break;
  }
  return '\x86';
}

// A set has two bytes, the first for its letters.
char SetByte(size_t set, char class_byte) { return static_cast<char>(0x90 + 2 * set + (class_byte == '\x80' ? 0 : 1)); }

bool Contains(CodePointSet set, uint32_t code_point) {
  const auto next = std::upper_bound(set.begin(), set.end(), code_point,
                                     [](uint32_t value, const CodePointRange& range) { return value < range.first; });
  return next != set.begin() && code_point <= std::prev(next)->last;
}

std::string WithSets(std::string classes, const std::u32string& code_points, std::span<const CodePointSet> sets) {
  for (size_t i = 0; i < classes.size(); ++i) {
    for (size_t set = 0; set < sets.size(); ++set) {
      if (Contains(sets[set], code_points[i])) {
        classes[i] = SetByte(set, classes[i]);
        break;
      }
    }
  }
  return classes;
}

// Fills in what pre_tokenizer_table.h names.
std::string ForClassStrings(std::string_view expression) {
  constexpr std::string_view kSpace = R"(\t-\r \x83)";
  return fmt::format(fmt::runtime(expression), fmt::arg("L", R"(A-Za-z\x80)"), fmt::arg("l", R"(\x80)"),
                     fmt::arg("N", R"(0-9\x81)"), fmt::arg("P", R"(!-#%-*,-/:;?@\[-\]_{}\x82)"), fmt::arg("S", kSpace),
                     fmt::arg("M", R"(\x84)"), fmt::arg("Y", R"($+<=>\^`|~\x85)"), fmt::arg("A", R"(\x90\x91)"),
                     fmt::arg("B", R"(\x92\x93)"), fmt::arg("D", R"(\x94\x95)"), fmt::arg("E", R"(\x96\x97)"),
                     fmt::arg("Al", R"(\x90)"), fmt::arg("C", "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"),
                     fmt::arg("T", fmt::format(R"([{0}]*[\r\n]+|[{0}]+(?![^{0}])|[{0}]+)", kSpace)));
}

bool IsAsciiDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNumberClass(char c) { return IsAsciiDigit(c) || c == '\x81'; }

size_t RunLength(std::string_view classes, size_t begin, bool (*in_run)(char)) {
  size_t end = begin;
  while (end < classes.size() && in_run(classes[end])) ++end;
  return end - begin;
}

// Appends the lengths into which SplitKind::kGroupsOfNumbers cuts a piece.
void SplitGroupsOfNumbers(std::string_view piece, std::vector<size_t>* lengths) {
  size_t done = 0;
  const auto cut = [&](size_t end) {
    lengths->push_back(end - done);
    done = end;
  };
  for (size_t i = 0; i < piece.size(); ++i) {
    const size_t run = RunLength(piece, i, IsNumberClass);
    if (run == 0) continue;
    const size_t end = i + run;
    if (run % 3 != 0) cut(i + run % 3);
    for (i += run % 3; i < end; i += 3) cut(i + 3);
    --i;
  }
  if (done < piece.size()) cut(piece.size());
}

void SplitThousandsOfDigits(std::string_view piece, std::vector<size_t>* lengths) {
  size_t done = 0;
  for (size_t i = 0; i < piece.size();) {
    const size_t run = RunLength(piece, i, IsAsciiDigit);
    for (size_t left = run / 3 * 3; left > 0; left -= 3) {
      const size_t begin = i + run - left;
      if (begin > done) lengths->push_back(begin - done);
      done = begin;
    }
    i += std::max<size_t>(run, 1);
  }
  if (done < piece.size()) lengths->push_back(piece.size() - done);
}

}  // namespace

class PreTokenizer::Step {
 public:
  explicit Step(const SplitStep& row) : row_(row) {
    if (row.kind == SplitKind::kExpression) expression_.emplace(ForClassStrings(row.expression));
  }

  std::vector<size_t> Split(const std::string& classes, const std::u32string& code_points,
                            const std::vector<size_t>& lengths) const {
    if (expression_.has_value()) {
      if (row_.sets[0].empty()) return expression_->Split(classes, lengths);
      return expression_->Split(WithSets(classes, code_points, row_.sets), lengths);
    }
    const auto split = row_.kind == SplitKind::kGroupsOfNumbers ? SplitGroupsOfNumbers : SplitThousandsOfDigits;
    std::vector<size_t> result;
    size_t begin = 0;
    for (const size_t length : lengths) {
      split(std::string_view(classes).substr(begin, length), &result);
      begin += length;
    }
    return result;
  }

 private:
  const SplitStep& row_;
  std::optional<SplitExpression> expression_;
};

const PreTokenizerName* PreTokenizer::FindName(std::string_view name, TokenizerDialect dialect) {
  if (name.empty()) name = "default";
  const PreTokenizerName* found = nullptr;
  for (const PreTokenizerName& row : PreTokenizerNames()) {
    if (row.name != name) continue;
    if (row.dialect == dialect) return &row;
    if (row.dialect == TokenizerDialect::kLlamaCpp) found = &row;
  }
  return found;
}

std::vector<std::string> PreTokenizer::Names(TokenizerDialect dialect) {
  std::vector<std::string> names;
  for (const PreTokenizerName& row : PreTokenizerNames()) {
    if (&row == FindName(row.name, dialect)) names.emplace_back(row.name);
  }
  return names;
}

PreTokenizer::PreTokenizer(std::string_view canonical_name) {
  for (const PreTokenizerSteps& row : AllPreTokenizerSteps()) {
    if (row.canonical != canonical_name) continue;
    for (const SplitStep& step : row.steps) {
      if (!PreTokenizerSteps::IsEmpty(step)) steps_.push_back(std::make_shared<Step>(step));
    }
    return;
  }
  throw std::runtime_error(fmt::format("pre-tokenizer '{}': not supported; expected a canonical name", canonical_name));
}

Words PreTokenizer::Split(std::string_view text, size_t text_offset) const {
  Words words;
  words.utf8.reserve(text.size());
  std::string classes;
  std::u32string code_points;
  classes.reserve(text.size());
  code_points.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const uint32_t code_point = NextCodePoint(text, &position);
    if (code_point > 0x10FFFF) FailAboveUnicode(code_point, text_offset + begin);
    AppendUtf8(code_point, &words.utf8);
    classes.push_back(ClassByte(code_point));
    code_points.push_back(code_point);
  }

  std::vector<size_t> lengths;
  if (!classes.empty()) lengths.push_back(classes.size());
  for (const auto& step : steps_) lengths = step->Split(classes, code_points, lengths);

  words.ends.reserve(lengths.size());
  size_t end = 0;
  for (const size_t length : lengths) {
    for (size_t i = 0; i < length; ++i) end += Utf8Length(static_cast<unsigned char>(words.utf8[end]));
    words.ends.push_back(end);
  }
  return words;
}

}  // namespace bitnet
