// The expressions do not run over the text but over its class string: one byte for each code point, ASCII as itself and
// everything else as its class. So the machine's PCRE2 and its version of Unicode decide nothing, and a match counts
// code points.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/tokenizer/pre_tokenizer.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <limits>
#include <new>
#include <stdexcept>
#include <utility>

#include "engine/tokenizer/unicode_classes.h"

namespace bitnet {
namespace {

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
    case UnicodeClass::kOther:
      break;
  }
  return '\x84';
}

// \p{L}, \p{N}, \p{P} and \s for class strings, to stand inside brackets.
constexpr std::string_view kL = R"(A-Za-z\x80)";
constexpr std::string_view kN = R"(0-9\x81)";
constexpr std::string_view kP = R"(!-#%-*,-/:;?@\[-\]_{}\x82)";
constexpr std::string_view kS = R"(\t-\r \x83)";

std::string ForClassStrings(std::string_view expression) {
  return fmt::format(fmt::runtime(expression), fmt::arg("L", kL), fmt::arg("N", kN), fmt::arg("P", kP),
                     fmt::arg("S", kS));
}

constexpr std::string_view kGpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?[{L}]+| ?[{N}]+| ?[^{S}{L}{N}]+|[{S}]+(?![^{S}])|[{S}]+";

// Each expression splits what the one before it left: its matches and the gaps between them are words of their own.
std::vector<std::string> ExpressionsOf(std::string_view canonical_name) {
  if (canonical_name == "llama-bpe") {
    return {ForClassStrings(R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n{L}{N}]?[{L}]+|[{N}]{{1,3}}|)"
                            R"( ?[^{S}{L}{N}]+[\r\n]*|[{S}]*[\r\n]+|[{S}]+(?![^{S}])|[{S}]+)")};
  }
  if (canonical_name == "gpt-2") return {ForClassStrings(kGpt2)};
  if (canonical_name == "default") {
    return {ForClassStrings(R"([{P}$+<=>^~|]+)"), ForClassStrings(kGpt2), ForClassStrings("[{N}]+"), "[0-9][0-9][0-9]"};
  }
  throw std::runtime_error(
      fmt::format("pre-tokenizer '{}': not supported; expected llama-bpe, gpt-2 or default", canonical_name));
}

struct Spelling {
  std::string_view name;
  std::string_view canonical;
};
constexpr std::array<Spelling, 5> kSpellings = {{{"llama-bpe", "llama-bpe"},
                                                 {"llama3", "llama-bpe"},
                                                 {"llama-v3", "llama-bpe"},
                                                 {"gpt-2", "gpt-2"},
                                                 {"default", "default"}}};

bool IsContinuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// The length that a lead byte announces; 0 for a byte that cannot start a character.
size_t SequenceLength(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC0) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF8 ? 4 : 0;
}

constexpr uint32_t kReplacement = 0xFFFD;

// The code point at text[*position], which moves past it.
uint32_t NextCodePoint(std::string_view text, size_t* position) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t begin = *position;
  const size_t length = SequenceLength(byte(begin));
  *position = begin + 1;
  if (length == 1) return byte(begin);
  if (length == 0 || text.size() - begin < length) return kReplacement;
  uint32_t code_point = byte(begin) & (0x7F >> length);
  for (size_t i = begin + 1; i < begin + length; ++i) {
    if (!IsContinuation(byte(i))) return kReplacement;
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  *position = begin + length;
  return code_point;
}

