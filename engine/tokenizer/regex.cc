#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/tokenizer/regex.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <new>
#include <stdexcept>
#include <utility>

#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

[[noreturn]] void Fail(std::string_view source, int error) {
  std::array<PCRE2_UCHAR, 256> message{};
  pcre2_get_error_message(error, message.data(), message.size());
  throw std::runtime_error(fmt::format("the expression {}: {}", source, reinterpret_cast<const char*>(message.data())));
}

[[noreturn]] void Refuse(std::string_view expression, std::string_view what) {
  throw std::runtime_error(fmt::format("the expression {}: {} is not supported", expression, what));
}

// Scripts: PCRE2 would also take the characters that several scripts share.
std::string ForPcre2Property(std::string_view name) {
  constexpr std::string_view kCategories =
      "C Cc Cf Cn Co Cs L L& Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po "
      "Ps S Sc Sk Sm So Z Zl Zp Zs ";
  const std::string padded = fmt::format(" {} ", name);
  const bool category = name.size() <= 2 && (" " + std::string(kCategories)).find(padded) != std::string::npos;
  return category || name.find_first_of(":=") != std::string_view::npos ? std::string(name)
                                                                        : fmt::format("sc:{}", name);
}

// Refuses what Oniguruma and PCRE2 read differently: sets in sets, some letters, some flags.
std::string ForPcre2(std::string_view expression) {
  std::string result;
  bool in_set = false;
  for (size_t i = 0; i < expression.size(); ++i) {
    const std::string_view rest = expression.substr(i);
    result += rest[0];
    if (rest[0] == '\\' && rest.size() > 1) {
      if (std::string_view("hHGKkgyYORNX").find(rest[1]) != std::string_view::npos)
        Refuse(expression, rest.substr(0, 2));
      result += rest[1];
      ++i;
      const size_t close = rest.find('}');
      const bool property = (rest[1] == 'p' || rest[1] == 'P') && rest.size() > 2 && rest[2] == '{';
      if (!property || close == std::string_view::npos) continue;
      const bool negated = rest[3] == '^';
      result +=
          (negated ? "{^" : "{") + ForPcre2Property(rest.substr(negated ? 4 : 3, close - (negated ? 4 : 3))) + "}";
      i += close - 1;
    } else if (in_set) {
      if (rest.starts_with("&&") || rest[0] == '[') Refuse(expression, "a set inside a set");
      in_set = rest[0] != ']';
    } else if (rest[0] == '[') {
      in_set = true;
      for (const std::string_view next : {"^", "]"}) {
        if (!expression.substr(i + 1).starts_with(next)) continue;
        result += next;
        ++i;
      }
    } else if (rest.size() > 2 && rest.starts_with("(?") &&
               std::string_view("mxs").find(rest[2]) != std::string_view::npos) {
      Refuse(expression, rest.substr(0, 3));
    }
  }
  return result;
}

}  // namespace

struct Regex::Code {
  Code(std::string_view source, uint32_t options) {
    int error = 0;
    PCRE2_SIZE position = 0;
    code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(), options, &error, &position, nullptr);
    if (code == nullptr) Fail(source, error);
    // Where just-in-time compilation is not to be had, pcre2_match interprets: slower, same result.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }

  pcre2_code* code;
};

Regex::Regex(std::string_view expression) : source_(expression) {
  // The ends of a line are the meaning of ^ and $ there.
  code_ = std::make_shared<Code>(ForPcre2(expression), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE);
}

Regex Regex::Literal(std::string_view text) {
  if (text.empty()) return Regex("(?!)");  // found nowhere
  Regex regex;
  regex.source_ = text;
  regex.code_ = std::make_shared<Code>(regex.source_, PCRE2_UTF | PCRE2_LITERAL);
  return regex;
}

Regex Regex::GraphemeCluster() {
  Regex regex;
  regex.source_ = "\\X";
  regex.code_ = std::make_shared<Code>(regex.source_, PCRE2_UTF | PCRE2_UCP);
  return regex;
}

std::vector<ByteRange> Regex::Matches(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, MatchDataDeleter> match(
      pcre2_match_data_create_from_pattern(code_->code, nullptr));
  if (match == nullptr) throw std::bad_alloc();
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
  std::vector<ByteRange> matches;
  uint32_t options = 0;  // the text is checked once
  for (size_t begin = 0; begin <= text.size();) {
    const int found = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), begin, options,
                                  match.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) Fail(source_, found);
    options = PCRE2_NO_UTF_CHECK;
    const ByteRange range = {bounds[0], bounds[1]};
    const bool empty = range.begin == range.end;
    if (!empty || matches.empty() || matches.back().end != range.begin) matches.push_back(range);
    begin = range.end;
    if (empty) {
      if (begin >= text.size()) break;
      begin += AnnouncedLength(static_cast<unsigned char>(text[begin]));
    }
  }
  return matches;
}

}  // namespace bitnet
