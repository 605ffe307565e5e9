#include "engine/tokenizer/jinja_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/tokenizer/jinja_value.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

using TokenKind = JinjaToken::Kind;

bool IsLetter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string WithUnixNewlines(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(WithUnixNewlines(source)), rest_(source_) {}

  std::vector<JinjaToken> Run() {
    while (!rest_.empty()) LexText();
    Add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void Fail(std::string_view message) const {
    throw JinjaError(fmt::format("line {}: {}", line_, message));
  }

  void Add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void Skip(size_t n) {
    line_ += static_cast<int>(std::count(rest_.begin(), rest_.begin() + static_cast<ptrdiff_t>(n), '\n'));
    rest_.remove_prefix(n);
  }

  // Text up to the next tag, and the tag.
  void LexText() {
    size_t tag = 0;
    while (tag < rest_.size() && !(rest_[tag] == '{' && tag + 1 < rest_.size() &&
                                   std::string_view("{%#").find(rest_[tag + 1]) != std::string_view::npos)) {
      ++tag;
    }
    const bool at_end = tag >= rest_.size();
    AddText(std::min(tag, rest_.size()), at_end ? ' ' : rest_[tag + 1], tag + 2 < rest_.size() ? rest_[tag + 2] : ' ');
    if (at_end) return;
    const char kind = rest_[1];
    const bool sign = rest_.size() > 2 && (rest_[2] == '-' || rest_[2] == '+');
    if (kind == '#') {
      LexComment();
    } else if (kind == '%') {
      if (LexRaw()) return;
      Add(TokenKind::kBlockBegin, "");
      Skip(sign ? 3 : 2);
      LexExpression(TokenKind::kBlockEnd);
    } else {
      Add(TokenKind::kVariableBegin, "");
      Skip(sign ? 3 : 2);
      LexExpression(TokenKind::kVariableEnd);
    }
  }

  // The first `size` bytes as text; what opens behind them and its sign may take white space off the end.
  void AddText(size_t size, char kind, char sign) {
    std::string_view text = rest_.substr(0, size);
    std::string stripped;
    if (sign == '-' && kind != ' ') {
      stripped = StripText(text, nullptr, false, true);
      text = stripped;
    } else if ((kind == '%' || kind == '#') && sign != '+') {
      const size_t line_begin = text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1;
      const bool blank = std::all_of(text.begin() + static_cast<ptrdiff_t>(line_begin), text.end(), IsBlank);
      if (blank && (line_begin > 0 || at_line_start_)) text = text.substr(0, line_begin);
    }
    if (!text.empty()) Add(TokenKind::kText, std::string(text));
    Skip(size);
  }

  // Behind a tag: "-" takes all white space, and a block one newline. `rest_` begins with the tag's end.
  void SkipTagEnd(bool block) {
    const char sign = rest_[0];
    Skip(sign == '-' || sign == '+' ? 3 : 2);
    size_t n = 0;
    if (sign == '-') {
      size_t position = 0;
      while (position < rest_.size() && IsPythonSpace(NextCodePoint(rest_, &position))) n = position;
    } else if (block && sign != '+' && rest_.starts_with('\n')) {
      n = 1;
    }
    at_line_start_ = n > 0 && rest_[n - 1] == '\n';
    Skip(n);
  }

  void LexComment() {
    const size_t begin = rest_.size() > 2 && (rest_[2] == '-' || rest_[2] == '+') ? 3 : 2;
    const size_t end = rest_.find("#}", begin);
    if (end == std::string_view::npos) Fail("a comment without its end");
    const bool sign = end > begin && (rest_[end - 1] == '-' || rest_[end - 1] == '+');
    Skip(end - (sign ? 1 : 0));
    SkipTagEnd(/*block=*/true);
  }

  // "{%" sign? name sign? "%}" at `rest`: where it ends, with the sign of its end in place.
  static std::optional<size_t> MatchTag(std::string_view rest, std::string_view name) {
    size_t at = 2;
    if (at < rest.size() && (rest[at] == '-' || rest[at] == '+')) ++at;
    while (at < rest.size() && IsBlank(rest[at])) ++at;
    if (!rest.substr(at).starts_with(name)) return std::nullopt;
    at += name.size();
    while (at < rest.size() && IsBlank(rest[at])) ++at;
    const std::string_view end = rest.substr(at);
    if (end.starts_with("%}") || end.starts_with("-%}") || end.starts_with("+%}")) return at;
    return std::nullopt;
  }

  bool LexRaw() {
    const auto open = MatchTag(rest_, "raw");
    if (!open.has_value()) return false;
    Skip(*open);
    SkipTagEnd(/*block=*/false);
    for (size_t at = rest_.find("{%"); at != std::string_view::npos; at = rest_.find("{%", at + 2)) {
      const auto close = MatchTag(rest_.substr(at), "endraw");
      if (!close.has_value()) continue;
      AddText(at, '%', rest_[at + 2]);
      Skip(*close);
      SkipTagEnd(/*block=*/true);
      return true;
    }
    Fail("{% raw %} without {% endraw %}");
  }

  // Up to the end of the tag, which no open bracket hides.
  void LexExpression(TokenKind end) {
    const std::string_view close = end == TokenKind::kBlockEnd ? "%}" : "}}";
    std::string open;
    while (true) {
      while (!rest_.empty() && IsBlank(rest_[0])) Skip(1);
      if (rest_.empty()) Fail("a tag without its end");
      const bool signed_end =
          (rest_[0] == '-' || (rest_[0] == '+' && end == TokenKind::kBlockEnd)) && rest_.substr(1).starts_with(close);
      if (open.empty() && (rest_.starts_with(close) || signed_end)) {
        Add(end, "");
        SkipTagEnd(end == TokenKind::kBlockEnd);
        return;
      }
      LexToken(&open);
    }
  }

  void LexToken(std::string* open) {
    const char c = rest_[0];
    if (IsLetter(c)) {
      size_t n = 1;
      while (n < rest_.size() && (IsLetter(rest_[n]) || IsDigit(rest_[n]))) ++n;
      Add(TokenKind::kName, std::string(rest_.substr(0, n)));
      Skip(n);
    } else if (IsDigit(c)) {
      LexNumber();
    } else if (c == '\'' || c == '"') {
      LexString();
    } else {
      LexOperator(open);
    }
  }

  void LexNumber() {
    std::string text;
    bool is_float = false;
    size_t n = 0;
    const auto digits = [&] {
      while (n < rest_.size() && (IsDigit(rest_[n]) || rest_[n] == '_')) {
        if (rest_[n] != '_') text += rest_[n];
        ++n;
      }
    };
    digits();
    if (n + 1 < rest_.size() && rest_[n] == '.' && IsDigit(rest_[n + 1])) {
      is_float = true;
      text += rest_[n++];
      digits();
    }
    const size_t exponent = n + 1 < rest_.size() && (rest_[n + 1] == '-' || rest_[n + 1] == '+') ? n + 2 : n + 1;
    if (exponent < rest_.size() && (rest_[n] == 'e' || rest_[n] == 'E') && IsDigit(rest_[exponent])) {
      is_float = true;
      text += rest_.substr(n, exponent - n);
      n = exponent;
      digits();
    }
    Add(is_float ? TokenKind::kFloat : TokenKind::kInteger, text);
    Skip(n);
  }

  void LexString() {
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != rest_[0]) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) Fail("a string without its end");
    Add(TokenKind::kString, Unescaped(rest_.substr(1, end - 1)));
    Skip(end + 1);
  }

  std::string Unescaped(std::string_view text) const {
    constexpr std::string_view kLetters = "ntrabfv0\\'\"", kValues = std::string_view("\n\t\r\a\b\f\v\0\\'\"", 11);
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 >= text.size()) {
        result += text[i];
        continue;
      }
      const char letter = text[++i];
      const size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
      if (digits > 0) {
        uint32_t value = 0;
        for (size_t k = 0; k < digits; ++k) {
          const char c = ++i < text.size() ? text[i] : ' ';
          const size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(IsDigit(c) ? c : c | 0x20));
          if (digit == std::string_view::npos) Fail(fmt::format("\\{} without {} hexadecimal digits", letter, digits));
          value = value << 4 | static_cast<uint32_t>(digit);
        }
        if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) Fail("an escape that is no character");
        AppendUtf8(value, &result);
      } else if (letter == '\n') {
        continue;
      } else if (const size_t at = kLetters.find(letter); at != std::string_view::npos) {
        if (letter == '0' && i + 1 < text.size() && IsDigit(text[i + 1])) Fail("octal escapes are not supported");
        result += kValues[at];
      } else if (IsDigit(letter) || letter == 'N') {
        Fail(fmt::format("the escape \\{} is not supported", letter));
      } else {
        result += {'\\', letter};
      }
    }
    return result;
  }

  void LexOperator(std::string* open) {
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (!rest_.starts_with(two)) continue;
      Add(TokenKind::kOperator, std::string(two));
      Skip(2);
      return;
    }
    const char c = rest_[0];
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos)
      Fail(fmt::format("unexpected {:?}", c));
    if (const size_t closes = std::string_view(")]}").find(c); closes != std::string_view::npos) {
      if (open->empty() || open->back() != "([{"[closes]) Fail(fmt::format("unexpected {:?}", c));
      open->pop_back();
    }
    if (c == '(' || c == '[' || c == '{') *open += c;
    Add(TokenKind::kOperator, std::string(1, c));
    Skip(1);
  }

  std::string source_;
  std::string_view rest_;
  int line_ = 1;
  bool at_line_start_ = true;
  std::vector<JinjaToken> tokens_;
};

}  // namespace

std::vector<JinjaToken> LexJinja(std::string_view source) { return Lexer(source).Run(); }

}  // namespace bitnet