void AppendUtf8(uint32_t code_point, std::string* out) {
  const auto put = [&](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  const auto tail = [&](int shift) { put(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    tail(0);
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    tail(6);
    tail(0);
  } else {
    put(0xF0 | code_point >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

struct MatchDataFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

class PreTokenizer::Expression {
 public:
  explicit Expression(std::string source) : source_(std::move(source)) {
    int error = 0;
    PCRE2_SIZE position = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source_.data()), source_.size(), 0, &error, &position, nullptr);
    if (code_ == nullptr) Fail("pcre2_compile", error);
    // Where just-in-time compilation is not to be had, pcre2_match interprets: slower, same result.
    pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE);
    context_ = pcre2_match_context_create(nullptr);
    if (context_ == nullptr) {
      pcre2_code_free(code_);
      throw std::bad_alloc();
    }
    // The work is linear in the text; the limits of PCRE2 would only refuse a long run of spaces.
    pcre2_set_match_limit(context_, std::numeric_limits<uint32_t>::max());
    pcre2_set_heap_limit(context_, std::numeric_limits<uint32_t>::max());
  }
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;
  ~Expression() {
    pcre2_match_context_free(context_);
    pcre2_code_free(code_);
  }

  // Splits each of the consecutive pieces of `classes`, whose lengths are given. A lookahead does not see beyond its
  // piece.
  std::vector<size_t> Split(std::string_view classes, const std::vector<size_t>& lengths) const {
    const std::unique_ptr<pcre2_match_data, MatchDataFree> match(pcre2_match_data_create_from_pattern(code_, nullptr));
    if (match == nullptr) throw std::bad_alloc();
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
    std::vector<size_t> result;
    size_t begin = 0;
    for (const size_t length : lengths) {
      const auto* piece = reinterpret_cast<PCRE2_SPTR>(classes.data() + begin);
      size_t done = 0;
      while (done < length) {
        const int found = pcre2_match(code_, piece, length, done, PCRE2_NOTEMPTY, match.get(), context_);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0) Fail("pcre2_match", found);
        if (bounds[0] > done) result.push_back(bounds[0] - done);
        result.push_back(bounds[1] - bounds[0]);
        done = bounds[1];
      }
      if (done < length) result.push_back(length - done);
      begin += length;
    }
    return result;
  }

 private:
  [[noreturn]] void Fail(std::string_view function, int error) const {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    throw std::runtime_error(fmt::format("pre-tokenizer expression {}: {} failed: {}", source_, function,
                                         reinterpret_cast<const char*>(message.data())));
  }

  std::string source_;
  pcre2_code* code_ = nullptr;
  pcre2_match_context* context_ = nullptr;
};

std::optional<std::string> PreTokenizer::CanonicalName(std::string_view name) {
  if (name.empty()) return "default";
  for (const Spelling& spelling : kSpellings) {
    if (spelling.name == name) return std::string(spelling.canonical);
  }
  return std::nullopt;
}

std::string PreTokenizer::SupportedNames() {
  std::string names;
  for (const Spelling& spelling : kSpellings) {
    if (!names.empty()) names += ", ";
    names += spelling.name;
  }
  return names;
}

PreTokenizer::PreTokenizer(std::string_view canonical_name) {
  for (std::string& source : ExpressionsOf(canonical_name)) {
    expressions_.push_back(std::make_shared<Expression>(std::move(source)));
  }
}

Words PreTokenizer::Split(std::string_view text, size_t text_offset) const {
  Words words;
  words.utf8.reserve(text.size());
  std::string classes;
  classes.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const uint32_t code_point = NextCodePoint(text, &position);
    if (code_point > 0x10FFFF) {
      throw std::runtime_error(fmt::format(
          "text: byte {}: found a UTF-8 sequence for U+{:X}, expected at most U+10FFFF; remove it (llama.cpp "
          "cannot tokenize it either)",
          text_offset + begin, code_point));
    }
    AppendUtf8(code_point, &words.utf8);
    classes.push_back(ClassByte(code_point));
  }

  std::vector<size_t> lengths;
  if (!classes.empty()) lengths.push_back(classes.size());
  for (const auto& expression : expressions_) lengths = expression->Split(classes, lengths);

  words.ends.reserve(lengths.size());
  size_t end = 0;
  for (const size_t length : lengths) {
    for (size_t i = 0; i < length; ++i) end += SequenceLength(static_cast<unsigned char>(words.utf8[end]));
    words.ends.push_back(end);
  }
  return words;
}

}  // namespace bitnet
